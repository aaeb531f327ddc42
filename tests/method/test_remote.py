"""Endpoints in the method: what is asked again, in which order answers are read, what is left out, when money ends."""

from __future__ import annotations

import pytest

from semievol.config import Config
from semievol.method.evolve import evolve
from semievol.method.local_models import SKIPPED, base_is_used, warm_up_is_used
from semievol.method.protocols import Ask, OutOfBudget, Plan, Reply, Stopped
from semievol.method.spending import Purse, Spent, read, stored
from semievol.presets import overlaid
from semievol.records import Record, Task
from tests.fakes import FakeEngine, MemoryJournal

TASK = Task("classification", labels=("roads", "water"))
FAR = {"name": "far", "model": "endpoint:far", "demonstrations": False}
OTHER = {"name": "other", "model": "endpoint:other", "demonstrations": False}
NEAR = {"name": "near", "model": "base", "demonstrations": False}
VOTE = {"name": "vote", "model": "neighbours", "demonstrations": False}
POOL = 20


def config(*collaborators: dict[str, object], **values: object) -> Config:
    asked = {"collaborators": list(collaborators), "weighting": "equal", "second_pass": False}
    propagation = asked | dict(values.pop("propagation", {}))  # type: ignore[call-overload]
    return overlaid({"preset": "studio", "calibration": 0.0, "propagation": propagation} | values)


def plan(settings: Config, test: int = 0) -> Plan:
    def made(split: str, count: int) -> list[Record]:
        words = ("pothole", "leak")
        return [
            Record(f"{split}{i:02}", f"{words[i % 2]} number {i} {split}", (), TASK.labels[i % 2]) for i in range(count)
        ]

    return Plan(TASK, settings, made("labeled", 8), made("pool", POOL), test=made("test", test))


def test_what_got_no_answer_is_told_and_only_that_is_asked_again() -> None:
    of, engine = plan(config(FAR, VOTE)), FakeEngine()
    journal = MemoryJournal(of)
    engine.silent = {("pool03", "far"), ("pool07", "far")}
    evolve(of, engine, journal, until="justify")
    assert len(engine.called) == POOL
    assert len(journal.merged) == POOL, "the others' answers still make a candidate"
    assert (
        "respond",
        "The endpoint far gave no answer to 2 questions: the server was silent (2). Another run with these "
        "settings asks just these again.",
    ) in journal.events
    engine.silent, engine.called = set(), []
    evolve(of, engine, journal, until="justify")
    assert {ask.record_id for ask in engine.called} == {"pool03", "pool07"}
    assert len(engine.called) == 2
    assert journal.spent()["far"] == Spent(answers=POOL, tries=POOL + 2, input_tokens=10 * (POOL + 2), cost=POOL)


def test_a_record_that_nobody_answered_is_no_candidate() -> None:
    of, engine = plan(config(FAR)), FakeEngine()
    engine.silent = {("pool03", "far")}
    journal = MemoryJournal(of)
    evolve(of, engine, journal, until="justify")
    assert set(journal.merged) == {f"pool{i:02}" for i in range(POOL)} - {"pool03"}


def test_the_judge_reads_the_answers_in_the_order_of_the_settings_whoever_was_faster() -> None:
    judged = config(NEAR, FAR, OTHER, propagation={"justify": True, "judge": FAR | {"name": "judge"}})
    of = plan(judged)
    journals = [MemoryJournal(of), MemoryJournal(of)]
    engines = [FakeEngine(), FakeEngine()]
    evolve(of, engines[0], journals[0], until="justify")
    evolve(of, engines[1], journals[1], until="retrieve")
    late = {key: one for key, one in journals[0].kept["respond"].items() if key[1] == "far"}
    journals[1].kept["respond"] = {k: v for k, v in journals[0].kept["respond"].items() if k not in late} | late
    evolve(of, engines[1], journals[1], first="justify", until="justify")
    asked = [[ask.input_hash for ask in one.called if ask.collaborator == "judge"] for one in engines]
    assert asked[0] == asked[1] != []


