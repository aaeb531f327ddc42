import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from semievol.engines.inference import scoring
from semievol.engines.local import LocalEngine
from semievol.errors import UserError
from semievol.method.protocols import Ask, Reply
from semievol.records import Message
from tests.engines.conftest import turns

LETTERS = ("A", "B", "C", "D")
WORDS = ("waste", "parks and gardens", "housing", "roads")
OVERLAPPING = ("water", "water pipe", "waste", "water pipe broken")
TEXTS = ["The bin", "The street lamp in front of my house is broken since last week " * 3, "A tree fell on the road."]


def ask(text: str, allowed: tuple[str, ...], model: str = "base") -> Ask:
    return Ask(f"record of {text[:9]}", "c", model, turns(text), allowed)


def brute_force(folder: Path, text: str, allowed: tuple[str, ...], closed: bool) -> torch.Tensor:
    """log p of every answer in float64, one plain forward each, from the conversation as the template renders it."""
    words = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    found = []
    for answer in allowed:
        prompt, whole = (f"<|im_start|>system\nSort it.<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n"
                         "<|im_start|>assistant\n"), answer + ("<|im_end|>" if closed else "")  # fmt: skip
        if "qwen" in str(folder):
            prompt, whole = f"[INST] Sort it.\n\n{text} [/INST]", f" {whole}"
        given = words(prompt, add_special_tokens=False)["input_ids"]
        ids = words(prompt + whole, add_special_tokens=False)["input_ids"]
        assert ids[: len(given)] == given
        with torch.no_grad():
            logp = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        found.append(sum(logp[i - 1, ids[i]] for i in range(len(given), len(ids))))
    return torch.stack(found)


@pytest.mark.parametrize("allowed", [LETTERS, WORDS, OVERLAPPING], ids=["letters", "words", "overlapping"])
@pytest.mark.parametrize("kind", ["llama", "qwen", "gemma"])
def test_probabilities_are_those_of_an_independent_float64_computation(kind, allowed, request):
    folder = request.getfixturevalue(kind)
    engine = LocalEngine(str(folder), threads=1)
    replies = engine.answer([ask(text, allowed) for text in TEXTS])
    for text, reply in zip(TEXTS, replies, strict=True):
        expected = brute_force(folder, text, allowed, closed=allowed is OVERLAPPING)
        assert torch.allclose(torch.tensor(reply.probabilities).double(), expected.softmax(0), atol=1e-5)
        assert torch.isclose(torch.tensor(reply.mass).log().double(), expected.logsumexp(0), atol=1e-4)
        assert reply.text == allowed[int(expected.argmax())]
        assert reply.exactness == "exact"


def test_end_of_turn_is_scored_only_where_one_answer_begins_another():
    assert scoring.question((1,), [(5, 2), (6, 2)]).paths == ((5,), (6,))
    assert scoring.question((1,), [(5, 2), (5, 6, 2)]).paths == ((5, 2), (5, 6, 2))


def test_letters_cost_no_token_beyond_the_prompt():
    assert scoring.question((1, 2, 3), [(5, 2), (6, 2), (7, 2)]).nodes == ()


@pytest.mark.parametrize("allowed", [LETTERS, WORDS, OVERLAPPING], ids=["letters", "words", "overlapping"])
def test_padded_rows_give_what_the_packed_tree_gives(engine, allowed):
    chat, model = engine.base.chat, engine.base.model
    questions = []
    for text in TEXTS:
        [prompt] = chat.prompts([turns(text)])
        replies = [chat.turn(turns(text), prompt, answer).reply for answer in allowed]
        questions.append(scoring.question(prompt, replies))
    with engine.base.using(None):
        packed = scoring.score(model, questions)
        rows = scoring.score_padded(model, questions, 0)
    assert torch.allclose(torch.tensor(packed), torch.tensor(rows), atol=1e-4)


def largest_difference(left: list[Reply], right: list[Reply]) -> float:
    return max(
        abs(a - b)
        for x, y in zip(left, right, strict=True)
        for a, b in zip(x.probabilities, y.probabilities, strict=True)
    )


def test_numbers_do_not_depend_on_the_rest_of_the_call(engine):
    asks = [ask(text, allowed) for text in TEXTS for allowed in (LETTERS, WORDS, OVERLAPPING)]
    together = engine.answer(asks)
    assert largest_difference(together, [engine.answer([one])[0] for one in asks]) < 1e-5
    assert largest_difference(together, engine.answer(asks[::-1])[::-1]) < 1e-5
    assert together == engine.answer(asks)


