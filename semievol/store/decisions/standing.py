"""What the standing decisions on a record's content come to for a candidate, and writing that beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, select, update

from semievol.records import Record, Task
from semievol.store import schema
from semievol.store.data.versions import task_in
from semievol.store.decisions.undone import STANDS
from semievol.task.answers import allowed_answers

Action = Literal["accept", "reject", "edit", "skip", "ambiguous", "undo"]
ACTIONS = ("accept", "reject", "edit", "skip", "ambiguous")
ASSERTS = ("accept", "edit")
ABOUT_RECORD = ("accept", "edit", "ambiguous")

FIELDS = (
    *("id", "project_id", "round_id", "record_id", "content_hash", "action", "answer_shown", "answer", "note"),
    *("reviewer", "at", "undoes"),
)
COLUMNS = [schema.decisions.c[name] for name in FIELDS]


@dataclass(frozen=True)
class Decision:
    """answer: what the expert asserts (accept: the answer shown, edit: another one), None for the other actions."""

    id: int
    project_id: int
    round_id: int
    record_id: str
    content_hash: str
    action: Action
    answer_shown: str | None
    answer: str | None
    note: str
    reviewer: str
    at: float
    undoes: int | None


def effective(decisions: Sequence[Decision], allowed: Sequence[str] = ()) -> list[Decision]:
    """The standing decisions on one content that still have a say, the weakest first.

    Of those that apply to a candidate (see `applies`) the last one counts: a skip gives way to everything; what was
    said last about the record wins over a reject of another answer; an asserted answer falls when it is rejected later,
    and where it is not among the `allowed` ones, those of the dataset version at hand (empty: any).
    """
    ordered = sorted(decisions, key=lambda d: d.id)
    by_answer = {d.answer_shown: d for d in ordered if d.action == "skip"}
    rejected = {d.answer_shown: d for d in ordered if d.action == "reject"}
    said = next((d for d in reversed(ordered) if d.action in ABOUT_RECORD), None)
    if said is not None:
        fallen = rejected.get(said.answer if said.action in ASSERTS else said.answer_shown)
        gone = bool(allowed) and said.action in ASSERTS and said.answer not in allowed
        if gone or (fallen is not None and fallen.id > said.id):
            said = None
    return [*by_answer.values(), *rejected.values(), *([said] if said else [])]


def applies(decision: Decision, answer: str | None) -> bool:
    """Whether a decision speaks about a candidate with this answer."""
    return decision.action in ABOUT_RECORD or decision.answer_shown == answer


def verdict(decisions: Sequence[Decision], answer: str | None, allowed: Sequence[str] = ()) -> Decision | None:
    """What the standing decisions on one content come to for a candidate with this answer; allowed: see `effective`."""
    return next((d for d in reversed(effective(decisions, allowed)) if applies(d, answer)), None)


def allowed_in(connection: Connection, version_id: int, hashes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Content hash -> the answers that a dataset version allows for it; those that it does not have are left out."""
    r = schema.records.c
    task = task_in(connection, version_id)
    query = select(r.content_hash, r.options).where(r.version_id == version_id)
    found: dict[str, tuple[str, ...]] = {}
    for some in in_parts(dict.fromkeys(hashes)) if task.closed else ():
        rows = connection.execute(query.where(r.content_hash.in_(some)))
        found |= {content: _allowed(task, options) for content, options in rows}
    return found


def standing_for(connection: Connection, project_id: int, hashes: Iterable[str]) -> dict[str, list[Decision]]:
    """As `standing`, for some contents, inside the caller's transaction."""
    found: dict[str, list[Decision]] = {}
    for some in in_parts(dict.fromkeys(hashes)):
        found |= standing_in(connection, project_id, some)
    return found


def standing_in(
    connection: Connection, project_id: int, hashes: Sequence[str] | None = None
) -> dict[str, list[Decision]]:
    c = schema.decisions.c
    query = select(*COLUMNS).where(c.project_id == project_id, *STANDS).order_by(c.content_hash, c.id)
    found = load(connection, query if hashes is None else query.where(c.content_hash.in_(hashes)))
    return {content: list(group) for content, group in groupby(found, key=lambda d: d.content_hash)}


def refresh_candidates(connection: Connection, project_id: int, hashes: Iterable[str]) -> None:
    """Writes what the decisions on these contents come to beside every candidate of the project that has them."""
    c, r, v = schema.candidates.c, schema.rounds.c, schema.records.c
    columns = (c.round_id, c.record_key, c.content_hash, c.answer, c.decision, c.decided_answer)
    query = select(*columns, v.version_id, v.options).join(schema.rounds, r.id == c.round_id)
    query = query.join(schema.records, v.key == c.record_key).where(r.project_id == project_id)
    wanted = list(dict.fromkeys(hashes))
    said = standing_for(connection, project_id, wanted)
    task_of = cache(partial(task_in, connection))
    changes = []
    for some in in_parts(wanted):
        for row in connection.execute(query.where(c.content_hash.in_(some))):
            allowed = _allowed(task_of(row.version_id), row.options)
            now = verdict(said.get(row.content_hash, ()), row.answer, allowed)
            decision, decided = (now.action, now.answer) if now else (None, None)
            if (decision, decided) != (row.decision, row.decided_answer):
                changes.append({"of": row.round_id, "key": row.record_key, "decision": decision, "decided": decided})
    if changes:
        where = (c.round_id == bindparam("of"), c.record_key == bindparam("key"))
        values: dict[str, Any] = {"decision": bindparam("decision"), "decided_answer": bindparam("decided")}
        connection.execute(update(schema.candidates).where(*where).values(**values), changes)


def _allowed(task: Task, options: Sequence[str]) -> tuple[str, ...]:
    """Answers that a record with these options can have; empty for open tasks."""
    return allowed_answers(task, Record("", "", tuple(options)))


def load(connection: Connection, query: Any) -> list[Decision]:
    return [Decision(*row) for row in connection.execute(query)]


def in_parts(hashes: Iterable[str]) -> Iterator[list[str]]:
    """Few enough at a time for one statement's parameters."""
    wanted = list(hashes)
    for start in range(0, len(wanted), 500):
        yield wanted[start : start + 500]
