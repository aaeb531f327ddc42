"""Confidence that learns: from which records, that none is judged by itself, what is known of a candidate, and what it
gains where the collaborators' own probabilities mislead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from semievol.config import Collaborator, Config
from semievol.engines.verification import probability_right
from semievol.method import metrics, verifier
from semievol.method.evolve import evolve
from semievol.method.protocols import Ask, Plan, Reply
from semievol.presets import load
from semievol.records import Record, Response
from tests.fakes import FakeEngine, MemoryJournal
from tests.method.test_evolve import TASK, records

SURE, TELLING = "sure", "telling"


class Misleading(FakeEngine):
    """One collaborator is sure whether it is right or not; how sure the other is tells whether both are right."""

    def _reply(self, ask: Ask) -> Reply:
        number = int(ask.record_id[-3:])
        chance = np.random.default_rng([number, ask.record_id[0] == "u"])
        doubt = chance.random()
        right = chance.random() > doubt**2
        answer = TASK.labels[(number + (0 if right else 1)) % 3]
        sure = 0.7 + 0.29 * chance.random() if ask.collaborator == SURE else 0.95 - 0.5 * doubt
        spread = tuple(sure if label == answer else (1 - sure) / 2 for label in ask.allowed)
        return Reply(answer, spread, mass=0.9)

    def verify(self, known: np.ndarray, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        return probability_right(known, right, asked)


def settings_of(**more: object) -> Config:
    config = load("paper")
    two = (Collaborator(name=SURE, demonstrations=False), Collaborator(name=TELLING, model="base"))
    propagation = config.propagation.model_copy(update={"collaborators": two, "justify": False})
    return config.model_copy(update={"propagation": propagation, "calibration": 0.5, **more})


@pytest.fixture(scope="module")
def plan() -> Plan:
    held = [replace(record, split="calibration") for record in records("calibration", 200, True)]
    return Plan(TASK, settings_of(), records("labeled", 30, True), records("unlabeled", 400, False), held)


def learned(plan: Plan, engine: FakeEngine | None = None) -> MemoryJournal:
    journal = MemoryJournal(plan)
    evolve(plan, engine or Misleading(), journal, until="justify")
    return journal


def doubts(journal: MemoryJournal, about: Sequence[Record], measure: str = verifier.MEASURE) -> np.ndarray:
    return np.array([journal.merged[record.id].confidences.get(measure, math.nan) for record in about])


def test_it_orders_and_states_better_than_the_averaged_probability(plan: Plan) -> None:
    journal = learned(plan)
    truth = [TASK.labels[int(record.id[-3:]) % 3] for record in plan.unlabeled]
    right = np.array([journal.merged[r.id].answer == gold for r, gold in zip(plan.unlabeled, truth, strict=True)])
    areas, errors = {}, {}
    for measure in ("answer_nll", verifier.MEASURE):
        found = doubts(journal, plan.unlabeled, measure)
        areas[measure] = metrics.risk_coverage(found, right).area
        errors[measure] = metrics.reliability(np.exp(-found), right).ece
    assert areas[verifier.MEASURE] < 0.9 * areas["answer_nll"]
    assert errors[verifier.MEASURE] < 0.06 < errors["answer_nll"]


def test_an_answer_changes_no_judgment_of_its_own_record(plan: Plan) -> None:
    before, one = doubts(learned(plan), plan.calibration), 17
    other = TASK.labels[(TASK.labels.index(plan.calibration[one].answer or "") + 1) % 3]
    changed = [replace(r, answer=other) if i == one else r for i, r in enumerate(plan.calibration)]
    after = doubts(learned(replace(plan, calibration=changed)), changed)
    assert after[one] == before[one]
    assert np.isfinite(before).all()
    assert (after != before).sum() > 100, "the verifiers of the other folds learned from it"


def test_without_enough_known_records_the_measure_is_absent(plan: Plan) -> None:
    journal = learned(replace(plan, calibration=plan.calibration[:20]))
    assert np.isnan(doubts(journal, plan.unlabeled)).all()
    assert len(journal.merged) == 420, "and everything else is there"


@pytest.mark.parametrize(
    ("right", "wrong", "enough"), [(25, 5, True), (26, 3, False), (40, 4, False), (4, 40, False), (300, 5, True)]
)
def test_an_obstacle_gives_both_numbers(right: int, wrong: int, enough: bool) -> None:
    found = verifier.obstacle(np.arange(right + wrong) < right)
    assert (found == "") is enough
    if not enough:
        assert f"there are {right + wrong}, {wrong} answered wrongly" in found


def test_features_are_what_is_known_of_a_candidate() -> None:
    line: dict[str, object] = {
        "answer_nll": -math.log(0.8),
        "answer_entropy": 0.4,
        "mean_nll": 0.3,
        "token_entropy": math.nan,
    }
    line |= {"vote_entropy": 0.0, "agreed": True, "justified": False, "similarity": 0.7, "answer": "road"}
    of = (
        Response("r", "one", "road", "road", (0.6, 0.3, 0.1), mass=0.5),
        Response("r", "two", "road", "road", (1, 0, 0)),
    )
    seen = verifier.Seen(
        replace(TASK, labels=("road", "water", "noise")),
        ["one", "two", "three"],
        {"r": {response.collaborator: response for response in of}},
        {"r": ("road", "water", "noise")},
    )
    found = verifier.features(pd.DataFrame([line], index=["r"]), seen)[0]
    shared = [math.log(4), 0.4, 0.3, math.nan, 0.0, 1, 0, 0.7]
    np.testing.assert_allclose(found[:8], shared)
    np.testing.assert_allclose(found[8:10], [math.log(0.8 / 0.15), 0.5])
    np.testing.assert_allclose(found[10:], [math.log(0.6 / 0.4), math.log((1 - 1e-6) / 1e-6), math.nan])
