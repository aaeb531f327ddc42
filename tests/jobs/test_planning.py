"""Who may train on what, which round a run belongs to, and what is refused before anything is queued."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from semievol.config import Config, Policy
from semievol.errors import UserError
from semievol.export import archive, restoring
from semievol.jobs import launch
from semievol.jobs.planning import make_plan
from semievol.method.evolve import evolve
from semievol.method.protocols import Plan
from semievol.presets import STUDIO_READERS, load
from semievol.records import Record, Split, Task
from semievol.selection.policy import Cut
from semievol.store.data import projects, versions
from semievol.store.database import Store, open_store
from semievol.store.decisions import decisions, selections
from semievol.store.results import outcomes, results
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from tests.fakes import FakeEngine
from tests.store.world import freeze

TASK = Task("classification", labels=("roads", "water"))
READERS = "propagation.collaborators=[{name: shown}, {name: alone, demonstrations: false}]"
CUT = ["calibration=0.2", "calibration_minimum=10", READERS]


def made(split: Split, count: int, offset: int = 0) -> list[Record]:
    return [
        Record(
            f"{split}{i}",
            f"{TASK.labels[i % 2]} {i} {split}",
            (),
            None if split == "unlabeled" else TASK.labels[i % 2],
            split,
            i,
        )
        for i in range(offset, offset + count)
    ]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(launch, "ensure_worker", lambda store: None)
    return open_store(tmp_path / "home")


@pytest.fixture
def project(store: Store) -> projects.Project:
    created = projects.create_project(store, "P", TASK)
    return imported(store, created.id, [*made("labeled", 60), *made("unlabeled", 40), *made("test", 10)])


def imported(store: Store, project_id: int, records: list[Record]) -> projects.Project:
    versions.store_version(store, project_id, records, {}, [], [], TASK)
    return projects.find_project(store, project_id)


def carried_out(store: Store, run: runs.Run) -> Plan:
    """Does the run at once, with a fake engine, as the worker would."""
    import os

    claimed = claims.claim(store, run.id, os.getpid())
    plan, _ = make_plan(store, claimed)
    evolve(plan, FakeEngine(), StoreJournal(store, claimed), claimed.first, claimed.until)
    claims.finish(store, claimed.id, claimed.attempt, "done")
    return plan


def test_the_calibration_split_is_held_out_of_everything_that_trains(store: Store, project: projects.Project) -> None:
    plan = carried_out(store, launch.start(store, project, load("studio", None, CUT)))
    assert len(plan.calibration) == 12
    held = {record.content_hash for record in plan.calibration}
    assert not held & {record.content_hash for record in [*plan.labeled, *plan.unlabeled]}


def test_a_pool_record_that_repeats_a_calibration_record_is_left_out_and_it_is_said(
    store: Store, project: projects.Project
) -> None:
    copies = [replace(record, id=f"copy{record.id}", split="unlabeled", answer=None) for record in made("labeled", 60)]
    again = imported(store, project.id, [*made("labeled", 60), *copies, *made("unlabeled", 5), *made("test", 4)])
    run = launch.start(store, again, load("studio", None, CUT))
    plan, said = make_plan(store, run)
    held = {record.content_hash for record in plan.calibration}
    assert len(held) == 12
    assert not held & {record.content_hash for record in plan.unlabeled}
    assert "12 unlabeled records are left out" in said[0]


def test_a_run_in_a_round_keeps_the_rounds_own_settings(store: Store, project: projects.Project) -> None:
    first = launch.start(store, project, load("studio", None, CUT), until="justify")
    plan = carried_out(store, first)
    other = load("paper", None, ["seed=7", "propagation.k=9", "tune.epochs=5"])
    second = launch.start(store, project, other, first="tune", round_id=first.round_id)
    again = carried_out(store, second)
    assert [r.id for r in again.labeled] == [r.id for r in plan.labeled]
    assert (again.config.seed, again.config.propagation) == (first.config.seed, first.config.propagation)
    assert again.config.tune.epochs == 5


def test_beside_a_round_that_came_finished_everything_is_run_anew(
    store: Store, project: projects.Project, tmp_path: Path
) -> None:
    first = launch.start(store, project, load("studio", None, CUT))
    carried_out(store, first)
    assert launch.start(store, project, load("studio", None, CUT)).round_id == first.round_id
    out, _ = archive.write(store, project, tmp_path / "a.semievol.zip")
    back = restoring.restore(store, out, "Brought")
    (brought,) = rounds.list_rounds(store, back.id)
    live = launch.start(store, back, load("studio", None, CUT))
    assert live.round_id != brought.id
    assert (live.config.seed, rounds.get_round(store, live.round_id).parent_id) == (1, None)
    assert launch.start(store, back, load("studio", None, CUT)) == live  # the same press twice
    cut_again = launch.start(store, back, load("studio", None, CUT), first="select", round_id=brought.id)
    assert cut_again.round_id == brought.id


def test_a_child_calibrates_only_on_what_no_round_before_it_trained_on(store: Store, project: projects.Project) -> None:
    parent = launch.start(store, project, load("paper"))
    carried_out(store, parent)
    child = launch.start(store, project, load("studio", None, CUT), parent_id=parent.round_id)
    plan, _ = make_plan(store, child)
    assert plan.calibration == []
    assert len(plan.labeled) == 60


def test_what_a_round_accepted_is_spent_in_the_rounds_after_it(store: Store, project: projects.Project) -> None:
    """Pool records that the evolved model was trained on, and the calibration records that the same policy accepts."""
    half = load("studio", None, [*CUT, "policy.rule.value=0.5"])
    parent = launch.start(store, project, half)
    carried_out(store, parent)
    frozen = outcomes.trained_on(store, parent.round_id)
    assert frozen is not None
    pool, known = results.candidate_frame(store, parent.round_id), results.calibration_frame(store, parent.round_id)
    cut = Cut(half.policy, pool, known)
    assert not pool["spent"].any()
    assert 0 < cut.known.sum() < len(known)
    child = launch.start(store, project, half, parent_id=parent.round_id)
    plan = carried_out(store, child)
    trained = set(pool["content_hash"][list(frozen.answers)])
    assert plan.spent == trained | set(known["content_hash"][cut.known])
    later = results.candidate_frame(store, child.round_id)
    assert set(later["content_hash"][later["spent"]]) == trained
    remaining = results.calibration_frame(store, child.round_id)
    assert list(remaining.index) == list(known.index[~cut.known])
    (stored,) = selections.selections(store, child.round_id)
    headless = stored["evidence"]["estimated"]
    told = Cut(half.policy, later, remaining).evidence()
    assert told is not None
    assert (headless["kept"], headless["drawn"], headless["earlier"]) == (told.kept, told.drawn, told.earlier)
    third = launch.start(store, project, half, parent_id=child.round_id)
    again = outcomes.trained_on(store, child.round_id)
    assert again is not None
    assert rounds.spent(store, third.round_id) >= plan.spent | set(later["content_hash"][list(again.answers)])


@pytest.mark.parametrize(("by_hand", "left"), [(1, True), (4, False)])
def test_what_people_chose_beyond_the_policy_uses_up_all_calibration(
    store: Store, project: projects.Project, by_hand: int, left: bool
) -> None:
    """20 of 40 are left by the policy; what remains of them is like calibration's rest only if few were picked out."""
    half = load("studio", None, [*CUT, "policy.rule.value=0.5"])
    parent = launch.start(store, project, half, until="justify")
    carried_out(store, parent)
    pool = results.candidate_frame(store, parent.round_id)
    beyond = pool[~Cut(half.policy, pool).mask].head(by_hand)
    assert len(pool) == 40
    shown = dict(zip(beyond.index, beyond["answer"], strict=True))
    decisions.decide_many(store, project.id, parent.round_id, shown, "accept", reviewer="Ada")
    carried_out(store, launch.start(store, project, half, "select", round_id=parent.round_id))
    child = launch.start(store, project, half, parent_id=parent.round_id)
    carried_out(store, child)
    assert bool(len(results.calibration_frame(store, child.round_id))) == left


