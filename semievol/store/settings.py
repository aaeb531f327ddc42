"""Settings of the whole workspace that belong to no project and no reviewer: the models it knows, and small values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Connection, delete, select

from semievol.errors import UserError
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.runs.progress import upsert

_MODELS = "models"
_KINDS = ("folder", "hub", "endpoint")


@dataclass(frozen=True)
class Model:
    """A model that the workspace knows.

    kind: starter, folder, hub or endpoint. base_url, model, key_variable: of an endpoint, where it is, what it calls
    the model, and the name of the environment variable that holds its key; keys themselves are never stored.
    """

    name: str
    kind: str
    base_url: str = ""
    model: str = ""
    key_variable: str = ""


STARTER = Model("starter", "starter")


def get(store: Store, name: str, default: Any = None) -> Any:
    """The value stored under `name`, as it was given; `default` where there is none."""
    with store.read() as connection:
        return _get(connection, name, default)


def set(store: Store, name: str, value: Any) -> None:
    """Stores a value that JSON can hold; None forgets it."""
    with store.write() as connection:
        _set(connection, name, value)


def models(store: Store) -> list[Model]:
    """Known models, the bundled starter first."""
    known = [field.name for field in fields(Model)]
    stored = get(store, _MODELS, [])
    return [STARTER, *(Model(**{name: one[name] for name in known if name in one}) for one in stored)]


def save_model(store: Store, model: Model) -> None:
    """Adds a model, or replaces the one of the same name. Raises UserError for a name or kind that cannot be."""
    if not model.name or model.name == STARTER.name:
        raise UserError(f'A model cannot be called "{model.name}".', "name", "Choose another name.")
    if model.kind not in _KINDS:
        raise UserError(f'"{model.kind}" is not a kind of model.', "kind", f"Choose one of: {', '.join(_KINDS)}.")
    with store.write() as connection:
        others = [known for known in _get(connection, _MODELS, []) if known["name"] != model.name]
        _set(connection, _MODELS, [*others, asdict(model)])


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
