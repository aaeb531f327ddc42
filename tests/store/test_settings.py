"""Settings of the workspace: known models; never a key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from semievol.errors import UserError
from semievol.store import schema, settings
from semievol.store.database import Store
from semievol.store.settings import Model

LAB = Model("lab", "hub")


def test_the_starter_is_always_known(store: Store) -> None:
    assert settings.models(store) == [Model("starter", "starter")]


def test_models_are_saved_by_name(store: Store) -> None:
    settings.save_model(store, LAB)
    settings.save_model(store, Model("mine", "folder"))
    settings.save_model(store, replace(LAB, kind="folder"))
    assert [m.name for m in settings.models(store)] == ["starter", "mine", "lab"]
    assert settings.models(store)[2].kind == "folder"
    settings.remove_model(store, "mine")
    assert [m.name for m in settings.models(store)] == ["starter", "lab"]


@pytest.mark.parametrize("change", [{"name": ""}, {"name": "starter"}, {"kind": "endpoint"}])
def test_nonsense_is_refused(store: Store, change: dict[str, str]) -> None:
    with pytest.raises(UserError):
        settings.save_model(store, replace(LAB, **change))
    assert len(settings.models(store)) == 1


def test_an_endpoint_that_an_earlier_version_noted_is_not_listed(store: Store) -> None:
    settings.save_model(store, LAB)
    noted = {"name": "far", "kind": "endpoint", "base_url": "http://127.0.0.1:1", "model": "m", "key_variable": "KEY"}
    with store.write() as connection:
        connection.execute(
            update(schema.settings).values(value=[noted, {"name": "lab", "kind": "hub", "base_url": ""}])
        )
    assert settings.models(store) == [settings.STARTER, LAB]
