"""The ledger of rounds: what each round added, changed and broke against the round that it started from.

Computed from what is stored of two rounds, records matched by the hash of their content. Knows nothing of databases or
screens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from semievol import wording
from semievol.method import conclusions
from semievol.records import Task
from semievol.selection import claims
from semievol.task.answers import same

NEARLY = 0.9
"""Share of the accepted answers that stood in the round before, from which on they are said to be nearly the same."""


@dataclass(frozen=True)
class Known:
    """What is stored of one round.

    id, place, parent_id: see `store.runs.rounds.Round`. model: name of the base model. pool: content hash -> answer of
    the candidate. accepted: content hash -> answer of the selection that the evaluated model was trained on, else of
    the newest one; None where nothing was frozen. evidence: what was known of it then (`selection.summary.evidence`).
    decided: records that experts decided in this round. figures: its newest evaluation, as `comparison.evaluation`
    gives it; empty without one. calibration: content hash of a held-out record -> whether the round answered it
    rightly. gold: the hidden gold by content hash.
    """

    id: int
    place: int
    parent_id: int | None
    model: str
    task: Task
    pool: Mapping[str, str | None]
    accepted: Mapping[str, str] | None = None
    evidence: Mapping[str, Any] | None = None
    decided: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, bool] = field(default_factory=dict)
    gold: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What a round did with the pool of its parent.

    new: records that the parent's pool did not have. common: those that both pools have; changed: those of them with
    another answer. righted: changes from a wrong to a right answer by the hidden gold; spoiled: from a right to a wrong
    one; None without hidden gold. joined: accepted here and not by the parent; left: by the parent and not here;
    reworded: accepted by both, with different answers.
    """

    new: int
    common: int
    changed: int
    righted: int | None
    spoiled: int | None
    joined: int
    left: int
    reworded: int


@dataclass(frozen=True)
class Line:
    """A round's line in the ledger.

    model: name of its base model. after: the place of its parent. precision: what was known of the accepted answers
    when they were frozen. accuracy, low, high: of its evolved model on the test set, with the 95 % Wilson interval.
    gained, lost: test records that only this model, or only the one it is compared with, has right; p_value: of the
    mid-p McNemar test. It is compared with the parent's evolved model, in a first round with its own warm-up.
    """

    round: int
    place: int
    model: str
    after: int | None
    pool: int
    accepted: int | None
    decided: int
    change: Change | None
    precision: str
    accuracy: float | None
    low: float | None
    high: float | None
    gained: int | None
    lost: int | None
    p_value: float | None
    sentence: str


def lines(rounds: Sequence[Known]) -> list[Line]:
    """A line per round, in the order given; a parent that is not among them counts as unknown."""
    by_id = {one.id: one for one in rounds}
    return [_line(one, by_id.get(one.parent_id) if one.parent_id is not None else None) for one in rounds]


def change(now: Known, before: Known) -> Change:
    """What `now` did with the pool of `before`."""
    common = now.pool.keys() & before.pool.keys()
    changed = {key for key in common if not _alike(now.task, now.pool[key], before.pool[key])}
    righted = spoiled = None
    if now.gold:
        right = [(_right(now, before, key), _right(now, now, key)) for key in changed if key in now.gold]
        righted, spoiled = right.count((False, True)), right.count((True, False))
    here, there = now.accepted or {}, before.accepted or {}
    both = here.keys() & there.keys()
    return Change(
        new=len(now.pool) - len(common),
        common=len(common),
        changed=len(changed),
        righted=righted,
        spoiled=spoiled,
        joined=len(here) - len(both),
        left=len(there) - len(both),
        reworded=sum(not _alike(now.task, here[key], there[key]) for key in both),
    )


def _line(now: Known, before: Known | None) -> Line:
    found = None if before is None else change(now, before)
    evolved = now.figures.get("evolved") or {}
    return Line(
        round=now.id,
        place=now.place,
        model=now.model,
        after=None if before is None else before.place,
        pool=len(now.pool),
        accepted=None if now.accepted is None else len(now.accepted),
        decided=now.decided,
        change=found,
        precision="; ".join(claims.sentences(now.evidence)),
        **{name: evolved.get(name) for name in ("accuracy", "low", "high")},
        **{name: now.figures.get(name) for name in ("gained", "lost", "p_value")},
        sentence=_sentence(now, found),
    )


def _sentence(now: Known, found: Change | None) -> str:
    """What the round brought, or why it did not, in plain words."""
    said = [_first(now) if found is None else _against(now, found)]
    if found is not None and now.accepted:
        stood, learned = len(now.accepted) - found.joined - found.reworded, len(now.accepted)
        if stood >= NEARLY * learned:
            said.append(f"The model learned from nearly the same answers: {stood:,} of {learned:,} stood there before.")
    if found is not None and found.righted is not None and found.changed:
        said.append(
            f"Measured with hidden gold, {found.righted:,} of the changes turned right and {found.spoiled:,} wrong."
        )
    said.append(conclusions.outcome(now.figures, found is not None))
    return " ".join(one for one in said if one)


def _first(now: Known) -> str:
    start = f"Round {now.place} started from the base model {now.model}"
    records = wording.plural(len(now.pool), "record")
    if now.accepted is not None:  # also what experts answered where the models did not
        return f"{start} and accepted answers to {len(now.accepted):,} of {records}."
    answered = sum(answer is not None for answer in now.pool.values())
    some = f"{answered:,} of " if answered < len(now.pool) else ""
    return f"{start} and answered {some}{records}; nothing is accepted yet."


def _against(now: Known, found: Change) -> str:
    common, new = wording.plural(found.common, "record"), wording.plural(found.new, "new record")
    said = f"Round {now.place} changed its answers to {found.changed:,} of {common} and added {new}"
    if now.accepted is None:
        return f"{said}; nothing is accepted yet."
    return f"{said}; {wording.plural(found.joined, 'answer')} newly accepted, {found.left:,} no longer."


def _alike(task: Task, left: str | None, right: str | None) -> bool:
    return left == right or same(task, left, right)


def _right(now: Known, of: Known, key: str) -> bool:
    return same(now.task, of.pool[key], now.gold[key])
