"""Settings of the whole workspace, which belong to no project and no reviewer: the models that it knows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from semievol.errors import UserError
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.runs.progress import upsert

_MODELS = "models"
_KINDS = ("folder", "hub")
_STORED = select(schema.settings.c.value).where(schema.settings.c.name == _MODELS)


@dataclass(frozen=True)
class Model:
    """A model that the workspace knows. kind: starter, folder (also a GGUF file) or hub."""

    name: str
    kind: str


STARTER = Model("starter", "starter")


def models(store: Store) -> list[Model]:
    """Known models, the bundled starter first. Remote endpoints, which earlier versions noted, were never used."""
    stored = store.value(_STORED) or []
    return [STARTER, *(Model(one["name"], one["kind"]) for one in stored if one["kind"] in _KINDS)]


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
