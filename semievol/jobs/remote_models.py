"""The workspace's endpoints at work: checked before a run, handed to its engine, tried out, asked at once.

The openai client loads only where a server is asked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from semievol.config import Config
from semievol.endpoints import Endpoint, unknown
from semievol.store import settings
from semievol.store.database import Store

if TYPE_CHECKING:
    from semievol.engines.endpoints.asking import Endpoints


def find(store: Store, name: str) -> Endpoint:
    """The endpoint of this name. Raises UserError where there is none."""
    known = {endpoint.name: endpoint for endpoint in settings.endpoints(store)}
    if name not in known:
        raise unknown(name, known)
    return known[name]


def used(store: Store, config: Config) -> list[Endpoint]:
    """The endpoints that a run with these settings asks. Raises UserError for a name that is not known."""
    return [find(store, name) for name in config.propagation.endpoints]


def check(store: Store, config: Config) -> None:
    """Raises UserError where an endpoint of these settings is not known, its key is missing or refused, or its server
    cannot be reached."""
    for endpoint in used(store, config):
        key = endpoint.key(os.environ)
        from semievol.engines.endpoints import trial

        trial.reach(endpoint, key)


def of_run(store: Store, config: Config) -> Endpoints:
    """The endpoints of a run, for its engine. Raises UserError as `check` does."""
    from semievol.engines.endpoints.asking import Endpoints

    check(store, config)
    return Endpoints(used(store, config), os.environ)


def secrets(store: Store) -> Sequence[str]:
    """The keys of all endpoints of the workspace, to be hidden in logs."""
    held = (os.environ.get(one.key_variable, "").strip() for one in settings.endpoints(store) if one.key_variable)
    return tuple(key for key in held if key)