def test_a_record_that_was_trained_on_with_its_label_is_spent_where_a_later_version_has_it_in_the_pool(
    store: Store, project: projects.Project
) -> None:
    parent = launch.start(store, project, load("studio", None, CUT))
    learned = carried_out(store, parent).labeled[0]
    rest = [record for record in made("labeled", 60) if record.id != learned.id]
    pool = [replace(learned, split="unlabeled", answer=None), *made("unlabeled", 5, 100)]
    later = imported(store, project.id, [*rest, *pool, *made("test", 4)])
    child = launch.start(store, later, load("studio", None, CUT), parent_id=parent.round_id)
    carried_out(store, child)
    found = results.candidate_frame(store, child.round_id)["spent"]
    assert list(found.index[found]) == [learned.id]


def test_a_round_opened_without_a_cut_stays_without_one(store: Store, project: projects.Project) -> None:
    few = load("studio", None, ["calibration=0.2", "calibration_minimum=50"])
    first = launch.start(store, project, few)
    assert make_plan(store, first)[0].calibration == []
    more = imported(store, project.id, [*made("labeled", 300), *made("unlabeled", 40), *made("test", 10)])
    second = launch.start(store, more, few)
    assert len(make_plan(store, second)[0].calibration) == 60
    assert make_plan(store, first)[0].calibration == []


