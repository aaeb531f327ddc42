"""Rounds: one pass of the seven stages under fixed propagation settings, found again or opened beside the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from semievol import config as settings
from semievol.config import Config
from semievol.errors import UserError
from semievol.store import schema
from semievol.store.database import Store, timestamp
from semievol.store.versions import inserted_id

_COLUMNS = [
    schema.rounds.c[name] for name in ("id", "project_id", "number", "parent_id", "version_id", "config", "created")
]


@dataclass(frozen=True)
class Round:
    """config: the settings with which the round was opened; a run in it may differ in policy and tuning."""

    id: int
    project_id: int
    number: int
    parent_id: int | None
    version_id: int
    config: Config
    created: str


def open_round(store: Store, project_id: int, config: Config, parent_id: int | None = None) -> Round:
    """The project's round with its newest data, this parent and these propagation settings; opened if there is none.

    What decides identity: data version, parent, model, seed, precision, propagation and the calibration cut.
    """
    c = schema.rounds.c
    with store.write() as connection:
        version_id = _newest_version(connection, project_id)
        number = 1
        if parent_id is not None:
            parent = connection.execute(select(c.number).where(c.id == parent_id, c.project_id == project_id)).scalar()
            if parent is None:
                raise UserError(f"There is no round {parent_id} in this project.", "parent round", "Choose another.")
            number = parent + 1
        identity = _identity(version_id, parent_id, config)
        where = (c.project_id == project_id, c.identity == identity)
        round_id = connection.execute(select(c.id).where(*where)).scalar()
        if round_id is None:
            values: dict[str, Any] = {
                "project_id": project_id,
                "number": number,
                "parent_id": parent_id,
                "version_id": version_id,
            }
            values |= {"identity": identity, "config": config.model_dump(mode="json"), "created": timestamp()}
            round_id = inserted_id(connection, schema.rounds, values)
    return get_round(store, round_id)


def get_round(store: Store, id: int) -> Round:
    """The round with this id. Raises UserError where there is none."""
    with store.read() as connection:
        row = connection.execute(select(*_COLUMNS).where(schema.rounds.c.id == id)).one_or_none()
    if row is None:
        raise UserError(f"There is no round {id}.", "round", "Choose another round.")
    return _as_round(row)


def list_rounds(store: Store, project_id: int) -> list[Round]:
    """The project's rounds, newest last."""
    query = select(*_COLUMNS).where(schema.rounds.c.project_id == project_id).order_by(schema.rounds.c.id)
    with store.read() as connection:
        return [_as_round(row) for row in connection.execute(query)]


def bump(connection: Connection, *, round_id: int | None = None, project_id: int | None = None) -> None:
    """Marks the results or decisions of a round, or of all rounds of a project, as changed (see `results.revision`)."""
    c = schema.rounds.c
    where = c.id == round_id if round_id is not None else c.project_id == project_id
    connection.execute(update(schema.rounds).where(where).values(revision=c.revision + 1))


def _newest_version(connection: Connection, project_id: int) -> int:
    c = schema.versions.c
    newest = connection.execute(select(func.max(c.id)).where(c.project_id == project_id)).scalar()
    if newest is None:
        raise UserError("The project has no data yet.", "data", "Import labeled and unlabeled records first.")
    return int(newest)


def _identity(version_id: int, parent_id: int | None, config: Config) -> str:
    values = config.model_dump(mode="json")
    parts = {key: values[key] for key in ("model", "seed", "precision", "propagation", "calibration")}
    if config.calibration:
        parts["calibration_minimum"] = config.calibration_minimum
    canonical = json.dumps([version_id, parent_id, parts], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _as_round(row: Sequence[Any]) -> Round:
    id, project_id, number, parent_id, version_id, config, created = row
    return Round(id, project_id, number, parent_id, version_id, settings.validate(config), created)
