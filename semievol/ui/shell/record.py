"""One record as nodes for `paint`: question, options, demonstrations, responses, prompts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from semievol.config import Config
from semievol.method.confidence import answer_entropy
from semievol.records import ANSWERING, Demonstration, Message, Record, Response, Task, turns_of
from semievol.task.answers import LETTERS, allowed_answers
from semievol.task.prompts import by_similarity, render
from semievol.ui.shell.formats import MEASURE_SCALES, MEASURE_TERMS, MEASURE_WORDS, confidence, percent, score
from semievol.ui.shell.paint import Node, group, labelled, node

_WORD = re.compile(r"\w+")
_COMMON = """about above after again also another because been before being between both could does down each from
further have having here into itself just more most only other over same should some such than that their them then
there these they this those through under until very were what when where which while will with would your"""
_HEAT = (0.95, 0.8, 0.6, 0.4, 0.2)
"""Probabilities below which a token is one shade darker."""
_EVERYDAY = frozenset(_COMMON.split())


def of_line(line: pd.Series[Any]) -> Record:
    """The record on a line of `store.data.records.records_page`."""
    answer = None if pd.isna(line["answer"]) else str(line["answer"])
    turns = turns_of(line["earlier"])
    options = tuple(line["options"] or ())
    id, text, own = (str(line[name]) for name in ("record_id", "question", "source_id"))
    return Record(id, text, options, answer, line["split"], source_id=own, earlier=turns)


def name(record: Record) -> str:
    """What people call the record: its id in their file, else the beginning of ours."""
    return record.source_id or record.id[:12]


def question(task: Task, record: Record, answer: str | None = None, options: bool = True) -> list[Node]:
    """Earlier turns, the question and, for multiple choice, its options; the option `answer` is marked."""
    said = [(node("chip", turn.role, tag="span"), node("", turn.content, tag="span")) for turn in record.earlier]
    made = [group("options", *(group("row", *turn) for turn in said))] if said else []
    made.append(node("question fold", record.question))
    if options and chosen_among(task, record):
        lines = []
        for letter, option in zip(LETTERS, record.options, strict=False):
            chip = node("chip yes" if letter == answer else "chip", letter, tag="span")
            lines.append(group("row", chip, node("", option, tag="span")))
        made.append(group("options", *lines))
    return made


def chosen_among(task: Task, record: Record) -> bool:
    """Whether the record has options of its own."""
    return task.kind == "multiple_choice" and bool(record.options)


def chip(answer: str | None, good: bool | None = None) -> Node:
    """An answer as a small label; None (a response that could not be parsed) becomes "no answer"."""
    classes = {True: "chip yes", False: "chip no", None: "chip"}[good]
    return node(classes, "no answer" if answer is None else answer, tag="span")


def named_answer(task: Task, record: Record, answer: str | None) -> str:
    """An answer in words: the option's text beside its letter."""
    if answer is None:
        return "no answer"
    if task.kind == "multiple_choice" and answer in LETTERS[: len(record.options)]:
        return f"{answer} · {record.options[LETTERS.index(answer)]}"
    return answer


KEYS = 9
"""How many answers can be chosen by a digit key in reviews."""


def keyed(task: Task, record: Record, answer: str, place: int) -> Node:
    """An answer with the digit key that chooses it, if any. place: position among the allowed answers, from 0."""
    digit = [node("key", str(place + 1), tag="span")] if place < KEYS else []
    named = named_answer(task, record, answer)
    return group("name", *digit, node("", named, tag="span"), hint=named)


def bars(task: Task, record: Record, probabilities: Mapping[str, float], keys: bool = False) -> Node:
    """The probability of every allowed answer as a bar with its number. keys: also show the digit key of each.

    Options are named by their letters: their texts are long, and stand with the question.
    """
    top = max(probabilities, key=lambda answer: probabilities[answer], default=None)
    cells: list[Node] = []
    for place, (answer, value) in enumerate(probabilities.items()):
        fill = node("fill top" if answer == top else "fill", width=100 * value)
        named = answer if chosen_among(task, record) else named_answer(task, record, answer)
        name = node("name", named, hint=named)
        cells.append(keyed(task, record, answer, place) if keys else name)
        cells.append(group("track1", fill, label=f"probability {percent(value)}"))
        cells.append(node("num", percent(value)))
    return group("probs", *cells)


def distribution(task: Task, record: Record, response: Response) -> dict[str, float]:
    """Allowed answer -> probability of one response; empty for open tasks."""
    return dict(zip(allowed_answers(task, record), response.probabilities, strict=False))