def test_test_records_that_an_earlier_round_could_train_on_leave_the_test(
    store: Store, project: projects.Project
) -> None:
    parent = launch.start(store, project, load("paper"))
    carried_out(store, parent)
    moved = [replace(record, split="test", answer="roads") for record in made("unlabeled", 6)]
    later = imported(store, project.id, [*made("labeled", 60), *made("unlabeled", 30, 6), *made("test", 10), *moved])
    child = launch.start(store, later, load("paper"), parent_id=parent.round_id)
    plan, said = make_plan(store, child)
    assert len(plan.test) == 10
    assert "6 test records" in said[0]


def test_a_parent_tuned_again_opens_another_child(store: Store, project: projects.Project) -> None:
    parent = launch.start(store, project, load("paper"))
    carried_out(store, parent)
    child = launch.start(store, project, load("paper"), parent_id=parent.round_id)
    carried_out(store, child)
    again = launch.start(store, project, load("paper", None, ["tune.epochs=3"]), "tune", round_id=parent.round_id)
    carried_out(store, again)
    second = launch.start(store, project, load("paper"), parent_id=parent.round_id)
    assert second.round_id != child.round_id
    adapters = [outcomes.adapters(store, r.round_id)["warm_up"] for r in (child, second)]
    assert adapters[0] != adapters[1]


def test_the_same_run_is_queued_once(store: Store, project: projects.Project) -> None:
    config = load("paper")
    first = launch.start(store, project, config)
    assert launch.start(store, project, config).id == first.id
    assert len(runs.queue(store)) == 1
    claims.claim(store, first.id, os.getpid())
    assert launch.start(store, project, config).id == first.id, "nor while it runs"
    with ThreadPoolExecutor(6) as pool:
        started = [pool.submit(launch.start, store, project, config, until="justify") for _ in range(6)]
    assert len({one.result().id for one in started}) == 1, "nor from several places at once"


