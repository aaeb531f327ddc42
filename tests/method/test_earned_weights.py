"""Whose word counts: on which records that is learnt, that none of them is judged by it, and when all count equally."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from semievol.config import Collaborator, Config
from semievol.method import earned_weights, weights
from semievol.method.evolve import evolve
from semievol.method.protocols import Ask, Plan, Reply, Stopped
from semievol.presets import load
from semievol.records import Record, Task
from tests.fakes import FakeEngine, MemoryJournal
from tests.method.test_evolve import TASK, outcome, records

GOOD, POOR = "alone", "base, demonstrations"


class Uneven(FakeEngine):
    """The warm-up model knows the label nearly always, the base model gives it little."""

    def _reply(self, ask: Ask) -> Reply:
        number = int(ask.record_id[-3:])
        wrong = (number * 7) % 11 == 0
        right = TASK.labels[(number + (1 if wrong else 0)) % 3]
        sure = 0.9 if ask.collaborator == GOOD else 0.2 if ask.collaborator == POOR else 0.5
        spread = tuple(sure if label == right else (1 - sure) / 2 for label in ask.allowed)
        return Reply(ask.allowed[int(np.argmax(spread))], spread, mass=0.9)


class Halves(FakeEngine):
    """Each of the two models knows the labels of half of the records."""

    def _reply(self, ask: Ask) -> Reply:
        number = int(ask.record_id[-3:])
        sure = 0.8 if (number % 2 == 0) == (ask.collaborator == GOOD) else 0.1
        spread = tuple(sure if label == TASK.labels[number % 3] else (1 - sure) / 2 for label in ask.allowed)
        return Reply(ask.allowed[int(np.argmax(spread))], spread, mass=0.9)


def settings_of(weighting: str = "earned", **more: object) -> Config:
    config = load("paper")
    collaborators = (Collaborator(name=GOOD, demonstrations=False), Collaborator(name=POOR, model="base"))
    changed = config.propagation.model_copy(update={"weighting": weighting, "collaborators": collaborators})
    return config.model_copy(update={"propagation": changed, **more})


@pytest.mark.parametrize(
    ("labeled", "later", "weighting", "folds"),
    [(99, False, "equal", 0), (100, False, "earned", 2), (497, True, "equal", 0), (500, False, "earned", 0)],
)
def test_auto_earns_weights_where_there_are_known_records_enough(
    labeled: int, later: bool, weighting: str, folds: int
) -> None:
    config, known = settings_of("auto", calibration=0.2, calibration_minimum=100), records("labeled", labeled, True)
    found = earned_weights.settled(config, TASK, known, later)
    assert (found.propagation.weighting, found.cross_fit) == (weighting, folds)
    assert earned_weights.settled(settings_of("equal"), TASK, known, later) == settings_of("equal")


def test_auto_takes_the_folds_that_a_person_chose_and_counts_a_group_once() -> None:
    few = earned_weights.settled(settings_of("auto", cross_fit=5), TASK, records("labeled", 90, True), False)
    assert (few.propagation.weighting, few.cross_fit) == ("earned", 5)
    one_group = [replace(record, group="one") for record in records("labeled", 300, True)]
    alike = earned_weights.settled(settings_of("auto"), TASK, one_group, False)
    assert (alike.propagation.weighting, alike.cross_fit) == ("equal", 0)


def test_auto_costs_nothing_where_weights_would_say_nothing() -> None:
    config = settings_of("auto")
    open_task = replace(TASK, kind="text", labels=())
    alone = config.propagation.model_copy(update={"collaborators": config.propagation.collaborators[:1]})
    for task, settings in ((open_task, config), (TASK, config.model_copy(update={"propagation": alone}))):
        found = earned_weights.settled(settings, task, records("labeled", 300, True), False)
        assert (found.propagation.weighting, found.cross_fit) == ("equal", 0)


@pytest.fixture
def plan() -> Plan:
    held = records("calibration", 40, True)
    return Plan(TASK, settings_of(), records("labeled", 12, True), records("unlabeled", 20, False), held)


def known(plan: Plan, journal: MemoryJournal) -> tuple[list[Record], np.ndarray]:
    said = {(r.record_id, r.collaborator): r.probabilities for r in journal.responses("respond")}
    found = list(plan.calibration or plan.labeled)
    return found, np.array(
        [[said[r.id, name][TASK.labels.index(r.answer or "")] for name in (GOOD, POOR)] for r in found]
    )


def test_the_pool_is_merged_by_what_all_calibration_records_earned(plan: Plan) -> None:
    journal = MemoryJournal(plan)
    evolve(plan, Uneven(), journal, until="justify")
    found, gold = known(plan, journal)
    assert journal.weighed is not None
    assert journal.weighed["records"] == len(found) == 40
    np.testing.assert_allclose(list(journal.weighed["everybody"].values()), weights.earned(gold), atol=1e-6)
    assert journal.weighed["everybody"][GOOD] > 0.9


def test_a_calibration_record_is_judged_by_what_the_other_folds_earned(plan: Plan) -> None:
    journal = MemoryJournal(plan)
    evolve(plan, Uneven(), journal, until="justify")
    found, gold = known(plan, journal)
    fold = np.array([weights.fold_of(record.content_hash) for record in found])
    said = {(r.record_id, r.collaborator): np.array(r.probabilities) for r in journal.responses("respond")}
    for record in found:
        mine = weights.fold_of(record.content_hash)
        w = weights.earned(gold[fold != mine])
        pooled = w[0] * said[record.id, GOOD] + w[1] * said[record.id, POOR]
        candidate = journal.merged[record.id]
        if candidate.agreed:
            value = -np.log(pooled[TASK.labels.index(candidate.answer or "")])
            assert candidate.confidences["answer_nll"] == pytest.approx(value, abs=1e-5)


def test_an_answer_changes_no_weights_by_which_its_own_record_is_judged(plan: Plan) -> None:
    before, after = MemoryJournal(plan), MemoryJournal(plan)
    evolve(plan, Halves(), before, until="justify")
    odd = replace(plan.calibration[3], answer=TASK.labels[1])
    assert odd.answer != plan.calibration[3].answer
    changed = [odd if record.id == odd.id else record for record in plan.calibration]
    evolve(replace(plan, calibration=changed), Halves(), after, until="justify")
    assert before.weighed is not None
    assert after.weighed is not None
    assert after.weighed["everybody"] != before.weighed["everybody"]
    mine = weights.fold_of(odd.content_hash)
    assert after.weighed["folds"][mine] == before.weighed["folds"][mine]
    assert after.merged[odd.id] == before.merged[odd.id]


def test_who_is_left_out_neither_disputes_nor_is_weighed_by_the_judge(plan: Plan) -> None:
    journal, engine = MemoryJournal(plan), Uneven()
    evolve(plan, engine, journal, until="justify")
    assert journal.weighed is not None
    assert journal.weighed["everybody"][POOR] == 0
    assert all(journal.merged[record.id].agreed for record in plan.unlabeled)
    assert journal.responses("justify") == []
    equal = MemoryJournal(plan)
    evolve(replace(plan, config=settings_of("equal")), Uneven(), equal, until="justify")
    assert any(not candidate.agreed for candidate in equal.merged.values())
    assert equal.weighed is None


def test_spent_calibration_records_earn_nobody_anything(plan: Plan) -> None:
    journal = MemoryJournal(plan)
    spent = frozenset(record.content_hash for record in plan.calibration[:8])
    evolve(replace(plan, spent=spent), Uneven(), journal, until="justify")
    assert journal.weighed is not None
    assert journal.weighed["records"] == 32


def test_too_few_known_records_leave_all_equal_and_the_run_says_so(plan: Plan) -> None:
    few = replace(plan, calibration=plan.calibration[:29])
    journal, equal = MemoryJournal(plan), MemoryJournal(plan)
    evolve(few, Uneven(), journal, until="justify")
    evolve(replace(few, config=settings_of("equal")), Uneven(), equal, until="justify")
    assert journal.merged == equal.merged
    ((stage, text),) = journal.events
    assert stage == "justify"
    assert text.startswith("All collaborators have equal weight: weights need 30 records")


def test_an_open_task_has_nothing_to_earn_weights_by(plan: Plan) -> None:
    journal = MemoryJournal(plan)
    evolve(replace(plan, task=Task("text")), FakeEngine(), journal, until="justify")
    assert "no fixed answers" in journal.events[0][1]


@pytest.fixture
def crossed() -> Plan:
    return Plan(TASK, settings_of(cross_fit=3), records("labeled", 36, True), records("unlabeled", 20, False))


def test_cross_fitted_labeled_records_say_whose_word_counts_and_are_judged_by_the_others(crossed: Plan) -> None:
    journal = MemoryJournal(crossed)
    evolve(crossed, Uneven(), journal, until="justify")
    _, gold = known(crossed, journal)
    assert journal.weighed is not None
    assert (journal.weighed["records"], journal.weighed["cross_fitted"]) == (36, True)
    np.testing.assert_allclose(list(journal.weighed["everybody"].values()), weights.earned(gold), atol=1e-6)
    assert set(journal.merged) == {record.id for record in [*crossed.labeled, *crossed.unlabeled]}
    assert all(candidate.agreed for candidate in journal.merged.values())


def test_a_stopped_and_a_whole_round_earn_the_same(crossed: Plan) -> None:
    whole = MemoryJournal(crossed)
    evolve(crossed, Uneven(), whole, until="select")
    for after in (1, 4, 7):
        stopped = MemoryJournal(crossed, stop_after=after)
        with pytest.raises(Stopped):
            evolve(crossed, Uneven(), stopped, until="select")
        stopped.stop_after = None
        evolve(crossed, Uneven(), stopped, until="select")
        assert (outcome(stopped), stopped.weighed) == (outcome(whole), whole.weighed)


def test_records_that_become_known_later_are_learnt_from_then(crossed: Plan) -> None:
    journal = MemoryJournal(crossed)
    evolve(replace(crossed, config=settings_of(cross_fit=0)), Uneven(), journal, until="justify")
    assert journal.weighed is not None
    assert "reason" in journal.weighed
    evolve(crossed, Uneven(), journal, until="justify")
    assert journal.weighed["records"] == 36


def test_who_earned_what_is_one_sentence() -> None:
    found = {"records": 100, "cross_fitted": False, "everybody": {"regression": 0.38, "base": 0.0, "warm-up": 0.62}}
    assert earned_weights.sentence(found) == (
        "Weights of the collaborators: warm-up 62 %, regression 38 %; base left out. Fitted on 100 calibration records."
    )
