"""How long the stages of a run take grows with what they do."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from semievol.engines.models.footprint import Shape
from semievol.engines.models.resolve import STARTER_FOLDER
from semievol.jobs import duration
from semievol.jobs.duration import Amount, operations
from semievol.jobs.token_counts import assumed
from semievol.presets import load
from semievol.store.database import open_store
from tests.ui import made

SHAPE = Shape(parameters=100_000_000, hidden=512, intermediate=2048, layers=8, context=2048)
AMOUNT = Amount(labeled=200, pool=1_000, test=300)
READ = assumed(load("paper"), 70)


def test_work_grows_with_records_texts_and_model() -> None:
    config = load("paper")
    base = operations(SHAPE, config, AMOUNT, READ)
    assert operations(SHAPE, config, replace(AMOUNT, pool=2_000), READ)["respond"] == 2 * base["respond"]
    longer = operations(SHAPE, config, AMOUNT, assumed(config, 140))
    assert all(longer[stage] > base[stage] for stage in ("warm_up", "respond", "tune", "evaluate"))
    larger = operations(replace(SHAPE, parameters=2 * SHAPE.parameters), config, AMOUNT, READ)
    assert larger["respond"] == 2 * base["respond"]


def test_voters_take_time_too_so_that_a_run_can_measure_it() -> None:
    config = load("studio", None, ["model=starter"])
    assert operations(SHAPE, config, AMOUNT, READ)["justify"] > 0
    alone = load("studio", None, ["propagation.collaborators=[{name: a}]"])
    assert operations(SHAPE, alone, AMOUNT, READ)["justify"] == 0


def test_the_frozen_selection_says_how_many_answers_are_trained_on() -> None:
    config = load("paper")
    few, many = (operations(SHAPE, config, replace(AMOUNT, kept=kept), READ)["tune"] for kept in (100, 10_000))
    assert many > 10 * few


def test_folds_cost_a_warm_up_each() -> None:
    config = load("paper", assignments=["cross_fit=4"])
    plain, folded = (operations(SHAPE, one, AMOUNT, READ) for one in (load("paper"), config))
    assert folded["cross_fit"] - plain["cross_fit"] >= 4 * plain["warm_up"]


def test_every_collaborator_has_its_own_time_and_what_is_unknown_has_none(tmp_path: Path) -> None:
    store = open_store(tmp_path / "workspace")
    version_id = made.with_data(store).version_id
    assert version_id is not None
    other = tmp_path / "other"
    shutil.copytree(STARTER_FOLDER, other)
    ways: list[dict[str, object]] = [
        {"name": "read", "model": "base"},
        {"name": "alone", "demonstrations": False},
        {"name": "vote", "model": "neighbours", "demonstrations": False},
        {"name": "other", "model": str(other), "demonstrations": False},
        {"name": "gone", "model": str(tmp_path / "gone")},
    ]
    config = load("paper", None, ["model=starter", "calibration=0", f"propagation.collaborators={json.dumps(ways)}"])
    found = duration.answering(store, version_id, config)
    assert found is not None
    assert found.records == 60
    assert found.each.keys() == {"read", "alone", "vote", "other"}
    assert found.each["read"] > found.each["alone"] > 0
    assert found.each["other"] == pytest.approx(found.each["alone"]), "the same model"
    assert found.judge is not None
    without = config.propagation.model_copy(update={"justify": False})
    assert duration.answering(store, version_id, config.model_copy(update={"propagation": without})).judge is None  # type: ignore[union-attr]
    whole = duration.estimate(store, version_id, config)
    assert whole is not None
    own = [way for way in ways if way["name"] not in ("other", "gone")]
    less = load("paper", None, ["model=starter", "calibration=0", f"propagation.collaborators={json.dumps(own)}"])
    fewer = duration.estimate(store, version_id, less)
    assert fewer is not None
    more = whole.seconds["respond"] - fewer.seconds["respond"]
    assert more == pytest.approx(found.each["other"], rel=0.5), "the run's estimate counts it, too"