@pytest.mark.parametrize(
    ("first", "extra", "named"),
    [
        ("tune", {}, "no round with these settings"),
        ("respond", {}, "no round with these settings"),
        ("warm_up", {"parent_id": 99}, "no round 99"),
        ("warm_up", {"selection": 3}, "no selection 3"),
    ],
)
def test_a_span_that_cannot_begin_is_refused_and_leaves_nothing_behind(
    store: Store, project: projects.Project, first: str, extra: dict[str, int], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        launch.start(
            store, project, load("studio"), first, selection=extra.get("selection"), parent_id=extra.get("parent_id")
        )
    assert versions.calibration(store, project.id) is None
    assert rounds.list_rounds(store, project.id) == []
    assert runs.list_runs(store) == []


def test_stages_need_what_comes_before_them_unless_a_waiting_run_makes_it(
    store: Store, project: projects.Project
) -> None:
    warm = launch.start(store, project, load("paper"), until="warm_up")
    launch.start(store, project, load("paper"), "retrieve", "retrieve", round_id=warm.round_id)
    launch.start(store, project, load("paper"), "respond", "justify", round_id=warm.round_id)
    with pytest.raises(UserError, match="tune has not been run"):
        launch.start(store, project, load("paper"), "evaluate", round_id=warm.round_id)
    with pytest.raises(UserError, match="no selection 5"):
        launch.start(store, project, load("paper"), "tune", selection=5, round_id=warm.round_id)


def test_a_model_that_is_not_there_is_refused_before_a_round_is_opened(
    store: Store, project: projects.Project, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no model folder"):
        launch.start(store, project, load("paper", None, [f"model={tmp_path / 'nowhere'}"]))
    assert rounds.list_rounds(store, project.id) == []


def test_a_round_of_another_project_is_refused(store: Store, project: projects.Project) -> None:
    mine = launch.start(store, project, load("paper"))
    other = imported(store, projects.create_project(store, "Q", TASK).id, [*made("labeled", 6), *made("unlabeled", 6)])
    with pytest.raises(UserError, match="in this project"):
        launch.start(store, other, load("paper"), round_id=mine.round_id)


def test_the_command_line_that_repeats_a_run_names_its_round_parent_and_selection(
    store: Store, project: projects.Project
) -> None:
    config: Config = load("paper", None, ["seed=3", "tune.epochs=4"])
    parent = launch.start(store, project, config)
    assert launch.command_line(store, project, parent) == (
        "python -m semievol run P --preset paper \\\n  --set=model=starter \\\n  --set=seed=3 \\\n"
        "  --set=propagation.embedder=char-tfidf \\\n  --set=tune.epochs=4.0"
    )
    carried_out(store, parent)
    tuned = launch.start(store, project, config, "tune", round_id=parent.round_id)
    carried_out(store, tuned)
    told = launch.command_line(store, project, runs.get_run(store, tuned.id))
    assert told.endswith(f"--round {parent.round_id} --from tune --until evaluate --selection 1")
    child = launch.start(store, project, config, parent_id=parent.round_id)
    assert child.id != tuned.id
    assert f"--parent {parent.round_id}" in launch.command_line(store, project, child)


def test_the_command_line_names_what_the_data_made_of_the_settings_and_stays_on_one_line(
    store: Store, project: projects.Project
) -> None:
    config = load(
        "studio", None, [*CUT, "propagation.weighting=auto", 'propagation.collaborators.0.name="two\\nlines"']
    )
    run = launch.start(store, project, config)
    assert run.config == rounds.get_round(store, run.round_id).config
    freeze(store, run.round_id, Policy(), {"unlabeled0": "roads"}, {})
    assert launch.start(store, project, config, "tune", selection=1).round_id == run.round_id
    again = launch.start(store, project, config, "retrieve", "justify")
    assert (again.round_id, again.config) == (run.round_id, run.config), (
        "what `auto` came to: other settings do not fit"
    )
    assert again.config.propagation.weighting != "auto"
    assert 'collaborators=[{"name": "two\\nlines"' in launch.command_line(store, project, run)
    assert f"run {project.id} --preset" in launch.command_line(store, replace(project, name="-minus"), run)


@pytest.mark.parametrize("model", ["neighbours", "regression"])
def test_a_vote_that_cannot_be_taken_is_refused_before_anything_is_queued(store: Store, model: str) -> None:
    open_task = Task("text")
    created = projects.create_project(store, "Open", open_task)
    versions.store_version(store, created.id, [*made("labeled", 20), *made("unlabeled", 10)], {}, [], [], open_task)
    project = projects.find_project(store, created.id)
    config = load("studio", None, [f"propagation.collaborators=[{{name: vote, model: {model}}}]"])
    with pytest.raises(UserError, match="free text task does not have") as caught:
        launch.start(store, project, config)
    assert caught.value.where == "collaborator vote"
    assert runs.list_runs(store) == rounds.list_rounds(store, project.id) == []


def test_the_studios_own_voters_give_way_where_there_is_nothing_to_vote_for(store: Store) -> None:
    open_task = Task("text")
    created = projects.create_project(store, "Open", open_task)
    versions.store_version(store, created.id, [*made("labeled", 20), *made("unlabeled", 10)], {}, [], [], open_task)
    run = launch.start(store, projects.find_project(store, created.id), load("studio"))
    assert rounds.get_round(store, run.round_id).config.propagation.collaborators == STUDIO_READERS


def test_of_the_studios_own_voters_those_that_suit_the_task_stay(store: Store) -> None:
    choice = Task("multiple_choice")
    created = projects.create_project(store, "Choice", choice)
    records = [replace(r, options=("yes", "no"), answer="A") for r in [*made("labeled", 20), *made("unlabeled", 10)]]
    versions.store_version(store, created.id, records, {}, [], [], choice)
    run = launch.start(store, projects.find_project(store, created.id), load("studio"))
    kept = rounds.get_round(store, run.round_id).config.propagation.collaborators
    assert [collaborator.model for collaborator in kept] == ["warm_up", "neighbours"]


@pytest.mark.parametrize(("labeled", "weighting", "folds"), [(99, "equal", 0), (100, "earned", 2)])
def test_from_a_hundred_labeled_records_on_studio_cross_fits_them_for_the_weights(
    store: Store, labeled: int, weighting: str, folds: int
) -> None:
    task = Task("classification", labels=("yes", "no"))
    created = projects.create_project(store, "Many", task)
    records = [replace(r, answer="yes" if i % 2 else "no") for i, r in enumerate(made("labeled", labeled))]
    versions.store_version(store, created.id, [*records, *made("unlabeled", 10)], {}, [], [], task)
    run = launch.start(store, projects.find_project(store, created.id), load("studio"))
    settings = rounds.get_round(store, run.round_id).config
    assert (settings.propagation.weighting, settings.cross_fit, run.config.cross_fit) == (weighting, folds, folds)
    again = launch.start(store, projects.find_project(store, created.id), load("studio"), round_id=run.round_id)
    assert again == run


def test_a_vote_that_can_be_taken_is_planned_like_any_collaborator(store: Store, project: projects.Project) -> None:
    config = load("studio", None, [*CUT, "propagation.collaborators=[{name: vote, model: neighbours}]"])
    run = launch.start(store, project, config)
    carried_out(store, run)
    assert {r.collaborator for r in StoreJournal(store, run).responses("respond")} == {"vote"}


@pytest.mark.parametrize("wrong", ["embedder as model", "model as embedder", "no weights"])
def test_what_cannot_be_used_is_refused_before_anything_is_queued(
    store: Store, project: projects.Project, tiny_model: Path, tmp_path: Path, wrong: str
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "folder"))
    if wrong == "embedder as model":
        (folder / "modules.json").write_text("[]")
    elif wrong == "no weights":
        save_file({"model.norm.weight": np.zeros(48, np.float32)}, folder / "model.safetensors")
    said = {"embedder as model": "is an embedder", "model as embedder": "is a language model", "no weights": "missing"}
    key = "propagation.embedder" if wrong == "model as embedder" else "model"
    with pytest.raises(UserError, match=said[wrong]):
        launch.start(store, project, load("paper", None, [f"{key}={folder}"]))
    assert runs.list_runs(store) == []
    assert rounds.list_rounds(store, project.id) == []


def test_a_folder_named_from_where_the_command_runs_is_found_from_elsewhere_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("model", "judge", "smollm2"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    given = ["model=./model", "propagation.judge.model=judge", "propagation.embedder=owner/name"]
    given.append("propagation.collaborators.0.model=endpoint:far")
    config = launch.placed(load("studio", assignments=given))
    assert config.model == str(tmp_path / "model")
    assert config.propagation.judge.model == str(tmp_path / "judge")
    assert config.propagation.embedder == "owner/name", "no folder here: a hub id"
    assert [one.model for one in config.propagation.collaborators] == ["endpoint:far", "neighbours", "regression"]
    assert launch.placed(load("studio", assignments=["model=smollm2"])).model == "smollm2", "the installed package"
    assert launch.placed(config) == config
