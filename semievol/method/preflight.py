"""Before any training: do alike questions have alike answers in the labeled data, and which labels contradict theirs?

Each labeled record is answered from the others alone, by the vote of its nearest ones and by a regression on the
embedder's vectors. This takes seconds, and says whether what propagates in context has something to propagate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from semievol.config import Config, Voter
from semievol.importing.splits import cut_folds
from semievol.method import label_errors, metrics, voters
from semievol.method.label_errors import Suspect
from semievol.method.protocols import Engine, Plan
from semievol.records import Record, Response, Task
from semievol.task.answers import same
from semievol.wording import percent

FOLDS = 5
FEWEST = 10
"""Labeled records below which a share of right answers says nothing."""
STRONG = 0.2
"""Least share of the most frequent label's errors that the better way avoids, for propagation to be a clear help."""
_BY = {"neighbours": "their nearest ones", "regression": "a regression on all others"}


@dataclass(frozen=True)
class Way:
    """How often one way answers a labeled record rightly from the others: share, and its 95 % Wilson interval."""

    right: float
    low: float
    high: float


@dataclass(frozen=True)
class Preflight:
    """records: labeled ones. majority: share of the most frequent label. ways: voter -> how well it does; those that do
    not fit the task are left out. suspects: records whose label their neighbours contradict, the most suspect first."""

    records: int
    majority: float
    ways: dict[str, Way]
    suspects: list[Suspect]

    @property
    def verdict(self) -> str:
        """Whether propagation is likely to help, in a sentence or two."""
        if self.records < FEWEST or not self.ways:
            return "Not known: too few labeled records, or no fixed answers that recur."
        name = max(self.ways, key=lambda way: self.ways[way].right)
        best = self.ways[name]
        said = f"Answered by {_BY[name]}, {percent(best.right, 0)} of the labeled records come out right"
        beside = f"the most frequent label alone would be right on {percent(self.majority, 0)}"
        if best.low <= self.majority:
            return (
                f"{said}; {beside}, which is no clear difference. Alike questions do not have alike answers here, so "
                "demonstrations will help little; what helps must come from the model's own training."
            )
        spared = (best.right - self.majority) / max(1 - self.majority, 1e-9)
        strength = "Propagation is likely to help" if spared >= STRONG else "Propagation may help a little"
        return f"{said}; {beside}. {strength}: alike questions have alike answers."


def examine(engine: Engine, config: Config, task: Task, labeled: Sequence[Record]) -> Preflight:
    """Answers every labeled record from the others: the neighbours leave out the record and its copies, the regression
    is fitted without the record's fold."""
    known = [record for record in labeled if record.answer is not None]
    plan = Plan(task, config, known, ())
    said: list[Response] = []
    ways: dict[str, Way] = {}
    pollings: list[tuple[Voter, list[frozenset[str]]]] = [("neighbours", [])]
    if task.closed and len(known) >= FEWEST:
        pollings.append(("regression", cut_folds(known, FOLDS, config.seed)))
    # A record's own answer is no recurring one, so options are looked for in the other half.
    halves = (known[::2], known[1::2]) if task.kind == "multiple_choice" else (known, known)
    for how, folds in pollings if len(known) >= FEWEST else ():
        if voters.obstacle(task, *halves, how):
            continue
        mine = _polled(plan, engine, how, folds)
        hits = sum(same(task, one.answer, record.answer) for one, record in zip(mine, known, strict=True))
        ways[how] = Way(hits / len(known), *metrics.wilson(hits, len(known)))
        said += mine
    suspects: list[Suspect] = []
    if task.closed and ways:
        suspects = label_errors.suspects(task, known, label_errors.spreads(task, known, said, None))
    return Preflight(len(known), _majority(plan, cut_folds(known, FOLDS, config.seed)), ways, suspects)


def _majority(plan: Plan, folds: Sequence[frozenset[str]]) -> float:
    """Share of labeled records that have the most frequent answer. Options of multiple choice that recur are counted
    without the record's fold, else its right one could be the only one that ever was an answer; where none recur, it is
    the most frequent letter."""
    known, right = plan.labeled, 0
    if plan.task.kind == "multiple_choice" and voters.obstacle(plan.task, known[::2], known[1::2], "neighbours"):
        return max(Counter(record.answer for record in known).values(), default=0) / max(len(known), 1)
    parts = [frozenset(record.content_hash for record in known)] if plan.task.kind != "multiple_choice" else folds
    for fold in parts:
        inside = [record for record in known if record.content_hash in fold]
        counted = known if len(parts) == 1 else [record for record in known if record.content_hash not in fold]
        given = voters.majority(replace(plan, labeled=counted), inside) if counted else []
        right += sum(same(plan.task, one.answer, record.answer) for one, record in zip(given, inside, strict=False))
    return right / max(len(known), 1)


def _polled(plan: Plan, engine: Engine, how: Voter, folds: Sequence[frozenset[str]]) -> list[Response]:
    """A response to every labeled record, in their order. folds: fitted without each; none for a vote that leaves a
    record and its copies out by itself."""
    if not folds:
        return voters.poll(plan, engine, how, how, plan.labeled)
    found: dict[str, Response] = {}
    for fold in folds:
        inside = [record for record in plan.labeled if record.content_hash in fold]
        without = replace(plan, labeled=[record for record in plan.labeled if record.content_hash not in fold])
        if len({record.answer for record in without.labeled}) > 1:
            found |= {one.record_id: one for one in voters.poll(without, engine, how, how, inside)}
    return [found.get(r.id) or Response(r.id, how, "", None, exactness="absent") for r in plan.labeled]
