"""What must hold for a model of any family, each against an independent computation with transformers alone.

`answers` and `writes`: the engine's numbers are those of a plain forward pass of every row in float64. `learns`: the
loss is on the answer and its end of turn only. `carried`: what training leaves is what a merged or reloaded model
computes. `whole_run`: all seven stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from semievol.config import Config
from semievol.engines import merging
from semievol.engines.local import LocalEngine
from semievol.engines.training import batches
from semievol.method.evolve import evolve
from semievol.method.protocols import Ask, Plan
from semievol.presets import overlaid
from semievol.records import STAGES, Example, Message, Record, Split, Task
from tests.fakes import MemoryJournal
from tests.model_families import FAMILIES

LABELS = ("water", "water pipe", "roads")
"""One begins another, so that the end of the turn counts."""
LETTERS = ("A", "B", "C")
WRITTEN = 4
TASK = Task("classification", LABELS, "Sort the calls of a city.")
_DATES = {"strftime_now('%d %B %Y')": "'26 July 2024'", "strftime_now('%B %d, %Y')": "'July 26, 2024'"}
_WORDS = {"water": "the tap drips", "water pipe": "a pipe leaks", "roads": "a hole in the street"}
_SHOWN = (
    Message("user", "The tap drips at number 4.\nAnswer with one of: water, water pipe, roads."),
    Message("assistant", "water"),
)


def turns(text: str, shown: bool = False) -> tuple[Message, ...]:
    return (Message("system", TASK.instruction), *(_SHOWN if shown else ()), Message("user", text))


class Plain:
    """A folder's model in float64 and its tokenizer, used as its authors would: one row at a time, no cache."""

    def __init__(self, folder: Path, name: str) -> None:
        self.words: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float64, experts_implementation="eager"
        ).eval()
        self._system = FAMILIES[name].system
        for form, day in _DATES.items():
            self.words.chat_template = (self.words.chat_template or "").replace(form, day)

    def answered(self, messages: Sequence[Message], answer: str) -> tuple[list[int], range]:
        """Ids of the answered conversation, and which of them are the answer's, the end of its turn being the last."""
        given = [{"role": m.role, "content": m.content} for m in [*messages, Message("assistant", answer)]]
        if not self._system and given[0]["role"] == "system":
            instruction = given.pop(0)["content"]
            given[0]["content"] = f"{instruction}\n\n{given[0]['content']}"
        if self.words.chat_template:
            text = self.words.apply_chat_template(
                given, tokenize=False, enable_thinking=False, date_string="26 Jul 2024"
            )
        else:  # a base model: the Studio's own plain template
            said = {
                "system": "{}\n\n",
                "user": "Question: {}\n",
                "assistant": "Answer: {}" + self.words.eos_token + "\n\n",
            }
            text = "".join(said[turn["role"]].format(turn["content"]) for turn in given)
        start = text.rindex(answer)
        end = start + len(answer)
        start = len(text[:start].rstrip(" "))  # a blank before the answer belongs to its first token
        found = self.words(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = found["offset_mapping"]
        first = next(i for i, (_, until) in enumerate(spans) if until > start)
        last = next(i for i, (begin, _) in enumerate(spans) if begin >= end)
        return found["input_ids"], range(first, last + 1)

    def logprobs(self, ids: Sequence[int], places: range) -> list[float]:
        """log p of the ids at these places."""
        with torch.no_grad():
            logp = self.model(torch.tensor([list(ids)]), use_cache=False).logits[0].log_softmax(-1)
        return [float(logp[place - 1, ids[place]]) for place in places]


def asked() -> list[tuple[Ask, bool]]:
    """Closed questions, with and without a demonstration, of unlike lengths and with a common beginning; whether the
    end of the turn counts."""
    return [
        (Ask(str(i), "c", "base", turns(text, i > 0), allowed), allowed is LABELS)
        for i, text in enumerate(("The bin.", "a hole " * 9, "Water in the street: 3.14 m, again!"))
        for allowed in (LABELS, LETTERS)[: 1 + i % 2]
    ]


def answers(engine: LocalEngine, plain: Plain) -> float:
    """Largest difference of a probability from that of the float64 rows."""
    asks = asked()
    worst = 0.0
    for (ask, closed), reply in zip(asks, engine.answer([ask for ask, _ in asks]), strict=True):
        sums = []
        for answer in ask.allowed:
            ids, places = plain.answered(ask.messages, answer)
            sums.append(sum(plain.logprobs(ids, places if closed else places[:-1])))
        expected = torch.tensor(sums, dtype=torch.float64)
        worst = max(worst, *(abs(torch.tensor(reply.probabilities) - expected.softmax(0)).tolist()))
        assert reply.mass is not None
        worst = max(worst, abs(reply.mass - float(expected.exp().sum())))
    return worst


def writes(engine: LocalEngine, plain: Plain, texts: Sequence[str] = ("The bin.", "a hole " * 9)) -> float:
    """Largest difference of the log-probability of a generated token from that of the float64 rows, which take the
    likeliest token after all that came before."""
    chat, worst = engine.base.chat, 0.0
    asks = [Ask(str(i), "c", "base", turns(text), max_tokens=WRITTEN) for i, text in enumerate(texts)]
    prompts = chat.prompts([ask.messages for ask in asks])
    for prompt, reply in zip(prompts, engine.answer(asks), strict=True):
        row, expected = list(prompt), list[float]()
        for _ in reply.token_logprobs:
            with torch.no_grad():
                logp = plain.model(torch.tensor([row]), use_cache=False).logits[0, -1].log_softmax(-1)
            row.append(int(logp.argmax()))
            expected.append(float(logp.max()))
        assert row[-1] in chat.stops or len(reply.token_logprobs) == WRITTEN
        assert reply.text == chat.text([token for token in row[len(prompt) :] if token not in chat.stops])
        worst = max([worst, *(abs(a - b) for a, b in zip(reply.token_logprobs, expected, strict=True))])
    return worst


def learns(engine: LocalEngine, plain: Plain) -> float:
    """Difference of the loss of a batch, nats a token, from the float64 rows of the answers and their ends of turn."""
    examples = [
        Example(str(i), turns(f"{_WORDS[LABELS[i % 3]]} at {'the ' * i}corner", i % 2 > 0), LABELS[i % 3], "gold")
        for i in range(3)
    ]
    batch = batches.collated(engine.base.chat.turns(examples), engine.base.packs, engine.base.pad, engine.base.turning)
    expected, labels = 0.0, list[int]()
    for example in examples:
        ids, places = plain.answered(example.messages, example.answer)
        expected -= sum(plain.logprobs(ids[: places.stop], places))
        labels += [ids[place] for place in places]
    assert sorted(batch["labels"].tolist()) == sorted(labels), "the answers and their ends, and nothing else"
    with engine.base.using(None) as model:
        return abs(float(batches.answer_loss(model, batch)) - expected) / len(labels)


def carried(engine: LocalEngine, folder: Path, adapter: Path, out: Path) -> float:
    """Largest difference of a probability between the adapter and the model that it leaves: merged, or as a folder."""
    asks = [ask for ask, _ in asked()]
    there = [Ask(a.record_id, a.collaborator, str(adapter), a.messages, a.allowed) for a in asks]
    if not (adapter / "adapter_config.json").is_file():
        merged = adapter
    else:
        merging._merge(str(folder), adapter, out)
        engine.base.chat.tokenizer.save_pretrained(out)
        merged = out
    alone = LocalEngine(str(merged), threads=1)
    pairs = zip(engine.answer(there), alone.answer(asks), strict=True)
    return max(abs(a - b) for x, y in pairs for a, b in zip(x.probabilities, y.probabilities, strict=True))


def _records(split: Split, count: int) -> list[Record]:
    return [
        Record(
            f"{split}{i:02}", f"{_WORDS[LABELS[i % 3]]} at number {i}", (),
            LABELS[i % 3] if split != "unlabeled" else None, split,
        )
        for i in range(count)
    ]  # fmt: skip


def settings(folder: Path, how: str, **more: Any) -> Config:
    """The preset of the paper, as short as it can be."""
    tuning = {"method": how, "minimum_steps": 3, "epochs": 0.1, "lora": {"rank": 4}, "save_every": 2, "batch_size": 4,
              "micro_batch_size": 4}  # fmt: skip
    overlay = {"preset": "paper", "model": str(folder), "precision": "fp32", "threads": 1, "tune": tuning}
    return overlaid(overlay | {"propagation": {"warm_up": tuning, "embedder": "char-tfidf", "k": 1}} | more)


def whole_run(engine: LocalEngine, folder: Path, how: str, home: Path) -> MemoryJournal:
    """The journal of a run of all stages; how: "lora" or "full"."""
    plan = Plan(TASK, settings(folder, how), _records("labeled", 6), _records("unlabeled", 6), test=_records("test", 3))
    journal = MemoryJournal(plan)
    journal.place = home
    evolve(plan, engine, journal)
    begun = {stage for stage, _, _ in journal.steps}
    assert begun == set(STAGES)
    assert journal.evaluation["n"] == 3
    assert set(journal.adapters) == {"warm_up", "tune"}
    return journal