def test_no_budget_is_exceeded_and_a_larger_one_goes_on() -> None:
    engine, journal = FakeEngine(), MemoryJournal()
    of = plan(config(FAR, budget=7))
    with pytest.raises(OutOfBudget, match="budget of 7"):
        evolve(of, engine, journal, until="justify")
    assert len(journal.kept["respond"]) == len(engine.called) == 7
    evolve(plan(config(FAR, budget=100)), engine, journal, until="justify")
    assert len(engine.called) == POOL
    assert journal.spent()["far"].cost == POOL


def test_a_stop_is_heard_between_two_questions() -> None:
    engine, journal = FakeEngine(), MemoryJournal(stop_after=3)
    with pytest.raises(Stopped):
        evolve(plan(config(FAR)), engine, journal, until="justify")
    assert len(journal.kept["respond"]) == 3


def test_a_warm_up_that_nobody_uses_is_not_trained_and_a_note_says_so() -> None:
    of, engine, journal = plan(config(FAR, VOTE)), FakeEngine(), MemoryJournal()
    evolve(of, engine, journal, until="justify")
    assert not engine.trained
    assert ("warm_up", SKIPPED) in journal.events


@pytest.mark.parametrize(
    ("settings", "first", "until", "test", "trained", "loaded"),
    [
        (config(FAR), "warm_up", "select", 4, False, False),
        (config(FAR, VOTE), "retrieve", "justify", 0, False, False),
        (config(FAR), "warm_up", "warm_up", 0, True, True),
        (config(FAR), "warm_up", "evaluate", 4, True, True),
        (config(FAR), "warm_up", "evaluate", 0, False, True),
        (config(FAR), "warm_up", "tune", 0, False, True),
        (config(FAR, tune_from="warm_up"), "warm_up", "tune", 0, True, True),
        (config(NEAR), "warm_up", "justify", 0, False, True),
        (config(NEAR | {"model": "warm_up"}), "warm_up", "justify", 0, True, True),
        (config(FAR, propagation={"justify": True}), "warm_up", "justify", 0, True, True),
        (config(FAR, propagation={"justify": True, "judge": FAR}), "warm_up", "justify", 0, False, False),
    ],
)
def test_only_what_a_run_uses_is_trained_and_loaded(
    settings: Config, first: str, until: str, test: int, trained: bool, loaded: bool
) -> None:
    of = plan(settings, test)
    assert (warm_up_is_used(of, first, until), base_is_used(of, first, until)) == (trained, loaded)


def test_folds_train_no_warm_up_that_nobody_uses() -> None:
    of, engine = plan(config(FAR, VOTE, cross_fit=2)), FakeEngine()
    journal = MemoryJournal(of)
    evolve(of, engine, journal, until="justify")
    assert not engine.trained
    assert len(journal.merged) == POOL + 8, "the labeled records are judged, too"


def test_a_purse_sets_aside_what_is_under_way() -> None:
    purse = Purse(budget=10.0, spent={"far": Spent(cost=4.0)})
    assert purse.set_aside(5.0)
    assert not purse.set_aside(2.0)
    purse.settle(5.0, "far", Spent(answers=1, tries=1, cost=1.0))
    assert purse.cost == 5.0
    assert purse.set_aside(5.0)
    assert Purse().set_aside(1e9), "without a budget there is no limit"


def test_what_is_spent_is_read_as_it_was_stored() -> None:
    found = {"far": Spent(1, 2, 3, 4, 0.5)}
    assert read(stored(found)) == found
    assert read(None) == {}


def test_answers_without_probabilities_are_told_and_leave_votes_alone_as_confidence() -> None:
    class Mute(FakeEngine):
        def _reply(self, ask: Ask) -> Reply:
            return Reply(super()._reply(ask).text, exactness="absent")

    of, engine = plan(config(FAR, VOTE)), Mute()
    journal = MemoryJournal(of)
    evolve(of, engine, journal, until="justify")
    assert all(set(one.confidences) == {"vote_entropy"} for one in journal.merged.values())
    assert all(one.exactness == "absent" for one in journal.merged.values())
    (note,) = [text for stage, text in journal.events if stage == "respond"]
    assert f"{POOL} answers without usable log-probabilities" in note
