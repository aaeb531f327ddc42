"""Labels given or corrected on a page: noted at once, then made into the next dataset version together.

A version never changes, so a label waits until somebody makes the next version; a copy of all records for every single
label would be slow.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, update

from semievol.errors import UserError
from semievol.records import Task
from semievol.store import schema, settings
from semievol.store.data.records import find_record
from semievol.store.data.versions import id_in_use, next_version, task_in
from semievol.store.database import Store
from semievol.task.answers import parse

CHANGEABLE = ("labeled", "unlabeled")
"""Splits whose records can be labeled; the answers of test records are not touched here."""


def waiting(store: Store, project_id: int) -> dict[str, str]:
    """Record id -> the label that waits for the next version."""
    with store.read() as connection:
        return _waiting(connection, project_id)


def note(store: Store, project_id: int, record_id: str, label: str | None) -> None:
    """Notes the label of a labeled or unlabeled record of the version in use; None takes it back.

    Raises UserError where there is no such record, or the label is no answer to it.
    """
    with store.write() as connection:
        found = _waiting(connection, project_id)
        found.pop(record_id, None)
        if label is not None:
            version_id = id_in_use(connection, project_id)
            _, record = find_record(connection, version_id, record_id)
            if record.split not in CHANGEABLE:
                raise UserError(
                    "Only labeled and unlabeled records can be labeled here.", f"record {record_id}", "Choose another."
                )
            answer = parse(task_in(connection, version_id), record, label)
            if answer is None:
                what = f'"{label[:80]}" is no answer to this record.'
                raise UserError(what, f"record {record_id}", "Give one as the others have.")
            if answer != record.answer:
                found[record_id] = answer
        settings.write(connection, settings.labels_of(project_id), found)


def discard(store: Store, project_id: int) -> None:
    """Forgets all labels that wait."""
    with store.write() as connection:
        settings.write(connection, settings.labels_of(project_id), {})


def make_version(store: Store, project_id: int) -> int:
    """Makes the next version, in which every waiting label is the known answer of its record, and returns its id. An
    unlabeled record becomes a labeled one, and its hidden gold is dropped. Labels of records that the version in use
    does not have, and those that its task no longer knows, go on waiting. Raises UserError where there is none to use.
    """
    r, v, g = schema.records.c, schema.versions.c, schema.hidden_gold.c
    with store.write() as connection:
        labels = _waiting(connection, project_id)
        version_id = next_version(connection, project_id)
        unused, task = {}, task_in(connection, version_id)
        for record_id, label in labels.items():
            answer = _answer_of(connection, version_id, task, record_id, label)
            if answer is None:
                unused[record_id] = label
                continue
            mine = (r.version_id == version_id) & (r.record_id == record_id)
            connection.execute(update(schema.records).where(mine).values(answer=answer, split="labeled"))
            gold = (g.version_id == version_id) & (g.record_id == record_id)
            connection.execute(delete(schema.hidden_gold).where(gold))
        if len(unused) == len(labels):
            raise UserError("No label waits for these records.", "labels", "Give or correct a label first.")
        known = connection.execute(select(v.counts).where(v.id == version_id)).scalar_one()
        sizes = select(r.split, func.count()).where(r.version_id == version_id).group_by(r.split)
        counts = dict.fromkeys(known, 0) | {row.split: row[1] for row in connection.execute(sizes)}
        connection.execute(update(schema.versions).where(v.id == version_id).values(counts=counts))
        settings.write(connection, settings.labels_of(project_id), unused)
    return version_id


def _answer_of(connection: Connection, version_id: int, task: Task, record_id: str, label: str) -> str | None:
    """The label as an answer to a record of this version; None where it is none, or where there is no such record."""
    try:
        _, record = find_record(connection, version_id, record_id)
    except UserError:
        return None
    return parse(task, record, label) if record.split in CHANGEABLE else None


def _waiting(connection: Connection, project_id: int) -> dict[str, str]:
    s = schema.settings.c
    return dict(connection.execute(select(s.value).where(s.name == settings.labels_of(project_id))).scalar() or {})
