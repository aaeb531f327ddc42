"""Settings of the whole workspace that belong to no project and no reviewer: the models it knows, and small values."""

from __future__ import annotations

import builtins
from typing import Any

from sqlalchemy import Connection, delete, select

from semievol.errors import UserError
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.runs.progress import upsert

STARTER = {"name": "starter", "kind": "starter"}
_MODELS = "models"
_KINDS = ("folder", "hub", "endpoint")


def get(store: Store, name: str, default: Any = None) -> Any:
    """The value stored under `name`, as it was given; `default` where there is none."""
    with store.read() as connection:
        return _get(connection, name, default)


def set(store: Store, name: str, value: Any) -> None:
    """Stores a value that JSON can hold; None forgets it."""
    with store.write() as connection:
        _set(connection, name, value)


def models(store: Store) -> list[dict[str, Any]]:
    """Known models, the bundled starter first. Every one has name and kind (starter, folder, hub, endpoint); an
    endpoint also base_url, model and key_variable, the name of the environment variable that holds its key."""
    return [dict(STARTER), *get(store, _MODELS, [])]


def save_model(store: Store, model: dict[str, Any]) -> None:
    """Adds a model, or replaces the one of the same name."""
    name, kind = model.get("name", ""), model.get("kind")
    if not name or name == STARTER["name"]:
        raise UserError(f'A model cannot be called "{name}".', "name", "Choose another name.")
    if kind not in _KINDS:
        raise UserError(f'"{kind}" is not a kind of model.', "kind", f"Choose one of: {', '.join(_KINDS)}.")
    if builtins.set(model) & {"key", "api_key", "token"}:
        raise UserError("Keys are never stored.", "key", "Name the environment variable that holds it: key_variable.")
    with store.write() as connection:
        others = [known for known in _get(connection, _MODELS, []) if known["name"] != name]
        _set(connection, _MODELS, [*others, model])


def remove_model(store: Store, name: str) -> None:
    """Forgets a model; rounds that were made with it stay."""
    with store.write() as connection:
        _set(connection, _MODELS, [known for known in _get(connection, _MODELS, []) if known["name"] != name])


def _get(connection: Connection, name: str, default: Any) -> Any:
    row = connection.execute(select(schema.settings.c.value).where(schema.settings.c.name == name)).one_or_none()
    return default if row is None else row.value


def _set(connection: Connection, name: str, value: Any) -> None:
    if value is None:
        connection.execute(delete(schema.settings).where(schema.settings.c.name == name))
        return
    statement = upsert(connection, schema.settings).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value})
    )
