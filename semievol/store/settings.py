"""Settings of the workspace, which belong to no reviewer: models and endpoints, the saved views of each project.

A saved view is a set of filters under a name. It is no setting of the project's runs, so it is kept apart from those.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select

from semievol.endpoints import Endpoint
from semievol.errors import UserError
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.runs.progress import upsert

_MODELS = "models"
_ENDPOINTS = "endpoints"
_KINDS = ("folder", "hub")
LONGEST_NAME = 60
SHORTEST_KEY = 8


@dataclass(frozen=True)
class Model:
    """A model that the workspace knows. kind: starter, folder (also a GGUF file) or hub."""

    name: str
    kind: str


STARTER = Model("starter", "starter")


def models(store: Store) -> list[Model]:
    """Known models, the bundled starter first. Endpoints have a list of their own."""
    stored = store.value(_stored(_MODELS)) or []
    return [STARTER, *(Model(one["name"], one["kind"]) for one in stored if one["kind"] in _KINDS)]


def save_model(store: Store, model: Model) -> None:
    """Adds a model, or replaces the one of the same name. Raises UserError for a name or kind that cannot be."""
    if not model.name or model.name == STARTER.name:
        raise UserError(f'A model cannot be called "{model.name}".', "name", "Choose another name.")
    if model.kind not in _KINDS:
        raise UserError(f'"{model.kind}" is not a kind of model.', "kind", f"Choose one of: {', '.join(_KINDS)}.")
    _replace(store, _MODELS, model.name, [asdict(model)])


def remove_model(store: Store, name: str) -> None:
    """Forgets a model; rounds that were made with it stay."""
    _replace(store, _MODELS, name, [])


def endpoints(store: Store) -> list[Endpoint]:
    """The workspace's endpoints, by name. Removed ones are not listed."""
    listed = [one for one in store.value(_stored(_ENDPOINTS)) or [] if not one.get("removed")]
    return sorted((_endpoint(one) for one in listed), key=lambda one: one.name)


def keys(store: Store) -> frozenset[str]:
    """The keys of endpoints, of removed ones, too, as far as their environment variables are set.

    A server of one's own often takes any key, such as "none": what is that short is no secret, and a word of texts.
    """
    variables = [one["key_variable"] for one in store.value(_stored(_ENDPOINTS)) or [] if one["key_variable"]]
    return frozenset(value for name in variables if len(value := os.environ.get(name, "").strip()) >= SHORTEST_KEY)


def save_endpoint(store: Store, endpoint: Endpoint) -> None:
    """Adds an endpoint, or replaces the one of the same name.

    A name stands for one model for ever, also after its removal: rounds hold answers under it. Raises UserError where
    it stood for another one.
    """
    with store.write() as connection:
        known = {one["name"]: one for one in connection.execute(_stored(_ENDPOINTS)).scalar() or []}
        before = known.get(endpoint.name)
        if before is not None and before["model"] != endpoint.model:
            raise UserError(
                f'The name "{endpoint.name}" stands for the model {before["model"]}, and rounds may hold its answers.',
                "name",
                "Choose another name.",
            )
        known[endpoint.name] = asdict(endpoint)
        write(connection, _ENDPOINTS, list(known.values()))


def remove_endpoint(store: Store, name: str) -> None:
    """Takes an endpoint from the list; rounds that were made with it stay."""
    with store.write() as connection:
        stored = connection.execute(_stored(_ENDPOINTS)).scalar() or []
        write(connection, _ENDPOINTS, [one | {"removed": True} if one["name"] == name else one for one in stored])


def _endpoint(stored: Mapping[str, Any]) -> Endpoint:
    return Endpoint(**{name: value for name, value in stored.items() if name != "removed"})


def views(store: Store, project_id: int) -> dict[str, dict[str, str]]:
    """The project's saved views, oldest first: name -> the filters as the address writes them."""
    return {one["name"]: one["filters"] for one in store.value(_stored(views_of(project_id))) or []}


def save_view(store: Store, project_id: int, name: str, filters: Mapping[str, str]) -> None:
    """Adds a view, or replaces the one of the same name. Raises UserError for an empty or long name."""
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise UserError(
            f"The name of a view has 1 to {LONGEST_NAME} characters; this one has {len(name)}.", "name", "Type another."
        )
    _replace(store, views_of(project_id), name, [{"name": name, "filters": dict(filters)}])


def remove_view(store: Store, project_id: int, name: str) -> None:
    """Forgets a saved view."""
    _replace(store, views_of(project_id), name, [])


def views_of(project_id: int) -> str:
    """The setting that holds a project's saved views."""
    return f"views of project {project_id}"


def labels_of(project_id: int) -> str:
    """The setting that holds the labels that wait for a project's next version."""
    return f"labels of project {project_id}"


def of_project(project_id: int) -> tuple[str, ...]:
    """All settings that belong to a project and go with it."""
    return views_of(project_id), labels_of(project_id)


def _stored(setting: str) -> Any:
    return select(schema.settings.c.value).where(schema.settings.c.name == setting)


def _replace(store: Store, setting: str, name: str, new: list[dict[str, Any]]) -> None:
    """Stores `new` instead of the entry of this name, if there is one."""
    with store.write() as connection:
        others = [known for known in connection.execute(_stored(setting)).scalar() or [] if known["name"] != name]
        write(connection, setting, [*others, *new])


def write(connection: Connection, setting: str, value: Any) -> None:
    """Stores the value of a setting, inside the caller's transaction."""
    statement = upsert(connection, schema.settings).values(name=setting, value=value)
    changed = {"value": statement.excluded.value}
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))
