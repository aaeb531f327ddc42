"""The Settings page: a model is looked at before it is added, a removed one is gone everywhere, backups come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from streamlit.testing.v1 import AppTest

from semievol.errors import UserError
from semievol.export import backup
from semievol.jobs import inference_process, models
from semievol.store import settings
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.ui.settings import backups
from tests.endpoint_servers import MODEL, lettered, serving
from tests.ui import made
from tests.ui.conftest import painted, press, told

Visit = Callable[..., AppTest]


def _type(app: AppTest, name: str) -> AppTest:
    next(one for one in app.text_input if str(one.key).startswith("model_name_")).input(name)
    return press(app, "Add model")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/etc", "There is no config.json."),
        ("etc", "There is no folder and no GGUF file"),
        ("/no/such/folder", "There is no folder and no GGUF file"),
        ("smollm2", "comes with the Studio"),
        ("", "No model was named"),
    ],
)
def test_what_no_run_could_use_is_not_added(visit: Visit, store: Store, name: str, said: str) -> None:
    app = _type(visit("settings"), name)
    assert said in told(app)
    assert settings.models(store) == [settings.STARTER]
    if name:
        assert name in [one.value for one in app.text_input], "what was typed can be corrected"


def test_a_good_folder_is_added_and_the_field_is_empty_again(visit: Visit, store: Store, tiny_model: Path) -> None:
    app = _type(visit("settings"), f" {tiny_model} ")
    assert [one.name for one in settings.models(store)] == ["starter", str(tiny_model)]
    assert str(tiny_model) not in [one.value for one in app.text_input]


def test_a_folder_without_a_tokenizer_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny_model / name).read_bytes())
    with pytest.raises(UserError, match="no tokenizer"):
        models.looked_at(str(tmp_path), "folder")


def test_a_hub_id_is_looked_up_where_the_hub_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    response = SimpleNamespace(headers={}, request=None, status_code=404, text="")

    def answer(_: HfApi, name: str, **__: object) -> SimpleNamespace:
        if name == "owner/gone":
            raise RepositoryNotFoundError("not found", response=response)
        if name == "owner/unreachable":
            raise ConnectionError("no network")
        files = ["model.bin"] if name == "owner/pickled" else ["model.safetensors"]
        return SimpleNamespace(gated=name == "owner/gated", siblings=[SimpleNamespace(rfilename=f) for f in files])

    def refuse(_: HfApi, name: str) -> None:
        raise GatedRepoError("gated", response=response)

    monkeypatch.setattr(HfApi, "model_info", answer)
    monkeypatch.setattr(HfApi, "auth_check", refuse)
    for name, said in (("gone", "neither a folder nor a model"), ("gated", "is gated"), ("pickled", "no safetensors")):
        with pytest.raises(UserError, match=said):
            models.looked_at(f"owner/{name}", "hub")
    assert models.looked_at("owner/good", "hub") == (settings.Model("owner/good", "hub"), "")
    assert "cannot be reached" in models.looked_at("owner/unreachable", "hub")[1]


def test_a_removed_model_leaves_the_training_form(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    settings.save_model(store, settings.Model("owner/mine", "hub"))
    projects.update_project(store, project.id, settings={**project.settings, "model": "owner/mine"})
    options = visit("training", project=project.id).selectbox(key="form_model").options
    assert "owner/mine" in options
    app = visit("settings", project=project.id)
    app.selectbox(key="forget_model").select("owner/mine").run()
    assert "It is the model of Calls." in told(app)
    press(app, "Remove")
    form = visit("training", project=project.id).selectbox(key="form_model")
    assert "owner/mine" not in form.options
    assert "starter" in form.options


def test_a_tried_answer_names_its_question_whatever_is_typed_next(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request(store: Store, config: object, asked: dict, watch: object = None) -> list[dict[str, str]]:
        return [{"text": "Yes."}]

    monkeypatch.setattr(inference_process, "request", request)
    app = visit("settings")
    app.text_input(key="tried_question").input("Is 7 <b>prime</b>?")
    app = press(app, "Ask")
    assert "“Is 7 <b>prime</b>?”" in painted(app)
    app.text_input(key="tried_question").input("And 9?").run()
    assert "“Is 7 <b>prime</b>?”" in painted(app)
    assert "“And 9?”" not in painted(app)


def test_a_backup_is_made_and_restored_after_a_typed_confirmation(visit: Visit, store: Store) -> None:
    if store.file is None:
        pytest.skip("needs a database file")
    made.with_data(store)
    app = press(visit("settings"), "Make a backup")
    assert len(list((store.home / backups.FOLDER).glob(f"*{backup.ENDING}"))) == 1
    projects.create_project(store, "Later")
    app = visit("settings")
    restore = next(one for one in app.button if one.label == "Restore")
    assert restore.disabled
    app.text_input(key="restore_confirmed").input("replace").run()
    press(app, "Restore")
    assert [project.name for project in projects.list_projects(store)] == ["Calls"]
    assert len(list((store.home / backup.KEPT).iterdir())) == 1
    assert "is kept in before-restore/" in " ".join(str(one.value) for one in [*app.toast, *app.success, *app.info])


def _saved(app: AppTest, **fields: str) -> AppTest:
    for field, text in fields.items():
        next(one for one in app.text_input if str(one.key).startswith(f"endpoint_{field}_")).input(text)
    return press(app, "Save endpoint")


def test_an_endpoint_is_added_tested_and_removed(visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "sk-canary-0123456789abcdef")
    with serving(lettered) as served:
        app = _saved(visit("settings"), name="far", url=served.url, model=MODEL, variable="THE_KEY")
        assert settings.endpoints(store) == [served.endpoint(key_variable="THE_KEY")]
        assert "endpoint:far" in [one.name for one in models.choices(store, "starter")]
        app = press(app, "Test connection")
        said = told(app)
        assert "Answers: “A”" in said
        assert "of the 20 likeliest tokens" in said
        assert "Constrained answers: no" in said
        assert f"Models: {MODEL}." in said
        assert "canary" not in said
    app = press(app, "Test connection")
    assert "cannot be reached" in told(app)
    press(app, "Remove endpoint")
    assert settings.endpoints(store) == []


def test_a_key_in_place_of_its_variable_is_neither_saved_nor_repeated(visit: Visit, store: Store) -> None:
    app = _saved(visit("settings"), name="far", url="https://host/v1", model="m", variable="sk-canary-0123456789abcdef")
    assert "not the name of an environment variable" in told(app)
    assert "canary" not in told(app)
    assert settings.endpoints(store) == []
