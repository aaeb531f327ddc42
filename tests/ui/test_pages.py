"""Every page, cold, in the three states of a workspace: empty, with data, with results."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from semievol.errors import UserError
from semievol.presets import load
from semievol.records import Candidate, Record, Task
from semievol.store import schema
from semievol.store.data import projects, records, versions
from semievol.store.database import Store
from semievol.store.decisions import decisions, selections
from semievol.store.decisions import history as decision_history
from semievol.store.results import results
from semievol.store.runs import claims, progress, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.ui.responses import candidates, responses
from semievol.ui.shell import state
from semievol.ui.shell.session import Shell
from tests.ui import made
from tests.ui.conftest import kept, press, told

PAGES = (
    *("overview", "data", "demonstrations", "responses", "selection", "review", "training", "evaluation", "settings"),
)
Visit = Callable[..., AppTest]


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_workspace_offers_the_two_ways_to_begin(visit: Visit, store: Store, name: str) -> None:
    app = visit(name)
    if name != "settings":
        assert {"Open sample project", "New project"} <= {button.label for button in app.button}


@pytest.mark.parametrize("name", PAGES)
def test_a_project_with_data_shows_what_comes_next(visit: Visit, store: Store, name: str) -> None:
    project = made.with_data(store)
    app = visit(name, project=project.id)
    wanted = {
        "overview": "Run everything",
        "responses": "Propagate",
        "selection": "Propagate",
        "review": "Propagate",
        "training": "Propagate",
        "demonstrations": "Find demonstrations",
    }.get(name)
    assert wanted is None or wanted in {button.label for button in app.button}


@pytest.mark.parametrize("name", PAGES)
def test_a_project_with_results_opens_cold_with_project_and_round(visit: Visit, store: Store, name: str) -> None:
    project = made.with_results(store)
    app = visit(name, project=project.id, round=1)
    wanted = {
        "overview": "Evolved",
        "data": "Labels by split",
        "demonstrations": "Coverage",
        "responses": "Collaborators",
        "selection": "Freeze",
        "review": "0 decisions saved in this round.",
        "training": "Run 1",
        "evaluation": "mid-p McNemar",
        "settings": "Workspace",
    }
    assert wanted[name] in told(app)
    drawn = [*app.dataframe, *app.get("plotly_chart")]
    assert all(one.proto.alt for one in drawn), "tables and figures have names for screen readers"


def test_a_collaborator_that_does_not_answer_the_question_is_named(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    assert "often does not answer" not in told(visit("responses", project=project.id))
    with store.write() as connection:
        said = schema.responses.c
        connection.execute(update(schema.responses).where(said.collaborator == "warm-up alone").values(mass=0.02))
        connection.execute(update(schema.rounds).values(revision=schema.rounds.c.revision + 1))
    shown = told(visit("responses", project=project.id))
    assert "warm-up alone often does not answer the question: in 68 of 68 responses" in shown
    assert "warm-up, demonstrations often" not in shown


def test_who_earned_what_say_stands_above_the_responses(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    assert "Weights of the collaborators" not in told(visit("responses", project=project.id))
    found = {"records": 100, "cross_fitted": True, "everybody": {"<b>one</b>": 0.62, "two": 0.38, "three": 0.0}}
    with store.write() as connection:
        connection.execute(update(schema.rounds).values(weights=found))
    shown = told(visit("responses", project=project.id))
    assert "&lt;b&gt;one&lt;/b&gt; 62 %, two 38 %; three left out. Fitted on 100 cross-fitted labeled records" in shown


def test_what_a_run_had_to_say_stands_beside_it(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    (run,) = runs.list_runs(store, project.id)
    with store.write() as connection:
        progress.write_event(connection, run.id, "respond", "3 questions were <b>too</b> long.", 1.0)
    app = visit("training", project=project.id)
    assert "respond: 3 questions were <b>too</b> long." in [element.value for element in app.text]


def test_memory_is_told_before_the_start_and_warned_of_where_it_is_short(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_data(store)
    assert re.search(
        r"A run needs about (0\.9|1\.[01]) GB of memory at its peak; ", told(visit("training", project=project.id))
    )
    free = SimpleNamespace(available=5e8, total=8e9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    state.device.clear()
    app = visit("training", project=project.id)
    assert "choose a smaller model" in app.warning[0].value
    assert "0.5 GB are free" in app.warning[0].value
    state.device.clear()


def test_without_an_address_the_newest_project_is_taken(visit: Visit, store: Store) -> None:
    made.with_data(store, "First")
    second = made.with_data(store, "Second")
    app = visit("data")
    assert app.selectbox(key="pick_project").value == second.id


def test_an_unknown_project_is_said_to_be_unknown(store: Store) -> None:
    from tests.ui.conftest import APP

    made.with_data(store)
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["project"] = "777"
    app.switch_page("pages/selection.py").run()
    assert not app.exception
    assert "no project at this address" in told(app)


def test_a_round_and_a_record_that_are_not_there_are_said_to_be_missing(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    lost = visit("responses", project=project.id, round="777")
    named = rounds.get_round(store, made.round_of(store, project)).named
    assert f"This project has no such round as the address names. {named} is shown instead." in told(lost)
    assert "round" not in lost.query_params
    assert "no such round" in told(lost.run()), "until it is closed"
    assert "There is no record" in told(visit("responses", project=project.id, record="nobody"))
    missing = "The record in the address is not in this dataset version."
    app = visit("demonstrations", project=project.id, record="nobody")
    assert missing in told(app)
    assert missing in told(app.run()), "while the other record is shown"
    assert missing not in told(press(app, "Next"))
    assert missing not in told(visit("demonstrations", project=project.id, record="unlabeled-0003"))


def test_the_sample_opens_with_one_press(visit: Visit, store: Store) -> None:
    app = press(visit(), "Open sample project")
    assert not app.exception
    assert projects.list_projects(store)[0].counts["unlabeled"] > 0
    assert "Run everything" in {button.label for button in app.button}


def test_a_project_leaves_and_comes_back_as_an_archive(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = press(visit("overview", project=project.id), "Export whole project")
    assert not [e.value for e in app.error]
    (written,) = (projects.project_folder(store, project.id) / "exports").glob("*.semievol.zip")
    app = visit("overview", project=project.id)
    app.file_uploader[0].upload(written.name, written.read_bytes()).run()
    app.text_input(key="archive_name").input("Came back")
    app = press(app, "Import project")
    assert not app.error
    back = projects.find_project(store, "Came back")
    assert back.counts == project.counts
    found = [rounds.list_rounds(store, one.id)[-1] for one in (project, back)]
    before, after = (results.candidate_frame(store, round_.id) for round_ in found)
    assert list(after["answer"]) == list(before["answer"])
    for page in PAGES[1:]:
        visit(page, project=back.id)


def test_freezing_the_selection_keeps_what_the_policy_accepts(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    assert selections.selections(store, 1) == []
    app = press(visit("selection", project=project.id), "Freeze selection")
    assert not app.exception
    (frozen,) = selections.selections(store, 1)
    assert frozen["size"] == 51  # 60 candidates, the most confident 85 %


def test_an_error_is_one_sentence_and_its_details_are_folded(visit: Visit, store: Store) -> None:
    app = visit("settings")
    path = "/home/somebody/with/a/long/name/projects/model.safetensors"
    kept(app, Shell).error = UserError(f"{path} cannot be read.", path, "Copy it again.")
    app.run()
    card = [text.value for text in app.text]
    assert {"…/model.safetensors cannot be read.", "Where: …/model.safetensors", "What to do: Copy it again."} <= {
        *card
    }
    (fold,) = [fold for fold in app.expander if fold.label == "In full"]
    assert [text.value for text in fold.text] == [f"{path} cannot be read.", f"Where: {path}"]
    kept(app, Shell).error = UserError("This cannot be.", "model", "Choose another one.")
    assert "In full" not in {fold.label for fold in app.run().expander}
    kept(app, Shell).error = ValueError("not for the screen")
    app.run()
    assert [error.value for error in app.error] == ["An unexpected error occurred. Saved data is safe."]
    assert "not for the screen" not in told(app)
    (fold,) = [fold for fold in app.expander if fold.label.startswith("Details")]
    (log,) = fold.code
    assert "not for the screen" in Path(log.value).read_text(encoding="utf-8")


def test_a_decision_has_the_same_words_on_every_page(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    pool = results.candidate_frame(store, 1)
    decisions.decide(store, project.id, 1, str(pool.index[0]), "ambiguous", pool["answer"].iloc[0])
    app = visit("responses", project=project.id, decision="none fits")
    assert app.selectbox(key="decision").value == "none fits"
    assert app.dataframe[0].value["decision"].tolist() == ["none fits"]
    app = visit("selection", project=project.id, part="History")
    assert app.dataframe[0].value["said"].tolist() == ["none fits"]


def test_decisions_are_stored_signed_and_taken_back(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("review", project=project.id)
    kept(app, Shell).reviewer = "Ada"
    for label in ("Accept", "Reject", "Skip"):
        press(app, label)
        assert not app.exception
    history = decision_history.history(store, project.id)
    assert sorted(history["action"]) == ["accept", "reject", "skip"]
    assert set(history["reviewer"]) == {"Ada"}
    press(app, "Undo")
    standing = [one.action for found in decisions.standing(store, project.id).values() for one in found]
    assert sorted(standing) == ["accept", "reject"]


def test_a_correction_asserts_another_answer(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = press(visit("review", project=project.id), "Edit")
    box = next(one for one in app.selectbox if one.label == "Correct answer")
    box.set_value("water")
    press(app, "Save correction")
    frame = results.candidate_frame(store, 1)
    assert frame["decided_answer"].dropna().tolist() == ["water"]


def test_what_answers_without_a_language_model_is_said_as_such() -> None:
    settings = load("studio").propagation
    vote = responses.rests_on(settings, "neighbours")
    assert vote.startswith("No language model: the vote of the most similar records. It learned from the labeled")
    assert vote.endswith("and the unlabeled ones with their likeliest answers.")
    alone = responses.rests_on(settings.model_copy(update={"second_pass": False}), "regression")
    assert alone.endswith("It learned from the labeled records.")
    assert responses.rests_on(settings, "warm_up") == ""


def test_in_a_later_round_it_is_said_which_model_warm_up_is(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    words = "the warm-up model of the collaborators is the evolved model of the round before"
    assert words not in told(visit("responses", project=project.id))
    with store.write() as connection:
        connection.execute(update(schema.rounds).values(parent_id=made.round_of(store, project)))
    assert words in told(visit("responses", project=project.id))


def test_a_letter_stands_beside_its_option_in_the_table_of_candidates(store: Store) -> None:
    task = Task("multiple_choice")
    project = projects.create_project(store, "Choices", task)
    pool = [Record(f"u{i}", f"Which {i}?", ("this", "that"), None, "unlabeled", i) for i in range(2)]
    versions.store_version(store, project.id, pool, {}, [], [], task)
    round_ = rounds.open_round(store, project.id, load("studio"))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, 1)
    StoreJournal(store, run).save_candidates([Candidate("u0", "B", True), Candidate("u1", None, False)])
    frame, _ = results.candidates_page(store, round_.id)
    here: Any = SimpleNamespace(task=task, store=store, round=round_)
    known = records.records_by_id(store, round_.version_id, frame.index)
    assert candidates._named(here, frame, known).fillna("none").to_dict() == {"u0": "B · that", "u1": "none"}


def test_records_are_called_and_found_by_the_id_of_their_file(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    record_id = str(results.candidates_page(store, made.round_of(store, project))[0].index[0])
    with store.write() as connection:
        chosen = schema.records.c.record_id == record_id
        connection.execute(update(schema.records).where(chosen).values(source_id="C-25001"))
    app = visit("responses", project=project.id, record=record_id)
    assert "C-25001" in set(app.dataframe[0].value["id"])
    assert "Record C-25001 · unlabeled" in told(visit("demonstrations", project=project.id, record=record_id))
    found, total = results.candidates_page(store, made.round_of(store, project), search="C-25001")
    assert (list(found.index), total) == ([record_id], 1)


def test_training_says_what_to_do_with_few_labeled_records(visit: Visit, store: Store) -> None:
    project = made.with_data(store)  # its settings hold calibration records out
    assert "Recommended: label" not in told(visit("training", project=project.id))
    projects.update_project(store, project.id, settings={"calibration_minimum": 100})
    said = told(visit("training", project=project.id))
    assert "Recommended: label" in said
    assert "Selection shows no estimate" in said
