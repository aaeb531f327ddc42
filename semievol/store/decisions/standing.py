"""Standing decisions: those that no later entry of the append-only history takes back.

They are read by content, and the one that counts is written beside every candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, partial
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from semievol.records import Decision, Record, Task
from semievol.selection.decisions import standing_decision
from semievol.store import schema
from semievol.store.data.versions import task_in
from semievol.store.database import in_parts
from semievol.task.answers import allowed_answers

FIELDS = (
    *("id", "project_id", "round_id", "record_id", "content_hash", "action", "answer_shown", "answer", "note"),
    *("reviewer", "at", "undoes"),
)
COLUMNS = [schema.decisions.c[name] for name in FIELDS]
_undoing = schema.decisions.alias("undoing")


def was_undone(decision_id: Any) -> Any:
    """SQL condition: this column names a decision that was taken back; false where it names none."""
    return select(_undoing.c.id).where(_undoing.c.undoes == decision_id).exists()


STANDS = (schema.decisions.c.action != "undo", ~was_undone(schema.decisions.c.id))
"""SQL conditions: the entry is a decision, and was not taken back."""


def allowed_in(connection: Connection, version_id: int, hashes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Content hash -> the answers that a dataset version allows for it; contents that it does not have are left out."""
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
    """Writes the standing decision beside every candidate of the project that has one of these contents."""
    c, r, v = schema.candidates.c, schema.rounds.c, schema.records.c
    columns = (c.round_id, c.record_key, c.content_hash, c.answer, c.decision, c.decided_answer)
    query = select(*columns, v.version_id, v.options).join(schema.rounds, r.id == c.round_id)
    query = query.join(schema.records, v.key == c.record_key).where(r.project_id == project_id)
    wanted = list(dict.fromkeys(hashes))
    decisions = standing_for(connection, project_id, wanted)
    task_of = cache(partial(task_in, connection))
    changes = []
    for some in in_parts(wanted):
        for row in connection.execute(query.where(c.content_hash.in_(some))):
            allowed = _allowed(task_of(row.version_id), row.options)
            now = standing_decision(decisions.get(row.content_hash, ()), row.answer, allowed)
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
