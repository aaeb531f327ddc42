"""What the buttons ask for: which selection, which policy, and what they refuse."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Connection
from streamlit.testing.v1 import AppTest

from semievol.config import Policy, Rule
from semievol.errors import UserError
from semievol.records import Task
from semievol.store.data import projects, versions
from semievol.store.database import NotSaved, Store
from semievol.store.decisions import decisions, selections
from semievol.store.results import results
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.rounds import get_round
from semievol.ui.selection import policy
from semievol.ui.shell import actions, notices, session, state
from semievol.ui.shell.state import Place
from tests.store.world import freeze
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def test_looking_at_any_page_gives_a_waiting_run_its_worker(
    visit: Visit, store: Store, workers: list[list[str]]
) -> None:
    project = made.with_results(store)
    visit("data", project=project.id)
    assert workers == []
    runs.enqueue(store, 1, state.config_of(project), "tune", "evaluate")
    visit("data", project=project.id)
    assert workers
    assert "semievol.jobs.worker" in workers[0]


def test_fine_tune_freezes_the_policy_that_selection_shows(store: Store) -> None:
    project = made.with_results(store, until="justify")
    projects.update_project(store, project.id, settings={"calibration_minimum": 8, "preset": "paper"})
    project = projects.find_project(store, project.id)
    round_ = get_round(store, 1)
    shown = policy.current(Place(store, [project], project, [round_], round_, [], None))
    assert shown != state.config_of(project).policy
    run = actions.fine_tune(store, project, state.config_of(project), round_)
    (frozen,) = selections.selections(store, 1)
    assert Policy.model_validate(frozen["policy"]) == shown == run.config.policy
    assert run.selection == frozen["number"] == 1


def test_fine_tune_uses_the_newest_selection_unless_it_is_empty(store: Store) -> None:
    project = made.with_results(store, until="justify")
    round_, config = get_round(store, 1), state.config_of(project)
    freeze(store, 1, config.policy, {}, {})
    assert actions.fine_tune(store, project, config, round_).selection == 2
    freeze(store, 1, config.policy, {"unlabeled-0000": "roads"}, {})
    assert actions.fine_tune(store, project, config, round_).selection == 3


def test_what_is_frozen_knows_the_decisions_that_were_being_saved(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many are saved beside the page, so that Freeze can be pressed meanwhile; it waits for its turn to write."""
    project = made.with_results(store, until="justify")
    pool = results.candidate_frame(store, 1)
    app = visit("selection", project=project.id)
    write = Store.write

    def after_others(store: Store) -> AbstractContextManager[Connection]:
        monkeypatch.setattr(Store, "write", write)
        decisions.decide_many(store, project.id, 1, pool["answer"].drop(pool.index[0]).to_dict(), "reject")
        decisions.decide(store, project.id, 1, pool.index[0], "accept", pool["answer"].iloc[0])
        return store.write()

    monkeypatch.setattr(Store, "write", after_others)
    press(app, "Freeze selection")
    assert [toast.value for toast in app.toast] == ["Selection 1 is frozen with 1 record."]
    assert [frozen["size"] for frozen in selections.selections(store, 1)] == [1]


def test_freezing_nothing_says_why(store: Store) -> None:
    made.with_results(store, until="justify")
    with pytest.raises(UserError, match="of every candidate is above the threshold 0"):
        selections.freeze(store, 1, Policy(rule=Rule(kind="threshold", value=0)))
    assert selections.selections(store, 1) == []


