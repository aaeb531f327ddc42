"""Cross-fitting: no record is judged by a model or beside a demonstration that knows it, and a stop changes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from semievol.config import Collaborator, Policy
from semievol.errors import UserError
from semievol.importing.splits import cut_folds
from semievol.method.evolve import evolve
from semievol.method.protocols import Plan, Stopped
from semievol.presets import load
from semievol.records import Record
from semievol.selection.policy import Cut
from tests.fakes import FakeEngine, MemoryJournal
from tests.method.test_evolve import TASK, outcome, records


@pytest.fixture
def plan() -> Plan:
    config = load("paper").model_copy(update={"cross_fit": 3})
    return Plan(TASK, config, labeled=records("labeled", 30, True), unlabeled=records("unlabeled", 21, False))


def test_every_labeled_record_is_judged_by_what_never_saw_it(plan: Plan) -> None:
    engine, journal = FakeEngine(), MemoryJournal(plan)
    evolve(plan, engine, journal, until="justify")
    assert set(journal.merged) == {record.id for record in [*plan.labeled, *plan.unlabeled]}
    taught = {str(setup.folder / "adapter"): examples for examples, setup in engine.trained}
    questions = {record.id: record.question for record in plan.labeled}
    asked = [ask for ask in engine.asked if ask.record_id in questions]
    assert len(journal.of_folds) == 3
    for ask in asked:
        question = questions[ask.record_id]
        assert not any(question in turn.content for turn in ask.messages[:-1])
        if ask.identity == "warm_up":
            assert "without-fold" in ask.model
            assert ask.record_id not in {example.record_id for example in taught[ask.model]}
    adapters = Counter(ask.model for ask in asked if ask.identity == "warm_up")
    assert len(adapters) == 3


def test_a_stopped_and_a_whole_cross_fit_give_the_same(plan: Plan) -> None:
    whole = MemoryJournal(plan)
    evolve(plan, FakeEngine(), whole, until="select")
    for after in (1, 6, 11):
        stopped = MemoryJournal(plan, stop_after=after)
        with pytest.raises(Stopped):
            evolve(plan, FakeEngine(), stopped, until="select")
        stopped.stop_after = None
        evolve(plan, FakeEngine(), stopped, until="select")
        assert outcome(stopped) == outcome(whole)


def test_what_was_cross_fitted_calibrates_the_policy(plan: Plan) -> None:
    journal = MemoryJournal(plan)
    evolve(plan, FakeEngine(), journal, until="justify")
    found = journal.considered()
    pool, known = found.pool, found.calibration
    assert known["cross_fitted"].all()
    assert len(known) == len(plan.labeled)
    evidence = Cut(Policy(), pool, known).evidence()
    assert evidence is not None
    assert evidence.drawn > 0


def test_a_round_that_holds_out_calibration_records_needs_no_folds(plan: Plan) -> None:
    engine = FakeEngine()
    evolve(replace(plan, calibration=records("calibration", 4, True)), engine, MemoryJournal(plan), until="justify")
    assert [setup.folder.name for _, setup in engine.trained] == ["warm_up"]


def test_a_later_round_and_too_few_records_are_refused(plan: Plan) -> None:
    with pytest.raises(UserError, match="has seen every labeled record"):
        evolve(replace(plan, parent="adapter"), FakeEngine(), MemoryJournal(plan), until="justify")
    with pytest.raises(UserError, match="too few for 3 folds"):
        evolve(replace(plan, labeled=plan.labeled[:5]), FakeEngine(), MemoryJournal(plan), until="justify")


def test_copies_near_copies_and_groups_share_a_fold() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijkl"), 7)) for _ in range(400)]
    plain = [Record(f"r{i}", " ".join(rng.choice(words, 9)), (), "ab"[i % 2]) for i in range(40)]
    near = Record("near", plain[0].question + ".", (), "a")
    edited = Record("edited", plain[1].question[:-1] + "z", (), "b")
    family = [Record(f"g{i}", " ".join(rng.choice(words, 9)), (), "a", group="f") for i in range(4)]
    everything = [*plain, near, edited, *family]
    folds = cut_folds(everything, 5, seed=0)
    where = {r.id: next(n for n, fold in enumerate(folds) if r.content_hash in fold) for r in everything}
    assert where["near"] == where["r0"]
    assert where["edited"] == where["r1"]
    assert len({where[f"g{i}"] for i in range(4)}) == 1
    sizes = Counter(where.values())
    assert max(sizes.values()) - min(sizes.values()) <= 4
    templated = [Record(f"t{i}", f"How many lamps are there in street number {i}?", (), "a") for i in range(50)]
    assert sorted(map(len, cut_folds(templated, 5, seed=0))) == [10] * 5


def test_cross_fitted_scores_count_by_rank() -> None:
    rng = np.random.default_rng(0)
    alike = {"answer": "a", "agreed": True, "exactness": "exact", "flagged": False, "spent": False}
    pool = pd.DataFrame({**alike, "answer_nll": rng.random(1_000)})
    known = pd.DataFrame({**alike, "answer_nll": 3 + rng.random(50), "correct": True, "cross_fitted": True})
    drawn = Cut(Policy(rule={"kind": "fraction", "value": 0.4}), pool, known).evidence()
    assert drawn is not None
    assert drawn.drawn == 20
    raw = Cut(Policy(rule={"kind": "fraction", "value": 0.4}), pool, known.assign(cross_fitted=False)).evidence()
    assert raw is not None
    assert raw.drawn == 0


def test_the_embedder_of_a_fold_is_fine_tuned_without_it(plan: Plan) -> None:
    voting = (Collaborator(name="vote", model="neighbours"), Collaborator(name="alone", demonstrations=False))
    changes = {"collaborators": voting, "embedder": "minilm", "tune_embedder": True}
    plan = replace(
        plan,
        config=plan.config.model_copy(update={"propagation": plan.config.propagation.model_copy(update=changes)}),
    )
    engine, journal = FakeEngine(), MemoryJournal(plan)
    evolve(plan, engine, journal, until="justify")
    everybody = {record.content_hash for record in plan.labeled}
    left_out = {frozenset(everybody.difference(learned)) for learned in engine.tuned_on}
    assert frozenset() in left_out, "the round's own learns from all"
    folds = left_out - {frozenset()}
    assert len(folds) == plan.config.cross_fit
    assert set().union(*folds) == everybody
    assert sum(map(len, folds)) == len(everybody), "every labeled record is left out of one of them"


def test_votes_about_a_fold_are_given_by_the_other_folds_alone(plan: Plan) -> None:
    class Watched(FakeEngine):
        def vote(self, labeled, queries, *rest):
            assert not {r.content_hash for r in labeled} & {r.content_hash for r in queries}
            return super().vote(labeled, queries, *rest)

    voting = (Collaborator(name="vote", model="neighbours"), Collaborator(name="alone", demonstrations=False))
    propagation = plan.config.propagation.model_copy(update={"collaborators": voting})
    plan = replace(plan, config=plan.config.model_copy(update={"propagation": propagation}))
    journal = MemoryJournal(plan)
    evolve(plan, Watched(), journal, until="justify")
    assert {r.record_id for r in journal.responses("respond") if r.collaborator == "vote"} == {
        record.id for record in [*plan.labeled, *plan.unlabeled]
    }


def test_folds_report_their_training_as_progress_of_cross_fitting(plan: Plan) -> None:
    journal = MemoryJournal(plan)
    evolve(plan, FakeEngine(), journal, until="justify")
    steps = 3 * len(journal.fold_adapters())  # of the fake engine's three steps a training
    assert steps > 3  # and one more, since the last fold's answers follow its training
    told = [(done, total) for stage, done, total in journal.steps if stage == "cross_fit"]
    assert told == [(0, 0), *((done, steps + 1) for done in range(1, steps + 2))]
    assert [done for stage, done, _ in journal.steps if stage == "warm_up"] == [0, 1, 2, 3]
