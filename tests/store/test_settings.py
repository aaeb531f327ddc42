"""Settings of the workspace: known models; never a key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semievol.errors import UserError
from semievol.store import settings
from semievol.store.database import Store
from semievol.store.settings import Model

ENDPOINT = Model("lab", "endpoint", base_url="http://127.0.0.1:1", model="m", key_variable="LAB_KEY")


def test_the_starter_is_always_known(store: Store) -> None:
    assert settings.models(store) == [Model("starter", "starter")]


def test_models_are_saved_by_name(store: Store) -> None:
    settings.save_model(store, ENDPOINT)
    settings.save_model(store, Model("mine", "folder"))
    settings.save_model(store, replace(ENDPOINT, model="other"))
    assert [m.name for m in settings.models(store)] == ["starter", "mine", "lab"]
    assert settings.models(store)[2].model == "other"
    settings.remove_model(store, "mine")
    assert [m.name for m in settings.models(store)] == ["starter", "lab"]


@pytest.mark.parametrize("change", [{"name": ""}, {"name": "starter"}, {"kind": "magic"}])
def test_nonsense_is_refused(store: Store, change: dict[str, str]) -> None:
    with pytest.raises(UserError):
        settings.save_model(store, replace(ENDPOINT, **change))
    assert len(settings.models(store)) == 1
