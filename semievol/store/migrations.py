"""Bringing a database to the newest schema: numbered steps, applied in one locked transaction.

A new database gets the newest schema at once and every number with it. To change the schema: change `schema.py`,
append a step with the next number to `STEPS`, and add the old schema to the tests, which compare the two ways.
A released step is never edited.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, inspect, select, text

from semievol.errors import UserError
from semievol.store import schema
from semievol.task.prompts import suspicious


def _records_know_their_source(connection: Connection) -> None:
    for column in ("source_id", "group_id"):
        connection.exec_driver_sql(f"ALTER TABLE records ADD COLUMN {column} TEXT DEFAULT '' NOT NULL")


def _an_older_version_can_be_in_use(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE projects ADD COLUMN current_version INTEGER")


def _evidence_is_kept(connection: Connection) -> None:
    """Random reviews, the shift test, flagged texts (they could steer the model), and decisions of selected answers."""
    for column in ("shift", "fold_adapters"):
        connection.exec_driver_sql(f"ALTER TABLE rounds ADD COLUMN {column} TEXT")
    connection.exec_driver_sql("ALTER TABLE rounds ADD COLUMN decided INTEGER DEFAULT 0 NOT NULL")
    connection.exec_driver_sql("ALTER TABLE candidates ADD COLUMN flagged BOOLEAN DEFAULT false NOT NULL")
    rows = connection.exec_driver_sql(
        "SELECT key, question, options FROM records WHERE split IN ('labeled', 'unlabeled')"
    )
    flagged = [{"key": key} for key, question, options in rows if suspicious(question, json.loads(options))]
    for found in flagged:
        connection.execute(text("UPDATE candidates SET flagged = true WHERE record_key = :key"), found)
    connection.exec_driver_sql("ALTER TABLE selected ADD COLUMN decision_id INTEGER")
    schema.metadata.create_all(connection, tables=[schema.reviews, schema.reviewed])


def _later_rounds_know_what_is_spent(connection: Connection) -> None:
    """Spent records, and the reviewer of every review answer. Step 4 makes the reviews' tables as they are now."""
    connection.exec_driver_sql("ALTER TABLE rounds ADD COLUMN spent TEXT")
    there = {column["name"] for column in inspect(connection).get_columns("reviewed")}
    for name, kind in (("reviewer", "TEXT DEFAULT ''"), ("retracted", "BOOLEAN DEFAULT false")):
        if name not in there:
            connection.exec_driver_sql(f"ALTER TABLE reviewed ADD COLUMN {name} {kind} NOT NULL")


def _collaborators_are_weighed(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE rounds ADD COLUMN weights TEXT")


def _records_have_earlier_turns(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE records ADD COLUMN earlier TEXT")


def _stages_know_what_an_attempt_found_done(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE stages ADD COLUMN found INTEGER DEFAULT 0 NOT NULL")
    kind = schema.stages.c.worked.type.compile(connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE stages ADD COLUMN worked {kind} DEFAULT 0 NOT NULL")


def _a_verifier_judges_candidates(connection: Connection) -> None:
    kind = schema.candidates.c.verifier_nll.type.compile(connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE candidates ADD COLUMN verifier_nll {kind}")


def _a_round_can_be_chosen(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE rounds ADD COLUMN chosen BOOLEAN DEFAULT false NOT NULL")


def _studies_are_runs_without_a_round(connection: Connection) -> None:
    """SQLite drops a NOT NULL only by the text of the schema (https://sqlite.org/lang_altertable.html, section 8)."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        connection.exec_driver_sql(
            "UPDATE sqlite_schema SET sql = replace(sql, 'round_id INTEGER NOT NULL', 'round_id INTEGER') "
            "WHERE type = 'table' AND name = 'runs'"
        )
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    else:
        connection.exec_driver_sql("ALTER TABLE runs ALTER COLUMN round_id DROP NOT NULL")
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN study TEXT")
    schema.metadata.create_all(connection, tables=[schema.study_results])


def _records_have_a_place_on_the_map(connection: Connection) -> None:
    kind = schema.demonstrations.c.x.type.compile(connection.dialect)
    for column in ("x", "y"):
        connection.exec_driver_sql(f"ALTER TABLE demonstrations ADD COLUMN {column} {kind}")


def _runs_know_what_responses_took(connection: Connection) -> None:
    schema.metadata.create_all(connection, tables=[schema.costs])


def _runs_know_what_they_spend(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN spent TEXT")


FIRST = 1
STEPS: list[tuple[int, Callable[[Connection], None]]] = [
    (2, _records_know_their_source),
    (3, _an_older_version_can_be_in_use),
    (4, _evidence_is_kept),
    (5, _later_rounds_know_what_is_spent),
    (6, _collaborators_are_weighed),
    (7, _records_have_earlier_turns),
    (8, _stages_know_what_an_attempt_found_done),
    (9, _a_verifier_judges_candidates),
    (10, _a_round_can_be_chosen),
    (11, _studies_are_runs_without_a_round),
    (12, _records_have_a_place_on_the_map),
    (13, _runs_know_what_responses_took),
    (14, _runs_know_what_they_spend),
]
"""(number, what to do) for every change after the first schema, in order."""


def newest() -> int:
    """Number of the schema that this code works with."""
    return STEPS[-1][0] if STEPS else FIRST


def standing(connection: Connection) -> int:
    """Number of the database's schema; 0 where there is none yet."""
    if not inspect(connection).has_table(schema.migrations.name):
        return 0
    return connection.execute(select(func.max(schema.migrations.c.number))).scalar() or 0


def check(found: int, where: str) -> bool:
    """Whether the database is up to date. Raises UserError where it is newer than this code."""
    if found > newest():
        raise UserError(
            f"The database has schema {found}, this version of the Studio knows schemas up to {newest()}.",
            where,
            "Update the Studio, or choose another workspace.",
        )
    return found == newest()


def migrate(connection: Connection, where: str) -> None:
    """Applies the missing steps. The caller holds the write lock, so a second process finds none left."""
    found = standing(connection)
    if check(found, where):
        return
    if found == 0:
        schema.metadata.create_all(connection, checkfirst=False)
        applied = [FIRST, *(number for number, _ in STEPS)]
    else:
        applied = []
        for number, step in STEPS:
            if number > found:
                step(connection)
                applied.append(number)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    connection.execute(insert(schema.migrations), [{"number": number, "applied": now} for number in applied])