def response(
    task: Task,
    record: Record,
    said: Response,
    title: str | None = None,
    how: str = "",
    words: Sequence[str] | None = None,
) -> Node:
    """One collaborator's answer with its probabilities or, for open tasks, its text and those of its tokens.

    how: what the answer rests on, where that is no language model. words: the text of every token, "" for the one that
    ended the answer; None where that is not known.
    """
    top = labelled(title or said.collaborator, chip(said.answer), classes="between")
    below: list[Node] = [node("note", how, tag="p")] if how else []
    spread = distribution(task, record, said)
    if spread:
        below += [bars(task, record, spread), _doubt(answer_entropy(tuple(spread), [said]))]
        if said.mass is not None:
            off = "" if said.mass >= ANSWERING else "; most of its probability is on other text"
            below.append(node("num", f"probability of an allowed answer: {percent(said.mass)}{off}"))
    else:
        below += [] if words else [node("mono", said.text)]
        if said.token_logprobs:
            below.append(strip(said.token_logprobs, words))
            value = confidence("mean_nll", -sum(said.token_logprobs) / len(said.token_logprobs))
            lowest = confidence("mean_nll", -min(said.token_logprobs))
            below.append(node("num", f"confidence per token {value}, the lowest {lowest}"))
        if said.token_logprobs and not words:
            below.append(node("num", "which word a box stands for cannot be said: the tokens were not kept"))
    if said.exactness != "exact":
        bound = said.exactness == "bound"
        below.append(node("num", "confidence is a bound, not exact" if bound else "no confidence available"))
    return group("demo", top, group("stack gap", *below))


def strip(logprobs: Sequence[float], words: Sequence[str] | None) -> Node:
    """Every token of an answer, the darker the less probable it was, with its probability on hover."""
    cells = []
    for place, value in enumerate(logprobs):
        share = math.exp(value)
        word, said = (words[place] if words else ""), percent(share)
        ended = bool(words) and place == len(logprobs) - 1 and not word
        kind = f"token heat{sum(share < step for step in _HEAT)}"
        if word:
            cells.append(node(kind, word, tag="span", hint=said))
        else:
            hint = f"{said}, that the answer ends here" if ended else said
            cells.append(group(f"{kind} blank", tag="span", hint=hint, label=hint))
    return node("mono strip", None, *cells)


def _doubt(entropy: float | None) -> Node:
    words = f"{MEASURE_WORDS['answer_entropy']} ({MEASURE_TERMS['answer_entropy']}) {score(entropy)}"
    return node("num", f"{words}, {MEASURE_SCALES['answer_entropy']}")


def reply(task: Task, question: Record, said: Mapping[str, Any], model: str, how: str = "") -> Node:
    """What a model answered to a question on the page. model: its name. how: with which demonstrations it was asked."""
    spread = said.get("probabilities")
    below = [bars(task, question, spread) if spread else node("mono", said["text"])]
    if said.get("entropy") is not None:
        below.append(_doubt(said["entropy"]))
    top = [group("between", labelled(model), chip(said["answer"])), *([node("num", how)] if how else [])]
    return group("demo", *top, group("stack gap", *below))


def terms(text: str) -> set[str]:
    """Words worth comparing: case-folded, longer than three letters, and not everyday words."""
    return {word for word in (w.casefold() for w in _WORD.findall(text)) if len(word) > 3} - _EVERYDAY


def marked(text: str, shared: set[str], limit: int = 1200) -> Node:
    """Text with the shared terms marked."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    pieces: list[Node] = []
    start = 0
    for match in _WORD.finditer(text):
        if match.group().casefold() in shared:
            pieces.append(node("", text[start : match.start()], tag="span"))
            pieces.append(node("", match.group(), tag="mark"))
            start = match.end()
    pieces.append(node("", text[start:], tag="span"))
    return group("body", *pieces)


def demonstration(task: Task, asked: Record, shown: Demonstration, name: str) -> Node:
    """A demonstration for the record `asked`: its name, label and similarity, and the shared words marked."""
    shared = terms(asked.question) & terms(shown.record.question)
    similarity = node("num", f"similarity {score(shown.similarity)}", tag="span")
    top = group("between", labelled(name, chip(shown.record.answer, True)), similarity)
    bottom = [node("num gap", f"shared words: {', '.join(sorted(shared)[:12])}")] if shared else []
    answer = named_answer(task, shown.record, shown.record.answer)
    if answer != shown.record.answer:
        bottom.insert(0, node("num", f"answer {answer}"))
    return group("demo", top, marked(shown.record.question, shared), *bottom)


def prompt(messages: Sequence[Message]) -> str:
    """Chat turns as plain text, for `st.code`."""
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in messages)


def exact_prompt(task: Task, config: Config, record: Record, shown: Sequence[Demonstration] = ()) -> str:
    """The prompt that a model reads for this record with these settings, the least similar demonstration first."""
    return prompt(render(task, record, by_similarity(shown), rule_first=config.rule_first))
