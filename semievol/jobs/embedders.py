"""The embedders that a workspace can use: those that come with the Studio, and those that its projects have named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from semievol.config import Config
from semievol.engines.models import resolve, suitability
from semievol.errors import UserError
from semievol.installed import CHAR_TFIDF, EMBEDDERS, MODEL_STATES, default_embedder
from semievol.store.data.projects import list_projects
from semievol.store.database import Store


def known(store: Store, configs: Iterable[Config] = ()) -> list[str]:
    """Names of all embedders that are on this machine, none twice. Those of `configs` come first, and in any case."""
    first = [config.propagation.embedder for config in configs]
    others = [default_embedder(), *EMBEDDERS, CHAR_TFIDF, MODEL_STATES]
    others += [_named(project.settings) for project in list_projects(store, archived=True)]
    return list(dict.fromkeys([*first, *(name for name in others if name and _there(name))]))


def words(name: str, model: str) -> str:
    """An embedder's name on the screen. model: the one whose hidden states are meant by "model"."""
    return f"{Path(model).name}'s own hidden states" if name == MODEL_STATES else Path(name).name


def _named(settings: object) -> str:
    propagation = settings.get("propagation") if isinstance(settings, dict) else None
    name = propagation.get("embedder") if isinstance(propagation, dict) else None
    return name if isinstance(name, str) else ""


def _there(name: str) -> bool:
    if name in (CHAR_TFIDF, MODEL_STATES):
        return True
    if name in EMBEDDERS:
        return EMBEDDERS[name].there
    try:
        suitability.check_embedder(name)
    except UserError:
        return False
    return resolve.is_folder(name) or resolve.downloaded(name) is not None
