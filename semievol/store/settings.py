"""Settings of the whole workspace, which belong to no project and no reviewer: the models that it knows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import select

from semievol.errors import UserError
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.runs.progress import upsert

_MODELS = "models"
_KINDS = ("folder", "hub", "endpoint")
_STORED = select(schema.settings.c.value).where(schema.settings.c.name == _MODELS)


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


def models(store: Store) -> list[Model]:
    """Known models, the bundled starter first."""
    names = [field.name for field in fields(Model)]
    stored = store.value(_STORED) or []
    return [STARTER, *(Model(**{name: one[name] for name in names if name in one}) for one in stored)]


def save_model(store: Store, model: Model) -> None:
    """Adds a model, or replaces the one of the same name. Raises UserError for a name or kind that cannot be."""
    if not model.name or model.name == STARTER.name:
        raise UserError(f'A model cannot be called "{model.name}".', "name", "Choose another name.")
    if model.kind not in _KINDS:
        raise UserError(f'"{model.kind}" is not a kind of model.', "kind", f"Choose one of: {', '.join(_KINDS)}.")
    _replace(store, model.name, [asdict(model)])


def remove_model(store: Store, name: str) -> None:
    """Forgets a model; rounds that were made with it stay."""
    _replace(store, name, [])


def _replace(store: Store, name: str, new: list[dict[str, Any]]) -> None:
    """Stores `new` instead of the model of this name, if there is one."""
    with store.write() as connection:
        others = [known for known in connection.execute(_STORED).scalar() or [] if known["name"] != name]
        statement = upsert(connection, schema.settings).values(name=_MODELS, value=[*others, *new])
        changed = {"value": statement.excluded.value}
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))
