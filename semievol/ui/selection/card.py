"""The card of a candidate under review: the model's answer, why it is kept or left out, votes, demonstrations."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from semievol.records import Record, Task
from semievol.selection.decisions import asserted_answer
from semievol.store.results.results import RecordView
from semievol.task.answers import LETTERS, allowed_answers
from semievol.ui.shell import disputed_source, formats, record
from semievol.ui.shell.paint import Node, group, labelled, node

LONGEST_NAME = 40
NEAREST = 3


def nodes(
    task: Task,
    view: RecordView,
    line: Mapping[Hashable, Any],
    answer: str | None,
    kept: bool,
    measure: str,
    spreads: disputed_source.Spreads,
) -> list[Node]:
    """The card as nodes: the question and its candidate, beside what speaks for it and against it.

    line: the candidate's row of the pool; answer: the one in question; kept: whether the policy keeps it;
    spreads: what the answer was taken from.
    """
    grounds = [*_why(view, line, kept, measure), *_votes(task, view), *_nearest(task, view)]
    return [group("sides", group("side", *asked(task, view, answer, spreads)), group("side", *grounds))]


def asked(task: Task, view: RecordView, answer: str | None, spreads: disputed_source.Spreads) -> list[Node]:
    """The question and its candidate, and the allowed answers with the digits that choose them."""
    options = record.chosen_among(task, view.record)
    # Options are long: each stands here once, with its key and its bars.
    named = answer or "no answer" if options else record.named_answer(task, view.record, answer)
    if answer == _given(view):
        how = node("num", disputed_source.settled_by(task, view), tag="span")
        said = labelled("Candidate", disputed_source.chip(task, view, named), how)
    else:
        theirs = record.named_answer(task, view.record, _given(view))
        said = labelled("Corrected", record.chip(named), node("num", f"the candidate was {theirs}", tag="span"))
    return [
        said,
        *record.question(task, view.record, answer, options=False),
        *([_options(view.record, answer, spreads)] if options else _answers(task, view, spreads)),
    ]


def in_question(view: RecordView) -> str | None:
    """The answer that is to be judged: the candidate's, or the one that an expert gave in its place and that stands."""
    asserted = view.decision and asserted_answer(view.decision.action, view.decision.answer, _given(view))
    return asserted or _given(view)


def _given(view: RecordView) -> str | None:
    return view.candidate.answer if view.candidate is not None else None


def _answers(task: Task, view: RecordView, spreads: disputed_source.Spreads) -> list[Node]:
    """The allowed answers with the digits that choose them, and how likely each is found."""
    if spreads:
        return disputed_source.bars(task, view, spreads, keys=True)
    allowed = allowed_answers(task, view.record)[: record.KEYS]
    digits = [record.keyed(task, view.record, one, place) for place, one in enumerate(allowed)]
    return [group("row gap", *digits)] if digits else []


def _options(shown: Record, answer: str | None, spreads: disputed_source.Spreads) -> Node:
    """Every option in a line: the digit that chooses it, its letter, its text, and how likely each source finds it."""
    several = len(spreads) > 1
    cells: list[Node] = [node(""), *(node("whose", whose) for whose, _ in spreads)] if several else []
    for place, (letter, option) in enumerate(zip(LETTERS, shown.options, strict=False)):
        digit = [node("key", str(place + 1), tag="span")] if place < record.KEYS else []
        letters = node("chip yes" if letter == answer else "chip", letter, tag="span")
        cells.append(group("row", *digit, letters, node("", option, tag="span")))
        for _, spread in spreads:
            share = spread[letter]
            fill = node("fill top" if share == max(spread.values()) else "fill", width=100 * share)
            bar = group("track1", fill, label=f"probability {formats.percent(share)}")
            number = node("num", formats.percent(share))
            cells += [group("share", number, bar)] if several else [bar, number]
    return group(f"choices of{len(spreads)}", *cells)


def _why(view: RecordView, line: Mapping[Hashable, Any], kept: bool, measure: str) -> list[Node]:
    """Why the policy keeps the candidate or leaves it out, and what was decided on it before."""
    why = "Kept by the policy" if kept else "Left out by the policy"
    if line.get("flagged"):
        why = "Left out: its text reads like instructions to a model"
    if view.candidate is not None and view.candidate.answer is None:
        why = "There is no answer, so no policy decides it"
    fact = f"{formats.MEASURE_WORDS[measure]} {formats.confidence(measure, float(line[measure]))}"
    made = [node("label", why), node("num", fact)]
    return made + decided(view)


def decided(view: RecordView) -> list[Node]:
    """Who decided what on the record; nothing if nobody did."""
    if view.decision is None:
        return []
    by = view.decision.reviewer or "somebody who did not sign"
    what = formats.DECISION_WORDS[view.decision.action]
    if view.decision.action == "edit":
        what = f"corrected to “{formats.shorten(view.decision.answer or '', 60)}”"
    made = [node("", f"Decided by {by}: {what}")]
    if view.decision.note:
        made.append(labelled("Note", node("", view.decision.note), classes="row"))
    return made


def _votes(task: Task, view: RecordView) -> list[Node]:
    """A line per collaborator, and the judge's: its answer, and how likely it finds that answer."""
    said = [(response.collaborator, response) for response in view.responses]
    if view.justification is not None:
        said.append(("judge", view.justification))
    cells: list[Node] = []
    for name, response in said:
        share = record.distribution(task, view.record, response).get(response.answer or "")
        bar = [] if share is None else [node("fill top", width=100 * share)]
        cells += [
            node("name", name),
            record.chip(response.answer),
            group("track1", *bar, label="" if share is None else f"probability {formats.percent(share)}"),
            node("num", "" if share is None else formats.percent(share)),
        ]
    return [node("label gap", "Votes"), group("votes", *cells)] if cells else []


def _nearest(task: Task, view: RecordView) -> list[Node]:
    near = [
        group(
            "line",
            record.chip(formats.shorten(record.named_answer(task, d.record, d.record.answer), LONGEST_NAME)),
            node("excerpt", formats.shorten(d.record.question), tag="span"),
        )
        for d in view.demonstrations[:NEAREST]
    ]
    return [node("label gap", "Nearest labeled records"), *near] if near else []
