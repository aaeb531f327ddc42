"""Rounds: found again under the same propagation settings, opened beside each other under different ones."""

from __future__ import annotations

import hashlib
import json

import pytest

from semievol.errors import UserError
from semievol.presets import load
from semievol.store.data import projects, versions
from semievol.store.runs import rounds
from tests.store.world import TASK, World, records


@pytest.mark.parametrize(
    "change", ["policy.rule.value=0.1", "tune.epochs=9", "tune_from=warm_up", "tune_on=pseudo", "threads=3"]
)
def test_policy_and_tuning_stay_in_the_round(world: World, change: str) -> None:
    again = rounds.open_round(world.store, world.project.id, load("studio", assignments=[change]))
    assert again == world.round
    assert again.config == world.config


@pytest.mark.parametrize(
    "change",
    [
        "model=other",
        "seed=1",
        "precision=fp32",
        "propagation.k=5",
        "propagation.justify=true",
        "propagation.weighting=earned",
        "calibration=0.3",
        "calibration_minimum=7",
    ],
)
def test_what_decides_the_candidates_opens_a_sibling(world: World, change: str) -> None:
    config = load("studio", assignments=[change])
    sibling = rounds.open_round(world.store, world.project.id, config)
    assert (sibling.id != world.round.id, sibling.number, sibling.config) == (True, 1, config)
    assert rounds.open_round(world.store, world.project.id, config) == sibling
    assert rounds.list_rounds(world.store, world.project.id) == [world.round, sibling]


def test_without_a_calibration_split_its_minimum_does_not_matter(world: World) -> None:
    def opened(*changes: str) -> rounds.Round:
        return rounds.open_round(world.store, world.project.id, load("studio", assignments=["calibration=0", *changes]))

    assert opened() == opened("calibration_minimum=7")


def test_a_round_that_was_opened_before_there_were_these_choices_is_found_again(world: World) -> None:
    config = load("paper", assignments=["calibration=0.3"])
    parts = {name: value for name, value in config.model_dump(mode="json").items() if name in rounds.IDENTITY}
    for later in ("weighting", "answer_rule", "second_pass", "tune_embedder"):
        del parts["propagation"][later]
    for later in ("store_dtype", "neftune_noise_alpha", "kl"):
        del parts["propagation"]["warm_up"][later]
    canonical = json.dumps([world.round.version_id, None, None, parts], sort_keys=True)
    identity = rounds.identity_of(world.round.version_id, None, None, config)
    assert identity == hashlib.sha256(canonical.encode()).hexdigest()


def test_a_round_whose_weights_are_earned_gives_its_folds_to_every_run(world: World) -> None:
    config = load("studio", assignments=["propagation.weighting=earned", "cross_fit=2"])
    earned = rounds.open_round(world.store, world.project.id, config)
    assert rounds.with_settings_of(earned, load("studio")).cross_fit == 2
    assert rounds.with_settings_of(earned, load("studio", assignments=["cross_fit=5"])).cross_fit == 5
    assert rounds.with_settings_of(world.round, load("studio", assignments=["cross_fit=5"])).cross_fit == 5
    assert rounds.with_settings_of(world.round, load("studio")).cross_fit == 0


def test_new_data_opens_a_new_round(world: World) -> None:
    version = versions.store_version(world.store, world.project.id, records()[:9], {}, [], [], TASK)
    assert rounds.open_round(world.store, world.project.id, world.config).version_id == version


def test_every_round_of_a_project_has_a_name_of_its_own(world: World) -> None:
    sibling = rounds.open_round(world.store, world.project.id, load("studio", assignments=["seed=1"]))
    child = rounds.open_round(world.store, world.project.id, world.config, sibling.id)
    assert [world.round.number, sibling.number, child.number] == [1, 1, 2]
    found = rounds.list_rounds(world.store, world.project.id)
    assert [one.full_title for one in found] == ["Round 1", "Round 2", "Round 3, after round 2"]
    names = ["Round 1 · starter", "Round 2 · starter", "Round 3 · starter, after round 2"]
    assert [one.named for one in found] == names
    assert rounds.open_round(
        world.store, world.project.id, load("studio", assignments=["model=/models/mine"])
    ).named == ("Round 4 · mine")


def test_a_child_counts_on(world: World) -> None:
    child = rounds.open_round(world.store, world.project.id, world.config, world.round.id)
    grandchild = rounds.open_round(world.store, world.project.id, world.config, child.id)
    assert [(r.number, r.parent_id) for r in (child, grandchild)] == [(2, world.round.id), (3, child.id)]
    assert rounds.get_round(world.store, grandchild.id) == grandchild


def test_what_is_not_there_is_said(world: World) -> None:
    empty = projects.create_project(world.store, "empty")
    with pytest.raises(UserError, match="no data yet"):
        rounds.open_round(world.store, empty.id, world.config)
    with pytest.raises(UserError, match="no round 99"):
        rounds.get_round(world.store, 99)
    versions.store_version(world.store, empty.id, records(), {}, [], [], TASK)
    with pytest.raises(UserError, match="in this project"):
        rounds.open_round(world.store, empty.id, world.config, world.round.id)


def test_the_round_that_counts_is_the_newest_until_a_person_chooses_one(world: World) -> None:
    sibling = rounds.open_round(world.store, world.project.id, load("studio", assignments=["seed=1"]))

    def counts() -> int | None:
        found = rounds.counting(rounds.list_rounds(world.store, world.project.id))
        return None if found is None else found.id

    assert counts() == sibling.id
    rounds.choose(world.store, world.project.id, world.round.id)
    rounds.open_round(world.store, world.project.id, load("studio", assignments=["seed=2"]))
    assert counts() == world.round.id
    rounds.choose(world.store, world.project.id, None)
    assert counts() == sibling.id + 1
    with pytest.raises(UserError, match="no round 99 in this project"):
        rounds.choose(world.store, world.project.id, 99)
    assert rounds.counting([]) is None
