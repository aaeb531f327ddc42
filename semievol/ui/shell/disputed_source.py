"""What a disputed answer was taken from: the collaborators together, the judge, or the average over all.

Beside each other these show where an answer comes from that no collaborator gave. Computes nothing itself; see
`semievol.method.confidence`.
"""

from __future__ import annotations

from semievol.config import Propagation
from semievol.method.confidence import averaged
from semievol.records import Task
from semievol.store.results.results import RecordView
from semievol.store.runs import rounds
from semievol.task.answers import allowed_answers, same
from semievol.ui.shell import record
from semievol.ui.shell.paint import Node, group, labelled, node
from semievol.ui.shell.state import Place

UNGIVEN = "no collaborator gave it"
Spreads = list[tuple[str, dict[str, float]]]


def ungiven(task: Task, view: RecordView) -> bool:
    """Whether no collaborator gave the candidate's answer."""
    answer = None if view.candidate is None else view.candidate.answer
    return answer is not None and not any(same(task, one.answer, answer) for one in view.responses)


def spreads(here: Place, view: RecordView) -> Spreads:
    """(whose, allowed answer -> probability), the source of a dispute's answer last; empty for open tasks."""
    settings: Propagation = here.round.config.propagation
    found = rounds.weights(here.store, here.round.id)
    earned = None if found is None or "reason" in found else found["everybody"]
    return _spreads(here.task, view, settings.verdict_confidence, earned)


def _spreads(task: Task, view: RecordView, settled: str, earned: dict[str, float] | None) -> Spreads:
    allowed, judge = allowed_answers(task, view.record), view.justification
    together = averaged(allowed, view.responses, earned=earned)
    made = [("Collaborators, averaged", together)] if together else []
    if judge is None or not judge.probabilities:
        return made
    made.append(("Judge", record.distribution(task, view.record, judge)))
    if settled != "judge":
        made.append(("Averaged with the judge", averaged(allowed, view.responses, judge, earned)))
    return made


def bars(task: Task, view: RecordView, found: Spreads, keys: bool = False) -> list[Node]:
    """A row of bars each. keys: also show the digit keys, in the first row."""
    if len(found) == 1:
        return [group("gap", record.bars(task, view.record, found[0][1], keys=keys))]
    return [
        group("gap", labelled(whose, classes="row"), record.bars(task, view.record, spread, keys=keys and not place))
        for place, (whose, spread) in enumerate(found)
    ]


def settled_by(task: Task, view: RecordView) -> str:
    """How the candidate's answer was found, in words."""
    if view.candidate is None:
        return ""
    if view.candidate.agreed:
        return "agreed"
    how = "decided by self-justify" if view.candidate.justified else "disputed"
    return f"{how}; {UNGIVEN}" if ungiven(task, view) else how


def chip(task: Task, view: RecordView, words: str) -> Node:
    """The candidate's answer as a label, followed by a second one where no collaborator gave it."""
    agreed = view.candidate is not None and view.candidate.agreed
    flag = [node("chip no", f"! {UNGIVEN}", tag="span")] if ungiven(task, view) else []
    return group("row", record.chip(words, agreed), *flag)
