"""Labels given or corrected on a page: noted at once, then made into the next dataset version together.

A version never changes, so a label waits until somebody makes the next version; a copy of all records for every single
label would be slow.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, func, select, update

from semievol.errors import UserError
from semievol.store import schema
from semievol.store.data.records import find_record
from semievol.store.data.versions import copy_version, in_use, task_in
from semievol.store.database import Store
from semievol.store.runs.progress import upsert
from semievol.task.answers import allowed_answers

CHANGEABLE = ("labeled", "unlabeled")
"""Splits whose records can be labeled; the answers of test records are not touched here."""


def waiting(store: Store, project_id: int) -> dict[str, str]:
    """Record id -> the label that waits for the next version."""
    with store.read() as connection:
        return _waiting(connection, project_id)


def note(store: Store, project_id: int, record_id: str, label: str | None) -> None:
    """Notes the label of a labeled or unlabeled record of the version in use; None takes it back.

    Raises UserError where there is no such record, or the label is not among its allowed answers.
    """
    with store.write() as connection:
        found = _waiting(connection, project_id)
        found.pop(record_id, None)
        if label is not None:
            version_id, _ = _in_use(connection, project_id)
            _, record = find_record(connection, version_id, record_id)
            allowed = allowed_answers(task_in(connection, version_id), record)
            if record.split not in CHANGEABLE:
                raise UserError(
                    "Only labeled and unlabeled records can be labeled here.", f"record {record_id}", "Choose another."
                )
            if allowed and label not in allowed:
                raise UserError(
                    f'"{label[:80]}" is not among the answers.', f"record {record_id}", f"Choose: {', '.join(allowed)}."
                )
            if label != record.answer:
                found[record_id] = label
        _store(connection, project_id, found)


def discard(store: Store, project_id: int) -> None:
    """Forgets all labels that wait."""
    with store.write() as connection:
        _store(connection, project_id, {})


def make_version(store: Store, project_id: int) -> int:
    """Makes the next version, in which every waiting label is the known answer of its record, and returns its id. An
    unlabeled record becomes a labeled one, and its hidden gold is dropped."""
    r, v, g = schema.records.c, schema.versions.c, schema.hidden_gold.c
    with store.write() as connection:
        labels = _waiting(connection, project_id)
        if not labels:
            raise UserError("No label waits.", "labels", "Give or correct a label first.")
        source_id, number = _in_use(connection, project_id)
        newest = connection.execute(select(func.max(v.number)).where(v.project_id == project_id)).scalar() or number
        project = update(schema.projects).where(schema.projects.c.id == project_id)
        connection.execute(project.values(current_version=None))
        version_id = copy_version(connection, source_id, {"number": newest + 1})
        for record_id, label in labels.items():
            mine = (r.version_id == version_id) & (r.record_id == record_id) & r.split.in_(CHANGEABLE)
            connection.execute(update(schema.records).where(mine).values(answer=label, split="labeled"))
            gold = (g.version_id == version_id) & (g.record_id == record_id)
            connection.execute(delete(schema.hidden_gold).where(gold))
        sizes = select(r.split, func.count()).where(r.version_id == version_id).group_by(r.split)
        known = connection.execute(select(v.counts).where(v.id == source_id)).scalar_one()
        counts = dict.fromkeys(known, 0) | {row.split: row[1] for row in connection.execute(sizes)}
        connection.execute(update(schema.versions).where(v.id == version_id).values(counts=counts))
        _store(connection, project_id, {})
    return version_id


def _in_use(connection: Connection, project_id: int) -> tuple[int, int]:
    """Id and number of the version in use."""
    v = schema.versions
    joined = v.join(schema.projects, in_use())
    query = select(v.c.id, v.c.number).select_from(joined).where(schema.projects.c.id == project_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UserError("The project has no data yet.", "data", "Import labeled and unlabeled records first.")
    return row.id, row.number


def _name(project_id: int) -> str:
    return f"labels {project_id}"


def _waiting(connection: Connection, project_id: int) -> dict[str, str]:
    s = schema.settings.c
    return dict(connection.execute(select(s.value).where(s.name == _name(project_id))).scalar() or {})


def _store(connection: Connection, project_id: int, found: Mapping[str, str]) -> None:
    statement = upsert(connection, schema.settings).values(name=_name(project_id), value=dict(found))
    changed = {"value": statement.excluded.value}
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))
