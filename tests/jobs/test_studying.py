"""Studies of a project: what they draw from, that they wait like any run, and that they go on where they stopped."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from semievol.errors import UserError
from semievol.jobs import launch, studying
from semievol.method.protocols import Stopped
from semievol.presets import load
from semievol.store.archives import export_rows
from semievol.store.data import projects, versions
from semievol.store.database import Store, open_store
from semievol.store.runs import claims, rounds, runs, studies
from semievol.study.redraw import Material
from semievol.task.prompts import PROMPT_VERSION
from tests.study.learner import TASK, Learner, config, material

ARMS = ("majority", "warm_up", "evolved", "authors_rule")
CONFIG = config("paper", model="starter")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(launch, "ensure_worker", lambda store: None)
    return open_store(tmp_path / "workspace")


def project(store: Store, gold: bool = True, test: bool = True) -> projects.Project:
    made = projects.create_project(store, "Small", TASK)
    splits = material().splits(0)
    pool = splits["unlabeled"]
    records = [
        *splits["labeled"],
        *(replace(record, answer=None) for record in pool),
        *(splits["test"] if test else ()),
    ]
    hidden = {record.id: record.answer or "" for record in pool if gold}
    versions.store_version(store, made.id, records, hidden, [], [], TASK)
    return projects.find_project(store, made.id)


def carried_out(store: Store, run: runs.Run, engine: Learner) -> runs.Run:
    """Claims the run and carries it out in this process; a study that breaks counts as killed."""
    mine = claims.claim(store, run.id, os.getpid())
    try:
        studying.carry_out(store, mine, engine, studying.StudyWatcher(store, mine))
    except ConnectionError:
        claims.finish(store, mine.id, mine.attempt, "interrupted")
    except Stopped:
        claims.finish(store, mine.id, mine.attempt, "cancelled")
    else:
        claims.finish(store, mine.id, mine.attempt, "done")
    return runs.get_run(store, run.id)


def numbers(store: Store, run: runs.Run) -> dict[tuple[int, str], Any]:
    return {key: (one["right"], one["pseudo"]) for key, one in studies.results(store, studies.Spec.of(run)).items()}


def test_a_killed_study_goes_on_with_the_next_arm_to_the_same_numbers(store: Store) -> None:
    of = project(store)
    whole = carried_out(store, studying.start(store, of, CONFIG, ARMS, 2), Learner())
    assert whole.status == "done"
    again = projects.find_project(store, projects.duplicate_project(store, of.id, "Again").id)
    run = carried_out(store, studying.start(store, again, CONFIG, ARMS, 2), Learner(break_after=16))
    assert run.status == "interrupted"
    done = studies.finished(store, studies.Spec.of(run))
    assert 0 < len(done) < 2 * len(ARMS)
    resumed = studying.start(store, again, CONFIG, ARMS, 2)
    assert resumed.id == run.id, "asking for the same study resumes it"
    runs.request_stop(store, run.id)
    resumed = studying.start(store, again, CONFIG.model_copy(update={"threads": 3}), ARMS, 2)
    assert (resumed.id, resumed.config.threads) == (run.id, 3), "on as many threads as are asked for now"
    engine = Learner()
    assert carried_out(store, resumed, engine).status == "done"
    assert len(engine.trained) < 2 * 3, "what was finished is not done again"
    assert numbers(store, run) == numbers(store, whole)


def test_a_stopped_study_keeps_what_is_finished_and_more_seeds_add_to_it(store: Store) -> None:
    of = project(store)
    run = studying.start(store, of, CONFIG, ARMS, 1)
    mine = claims.claim(store, run.id, os.getpid())
    runs.request_stop(store, run.id)
    with pytest.raises(Stopped):
        studying.carry_out(store, mine, Learner(), studying.StudyWatcher(store, mine))
    claims.finish(store, mine.id, mine.attempt, "cancelled")
    carried_out(store, studying.start(store, of, CONFIG, ARMS, 1), Learner())
    more = studying.start(store, of, CONFIG, ARMS, 2)
    assert more.id != run.id
    assert studying.summary(store, more)["done"] == len(ARMS), "the first seed is taken over"
    assert carried_out(store, more, Learner()).status == "done"
    told = studying.summary(store, more)
    assert (told["done"], told["total"]) == (2 * len(ARMS), 2 * len(ARMS))
    assert set(told["arms"]) == set(ARMS)
    assert set(told["differences"]) == set(ARMS) - {"evolved"}
    assert told["notes"] == []
    assert studying.start(store, of, CONFIG, ARMS, 2).id == more.id, "a finished one is shown, not done again"


def test_without_known_answers_the_pool_stays_and_it_is_said(store: Store) -> None:
    of = project(store, gold=False)
    drawn_from: Material = studying.material(store, of.version_id or 0)
    assert drawn_from.sizes == {"labeled": 20, "test": 20}
    assert len(drawn_from.pool) == 40
    run = carried_out(store, studying.start(store, of, CONFIG, ("evolved", "all_gold"), 1), Learner())
    told = studying.summary(store, run)
    assert told["notes"] == [studying.POOL_KEPT]
    assert set(told["skipped"]) == {"all_gold"}
    assert set(told["arms"]) == {"evolved"}


def test_a_study_needs_test_records(store: Store) -> None:
    of = project(store, test=False)
    with pytest.raises(UserError, match="needs test records"):
        studying.start(store, of, CONFIG, ARMS, 1)


def test_a_study_waits_in_the_queue_of_all_runs_and_is_in_no_list_of_rounds(store: Store) -> None:
    of = project(store)
    round_ = rounds.open_round(store, of.id, CONFIG)
    ordinary = runs.enqueue(store, round_.id, CONFIG)
    study = studying.start(store, of, CONFIG, ARMS, 1)
    assert [run.id for run in runs.queue(store)] == [ordinary.id, study.id]
    assert [run.id for run in runs.list_runs(store, of.id)] == [ordinary.id]
    assert [run.id for run in runs.list_studies(store, of.id)] == [study.id]
    runs.reorder(store, study.id, 0)
    claimed = claims.claim_next(store, os.getpid())
    assert claimed is not None
    assert claimed.study is not None
    assert claims.claim_next(store, os.getpid()) is None, "one run at a time"
    with export_rows.project_rows(store, of.id, lambda path: None) as rows:
        assert rows.sizes["runs"] == 1, "an archive leaves studies out"
        assert "study_results" not in rows.sizes


def test_a_taken_over_study_writes_nothing(store: Store) -> None:
    of = project(store)
    mine = claims.claim(store, studying.start(store, of, CONFIG, ARMS, 1).id, os.getpid())
    claims.finish(store, mine.id, mine.attempt, "interrupted")
    with pytest.raises(Stopped):
        studies.save_result(store, mine, 0, "evolved", {"right": {}})
    assert studies.finished(store, studies.Spec.of(mine)) == set()


def test_a_study_from_before_a_setting_is_the_same_study_while_it_is_off(store: Store) -> None:
    def identity(*changes: str) -> str:
        return studying.spec(of, load("paper", assignments=changes), ARMS, 1).identity

    of = project(store)
    before = load("paper").model_dump(
        mode="json", exclude={"seed", "evaluate_demonstrations", "threads", "devices", "cluster", "budget"}
    )
    del before["token_cleaning"], before["tune"]["kl"], before["propagation"]["warm_up"]["kl"]
    parts = json.dumps([before, PROMPT_VERSION], sort_keys=True)
    assert identity() == hashlib.sha256(parts.encode()).hexdigest()[:32]
    assert len({identity(), identity("tune.kl=0.1"), identity("token_cleaning=0.3")}) == 3