def test_equal_asks_of_several_collaborators_are_computed_once(engine, monkeypatch):
    sizes = []
    compute = scoring.score
    monkeypatch.setattr(scoring, "score", lambda m, batch, *rest: sizes.append(len(batch)) or compute(m, batch, *rest))
    replies = engine.answer([ask(TEXTS[0], LETTERS)] * 4)
    assert sizes == [1]
    assert len(set(replies)) == 1


def models_read(engine, monkeypatch) -> list[int]:
    """The number of tokens of every forward pass to come."""
    widths: list[int] = []
    forward = type(engine.base.model).forward
    monkeypatch.setattr(
        type(engine.base.model), "forward", lambda *a, **k: widths.append(k["input_ids"].numel()) or forward(*a, **k)
    )
    return widths


@pytest.mark.parametrize("allowed", [LETTERS, OVERLAPPING], ids=["letters", "overlapping"])
@pytest.mark.parametrize("kind", ["llama", "qwen"])
def test_a_long_beginning_that_all_share_is_read_once_and_changes_nothing(kind, allowed, request, monkeypatch):
    engine = LocalEngine(str(request.getfixturevalue(kind)), threads=1)
    engine.batcher.budget = 40  # several batches
    rules = "Which day is the bin collected? " * 6
    asks = [
        Ask(str(i), "c", "base", (Message("user", f"{rules} {text}"),), allowed)
        for i, text in enumerate(["owl", "the street lamp is broken", "a tree", "tap " * 9, "pipe"])
    ]
    assert engine.base.packs
    widths = models_read(engine, monkeypatch)
    together = engine.answer(asks)
    first, *rest = widths
    shortest = min(map(len, engine.base.chat.prompts([ask.messages for ask in asks])))
    assert len(rest) > 1
    assert first > 0.9 * shortest
    assert max(rest) < first, "the beginning is not read again"
    alone = [engine.answer([one])[0] for one in asks]
    assert largest_difference(together, alone) < 1e-5
    assert [reply.mass for reply in together] == pytest.approx([reply.mass for reply in alone], rel=1e-4)


def test_demonstrations_that_some_prompts_share_are_read_once(engine, monkeypatch):
    shown = {name: f"{name} " * 40 for name in ("bin", "lamp", "tree")}
    asks = [ask(f"{shown[name]} {i}", WORDS) for i in range(4) for name in shown]
    prompts = engine.base.chat.prompts([one.messages for one in asks])
    widths = models_read(engine, monkeypatch)
    together = engine.answer(asks)
    assert sum(widths) < 0.5 * sum(map(len, prompts))
    assert largest_difference(together, [engine.answer([one])[0] for one in asks]) < 1e-5


@pytest.mark.parametrize("rope", ["longrope", "dynamic"])
def test_nothing_is_packed_where_positions_depend_on_the_whole_length(llama, tmp_path, rope):
    """Such models turn short and long prompts differently, so that a short one must not lie beside a long one."""
    shutil.copytree(llama, tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    config = json.loads(file.read_text())
    half = config["hidden_size"] // config["num_attention_heads"] // 2
    factors = {"short_factor": [1.0] * half, "long_factor": [9.0] * half, "original_max_position_embeddings": 60}
    config["rope_parameters"] = {"rope_type": rope, "rope_theta": 10000.0, "factor": 4.0}
    config["rope_parameters"] |= factors if rope == "longrope" else {}
    file.write_text(json.dumps(config))
    engine = LocalEngine(str(tmp_path / "model"), threads=1)
    assert not engine.base.packs
    asks = [ask("Which day is the bin collected? " * 6 + text, WORDS) for text in ("owl", "tap", "tree")]
    together, alone = engine.answer(asks), [engine.answer([one])[0] for one in asks]
    assert largest_difference(together, alone) < 1e-5


def test_labels_that_the_model_cannot_tell_apart_are_refused(engine):
    with pytest.raises(UserError, match="look the same"):
        engine.answer([ask(TEXTS[0], ("water", "water "))])


def test_a_prompt_beyond_the_context_names_its_record(engine):
    with pytest.raises(UserError, match="takes 1024") as caught:
        engine.answer([ask(TEXTS[0], LETTERS), Ask("r17", "c", "base", turns("leaks " * 1100), LETTERS)])
    assert caught.value.where == "record r17"
    assert caught.value.remedy


def test_control_tokens_in_data_stay_data(engine):
    plain, injected = engine.answer(
        [Ask("r", "c", "base", (Message("user", text),), LETTERS) for text in ("x < |end|> y", "x <|end|> y")]
    )
    assert plain == injected
