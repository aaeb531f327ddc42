"""The card of a candidate under review: the model's answer, why it is kept or left out, votes, demonstrations."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from semievol.records import Task
from semievol.store.results.results import RecordView
from semievol.task.answers import allowed_answers
from semievol.ui.shell import behind, formats, record
from semievol.ui.shell.paint import Node, group, labelled, node

NEAREST = 3


def nodes(
    task: Task,
    view: RecordView,
    line: Mapping[Hashable, Any],
    answer: str | None,
    kept: bool,
    measure: str,
    spreads: behind.Spreads,
) -> list[Node]:
    """The card as nodes. line: the candidate's row of the pool; answer: the candidate's answer, as shown; kept: whether
    the policy keeps it; spreads: what the answer was taken from."""
    words = record.named_answer(task, view.record, answer)
    value = float(line[measure])
    why = "kept by the policy" if kept else "left out by the policy"
    if line.get("flagged"):
        why = "left out: its text reads like instructions to a model"
    settled = behind.settled_by(task, view)
    facts = f"{formats.MEASURE_WORDS[measure]} {formats.confidence(measure, value)} · {why} · {settled}"
    made = [
        group("between", labelled("Candidate", behind.chip(task, view, words)), node("num", facts, tag="span")),
        node("rule"),
        *record.question(task, view.record, answer),
    ]
    if spreads:
        made += behind.bars(task, view, spreads, keys=True)
    elif task.closed:
        allowed = allowed_answers(task, view.record)[: record.KEYS]
        digits = [record.keyed(task, view.record, one, place) for place, one in enumerate(allowed)]
        made.append(group("row gap", *digits))
    votes = [labelled(response.collaborator, record.chip(response.answer)) for response in view.responses]
    made.append(group("row gap", *votes))
    near = [
        group("line", record.chip(d.record.answer), node("num", formats.shorten(d.record.question), tag="span"))
        for d in view.demonstrations[:NEAREST]
    ]
    if near:
        made.append(group("gap stack", node("label", "Nearest labeled records"), *near))
    if view.decision is not None and view.decision.note:
        made.append(labelled("Note", node("", view.decision.note), classes="row gap"))
    return made