def test_the_same_run_is_not_asked_for_twice(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("training", project=project.id)
    for label in ("Fine-tune", "Run everything"):
        before, late = len(runs.list_runs(store)), visit("training", project=project.id)
        press(app, label)
        waits = "is starting" if label == "Fine-tune" else "waits in the queue"
        reason = f"Run {before + 1} {waits} and does the same."
        assert "This did not work" not in told(app)
        assert f"{label}: {reason}" in told(app)
        assert next(button for button in app.button if button.label == label).disabled
        assert reason in told(press(late, label)), "a tab that was drawn before"
        assert len(runs.list_runs(store)) == before + 1
    claims.claim(store, 2, os.getpid())
    assert "Fine-tune: Run 2 is under way and does the same." in told(visit("training", project=project.id))


def test_what_would_only_repeat_a_run_is_said_to_before_it_is_started(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit("training", project=project.id)
    words = told(app)
    same = "Run 1 did this with the same seed (0), so the numbers will be the same"
    assert f"Run everything: {same}, unless decisions were made since. Another seed gives others." in words
    assert "Fine-tune: Run 1" not in words, "its span is another one"
    assert f"Run everything: {same}" in told(visit("overview", project=project.id))
    app.number_input(key="form_seed").set_value(1).run()
    assert same not in told(app)


def test_a_button_that_would_do_nothing_is_disabled_and_says_why(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    app = visit("training", project=project.id)
    assert "Fine-tune: There are no candidates to select from yet." in told(app)
    made.evolved(store, project, until="justify")
    app = visit("training", project=project.id)
    assert "Propagate: Round 1 has the answers of these settings already." in told(app)
    disabled = {button.label for button in app.button if button.disabled}
    assert "Propagate" in disabled
    assert not {"Fine-tune", "Run everything"} & disabled


def test_what_an_action_cannot_do_stays_to_be_read_until_something_else_is_done(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_results(store, until="justify")
    app = visit("selection", project=project.id)

    def refused(*_: object) -> None:
        raise UserError("Nothing is accepted. " + "Long reasons have room. " * 20, "selection", "Keep more.")

    with monkeypatch.context() as patch:
        patch.setattr(actions, "freeze", refused)
        press(app, "Freeze selection")
    assert "Long reasons have room. Long" in told(app)
    assert "What to do: Keep more." in told(app.run())
    assert "This did not work" not in told(press(app, "Freeze selection"))
    assert len(selections.selections(store, 1)) == 1


def test_an_error_belongs_to_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.st, "session_state", {})
    notices.on_page("Training")
    with notices.errors_kept():
        raise UserError("Too late.", "run", "Wait.")
    assert [str(notices.taken()[1]) for _ in range(2)] == ["run: Too late. Wait."] * 2
    notices.on_page("Training")
    assert notices.taken()[1] is not None
    notices.on_page("Data")
    assert notices.taken()[1] is None


def test_what_a_callback_cannot_do_is_said_and_breaks_nothing(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    run = runs.enqueue(store, 1, state.config_of(project), "tune", "evaluate")
    runs.request_stop(store, run.id)
    first, second = visit("training", project=project.id), visit("training", project=project.id)
    press(first, "Resume")
    press(second, "Resume")
    assert not second.exception
    assert "Run 2 is queued." in told(second)
    assert "This did not work" in told(second)
    assert "This did not work" in told(second.run()), "it stays until it is closed"
    assert "This did not work" not in told(press(second, "Close this message"))


def test_a_policy_that_cannot_be_saved_is_said_to_be_unsaved(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_results(store, until="justify")
    app = visit("selection", project=project.id)

    def full(*_: object, **__: object) -> None:
        raise NotSaved("Not saved: disk full.", "database", "Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr(state, "update_project", full)
        app.slider(key="policy_value_slider").set_value(25.0).run()
        press(app, "Save for everybody")
    assert not app.exception
    assert "Not saved: disk full." in told(app)
    assert "You are trying this policy; nobody else sees it." in told(app)


@pytest.mark.parametrize("by", ["the page", "another process"])
def test_nothing_of_a_deleted_project_is_shown_in_the_next_one(visit: Visit, store: Store, by: str) -> None:
    """The database gives the numbers of its rounds and dataset versions out again."""
    gone = made.with_results(store, until="justify")
    (round_,) = rounds.list_rounds(store, gone.id)
    before = state.labeled(store, round_.version_id), len(state.candidates(store, round_.id)[0])
    app = visit(project=gone.id)
    if by == "the page":
        next(field for field in app.text_input if field.key == f"typed_{gone.id}").set_value(gone.name).run()
        press(app, "Delete")
    else:
        projects.delete_project(store, gone.id)
    task, records = Task("classification", made.LABELS), made.some_records(labeled=20, unlabeled=30)
    project = projects.create_project(store, "Next", task, gone.settings)
    versions.store_version(store, project.id, records, {}, [], [], task)
    made.evolved(store, projects.find_project(store, project.id), until="justify")
    (again,) = rounds.list_rounds(store, project.id)
    assert not visit(project=project.id).exception
    assert (again.id, again.version_id) == (round_.id, round_.version_id)
    assert (sum(before[0].values()), before[1]) == (40, 60)
    assert sum(state.labeled(store, again.version_id).values()) == 20
    assert len(state.candidates(store, again.id)[0]) == 30
