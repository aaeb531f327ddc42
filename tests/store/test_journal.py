"""The journal: what `evolve` tells is there afterwards, once, and only from the run's owner."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pysqlite3.dbapi2 as driver
import pytest

from semievol.config import Policy
from semievol.errors import UserError
from semievol.method.protocols import Journal, Stopped
from semievol.presets import load
from semievol.records import Candidate, Cost, Response
from semievol.selection.summary import Considered, Selection, accepted
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.decisions import decisions, selections
from semievol.store.results import costs, outcomes, results
from semievol.store.runs import claims, journal, progress, rounds, runs
from semievol.store.runs.journal import StoreJournal
from tests.store.world import World, candidate, freeze, response

POLICY = Policy()
WRITES: dict[str, Callable[[StoreJournal], object]] = {
    "event": lambda j: j.event("tune", "x"),
    "progress": lambda j: j.progress("tune", 1, 1),
    "metric": lambda j: j.metric("tune", "loss", 1, math.nan),
    "adapter": lambda j: j.save_adapter("tune", "x"),
    "demonstrations": lambda j: j.save_demonstrations({"u1": [("l1", 0.5)]}),
    "responses": lambda j: j.save_responses("respond", [response("u1")]),
    "costs": lambda j: j.save_responses("respond", [], {"one": Cost(1, 0.5)}),
    "candidates": lambda j: j.save_candidates([candidate("u1")]),
    "freeze": lambda j: j.freeze(lambda: Selection(POLICY, {"u1": "road"})),
    "weights": lambda j: j.save_weights({"records": 3}),
    "predictions": lambda j: j.save_predictions("base", [response("t1")]),
    "evaluation": lambda j: j.save_evaluation({"n": 1}),
}


def stored(world: World) -> list[Candidate | None]:
    """The candidates of the round's pool."""
    pool = results.candidate_frame(world.store, world.round.id)
    return [results.record_view(world.store, world.round.id, record_id).candidate for record_id in pool.index]


def test_it_is_the_journal_that_the_method_knows(world: World) -> None:
    def told(to: Journal) -> None:
        to.event("tune", "hello")

    told(world.journal)
    assert progress.events(world.store, world.run.id)[0].text == "hello"


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_stale_attempt_writes_nothing(world: World, write: Callable[[StoreJournal], object]) -> None:
    stale = world.journal
    world.run = world.again()
    revision = results.revision(world.store, world.round.id)
    with pytest.raises(Stopped):
        write(stale)
    owner = world.journal
    assert results.revision(world.store, world.round.id) == revision
    assert (owner.adapter("tune"), owner.demonstrations(), owner.responses("respond"), stored(world)) == (
        None,
        {},
        [],
        [],
    )
    assert (owner.selection(), owner.predictions("base")) == (None, [])
    assert outcomes.evaluation(world.store, world.run.id) is None
    assert progress.metrics(world.store, world.run.id).empty
    assert progress.events(world.store, world.run.id) == []


def test_every_write_of_results_raises_the_revision(world: World) -> None:
    told = world.journal
    for name in ("adapter", "demonstrations", "responses", "candidates", "freeze", "predictions", "evaluation"):
        before = results.revision(world.store, world.round.id)
        WRITES[name](told)
        assert results.revision(world.store, world.round.id) > before, name


def test_stopping_is_looked_up_twice_a_second(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(journal.time, "monotonic", lambda: now)
    told = world.journal
    assert told.stopping() is False
    runs.request_stop(world.store, world.run.id)
    assert told.stopping() is False
    now += 0.6
    assert told.stopping() is True


def test_a_worker_that_lost_its_run_is_told_to_stop(world: World) -> None:
    stale = world.journal
    world.again()
    assert stale.stopping() is True


def test_adapters_belong_to_the_round_or_to_the_run(world: World) -> None:
    told = world.journal
    assert (told.adapter("warm_up"), told.adapter("tune")) == (None, None)
    for stage in ("warm_up", "tune"):
        folder = told.folder(stage)
        assert folder.is_dir()
        assert folder.is_relative_to(projects.project_folder(world.store, world.project.id))
        told.save_adapter(stage, str(folder / "adapter"))
        assert told.adapter(stage) == str(folder / "adapter")
    claims.finish(world.store, world.run.id, 1, "done")
    other = runs.enqueue(world.store, world.round.id, world.config, "tune")
    next_one = StoreJournal(world.store, other)
    assert next_one.adapter("warm_up") == told.adapter("warm_up")
    assert next_one.adapter("tune") is None
    assert next_one.folder("tune") != told.folder("tune")


def test_what_collaborators_earned_belongs_to_the_round(world: World) -> None:
    assert world.journal.weights() is None
    found = {"records": 40, "cross_fitted": False, "everybody": {"one": 1.0}, "folds": [{"one": 1.0}]}
    world.journal.save_weights(found)
    assert world.journal.weights() == rounds.weights(world.store, world.round.id) == found


def test_a_run_that_only_evaluates_takes_the_newest_evolved_adapter(world: World) -> None:
    world.journal.save_adapter("tune", "/somewhere/else")
    claims.finish(world.store, world.run.id, 1, "done")
    other = runs.enqueue(world.store, world.round.id, world.config, "evaluate")
    assert StoreJournal(world.store, other).adapter("tune") == "/somewhere/else"
    assert outcomes.evolved_adapter(world.store, world.round.id) == "/somewhere/else"
    assert outcomes.run_adapter(world.store, other.id) is None


def test_a_moved_workspace_keeps_its_adapters(world: World, tmp_path: Path) -> None:
    told = world.journal
    told.save_adapter("warm_up", str(told.folder("warm_up")))
    world.store.home = tmp_path / "moved"
    assert outcomes.adapters(world.store, world.round.id)["warm_up"].startswith(str(tmp_path / "moved" / "projects"))


def test_demonstrations_come_back_in_their_order(world: World) -> None:
    near = {"u1": [("l2", 0.1 + 0.2), ("l1", 1 / 3)], "u0": []}
    world.journal.save_demonstrations(near)
    assert world.journal.demonstrations() == near


def test_responses_come_back_exactly(world: World) -> None:
    open_one = Response("u1", "b", "Ähm\n😀", None, (), None, (-1e-300, -0.1, -math.inf), (0.1 + 0.2,), "bound", "h2")
    closed = Response("u1", "a", "road", "road", (1 / 3, 2 / 3, 0.0), 0.999999999999, input_hash="h1")
    world.journal.save_responses("respond", [open_one, closed])
    world.journal.save_responses("respond", [response("u0")])
    assert world.journal.responses("respond") == [response("u0"), open_one, closed]
    assert world.journal.responses("justify") == []
    assert world.journal.responses("respond", ["u1"]) == [one for one in (open_one, closed) if one.record_id == "u1"]
    assert world.journal.responses("respond", []) == []
    assert world.journal.answered("respond") == {("u0", "one", "h"), ("u1", "a", "h1"), ("u1", "b", "h2")}


def test_a_response_is_stored_once(world: World) -> None:
    world.journal.save_responses("respond", [response("u1", answer="road")])
    world.journal.save_responses(
        "respond", [response("u1", answer="water"), response("u1", answer="waste", input_hash="i")]
    )
    assert [r.answer for r in world.journal.responses("respond")] == ["road", "waste"]


def test_a_voter_that_learned_from_other_answers_votes_again_and_its_earlier_vote_is_gone(world: World) -> None:
    claims.finish(world.store, world.run.id, world.run.attempt, "done")
    round_ = rounds.open_round(world.store, world.project.id, load("studio"))
    run = claims.claim(world.store, runs.enqueue(world.store, round_.id, round_.config).id, os.getpid())
    voter = next(one.name for one in round_.config.propagation.collaborators if one.model == "neighbours")
    journal = StoreJournal(world.store, run)
    journal.save_responses("respond", [response("u1", "warm-up alone"), response("u1", voter), response("u2", voter)])
    journal.save_responses("respond", [response("u1", voter, "water", "i"), response("u2", voter, "water")])
    found = [(one.record_id, one.collaborator, one.answer) for one in journal.responses("respond")]
    assert sorted(found) == [("u1", voter, "water"), ("u1", "warm-up alone", "road"), ("u2", voter, "road")]


def test_what_responses_took_adds_up_over_attempts_and_runs(world: World) -> None:
    took = Cost(1, 0.5, 100, 7)
    world.journal.save_responses("respond", [response("u0")], {"one": took, "two": Cost(1, 0.25)})
    world.run = world.again()
    world.journal.save_responses("respond", [response("u1")], {"one": took})
    world.journal.save_responses("justify", [response("u1", "judge")], {"judge": took})
    claims.finish(world.store, world.run.id, world.run.attempt, "done")
    later = runs.enqueue(world.store, world.round.id, world.config)
    StoreJournal(world.store, claims.claim(world.store, later.id, os.getpid())).save_responses(
        "respond", [response("u2")], {"one": took}
    )
    assert costs.costs(world.store, world.round.id, "respond") == {"one": took + took + took, "two": Cost(1, 0.25)}
    assert costs.costs(world.store, world.round.id, "justify") == {"judge": took}


def test_another_round_starts_with_nothing(full: World) -> None:
    claims.finish(full.store, full.run.id, 1, "done")
    child = rounds.open_round(full.store, full.project.id, full.config, full.round.id)
    empty = StoreJournal(full.store, runs.enqueue(full.store, child.id, full.config))
    assert results.candidate_frame(full.store, child.id).empty
    assert (empty.answered("respond"), empty.demonstrations(), empty.adapter("warm_up")) == (
        set(),
        {},
        None,
    )


def test_candidates_come_back_and_are_replaced(world: World) -> None:
    told = world.journal
    first = Candidate("u1", None, False, {"vote_entropy": 0.5, "mean_nll": math.nan}, True, "absent")
    told.save_candidates(iter([candidate("u2"), first]))
    assert stored(world) == [Candidate("u1", None, False, {"vote_entropy": 0.5}, True, "absent"), candidate("u2")]
    told.save_candidates([candidate("u1", "water")])
    assert stored(world) == [candidate("u1", "water"), candidate("u2")]


def test_an_unknown_record_is_a_mistake_in_the_program(world: World) -> None:
    with pytest.raises(KeyError):
        world.journal.save_responses("respond", [response("u0"), response("nobody")])
    assert world.journal.responses("respond") == []


def test_predictions_belong_to_the_run(world: World) -> None:
    told = world.journal
    told.save_predictions("base", [response("t0"), response("t1", answer=None)])
    told.save_predictions("evolved", [response("t0", "evolved", "water")])
    assert [r.answer for r in told.predictions("base")] == ["road", None]
    assert [r.collaborator for r in told.predictions("evolved")] == ["evolved"]
    assert told.predictions("warm_up") == []


def test_a_run_that_only_evaluates_begins_with_what_the_run_that_made_the_model_was_answered(world: World) -> None:
    maker = world.journal
    maker.save_adapter("tune", str(world.store.home / "adapter"))
    maker.save_predictions("base", [response("t0"), response("t1", answer=None)])
    claims.finish(world.store, world.run.id, world.run.attempt, "done")
    later = claims.claim(
        world.store, runs.enqueue(world.store, world.round.id, world.run.config, "evaluate").id, os.getpid()
    )
    told = StoreJournal(world.store, later)
    assert told.predictions("base") == maker.predictions("base")
    told.save_predictions("base", [response("t0", "base", "water")])
    again = StoreJournal(world.store, later)
    assert [r.answer for r in again.predictions("base")] == ["water", None]
    assert [r.answer for r in maker.predictions("base")] == ["road", None]


def test_an_evaluation_that_is_resumed_goes_on_with_the_model_it_began_with(world: World) -> None:
    """Else its rows would be of two models, where another was made meanwhile."""
    world.journal.save_adapter("tune", str(world.store.home / "first"))
    world.journal.progress("tune", 1, 1)
    world.journal.save_predictions("evolved", [response("t0", "evolved")])
    claims.finish(world.store, world.run.id, world.run.attempt, "done")
    only = runs.enqueue(world.store, world.round.id, world.run.config, "evaluate")
    told = StoreJournal(world.store, claims.claim(world.store, only.id, os.getpid()))
    told.progress("evaluate", 0, 1)
    assert told.adapter("tune") == str(world.store.home / "first")
    claims.finish(world.store, only.id, 1, "interrupted")
    again = runs.enqueue(world.store, world.round.id, world.run.config, "tune")
    other = StoreJournal(world.store, claims.claim(world.store, again.id, os.getpid()))
    other.progress("tune", 1, 1)
    other.save_adapter("tune", str(world.store.home / "second"))
    claims.finish(world.store, again.id, 1, "done")
    assert outcomes.evolved_adapter(world.store, world.round.id) == str(world.store.home / "second")
    runs.resume(world.store, only.id)
    told = StoreJournal(world.store, claims.claim(world.store, only.id, os.getpid()))
    assert told.adapter("tune") == str(world.store.home / "first")
    assert [r.answer for r in told.predictions("evolved")] == ["road"]


def test_what_a_selection_is_made_of_holds_the_decisions_and_no_hidden_gold(full: World) -> None:
    decide = decisions.decide
    decide(full.store, full.project.id, full.round.id, "u1", "skip", "road")
    decide(full.store, full.project.id, full.round.id, "u1", "edit", "road", "water")
    decide(full.store, full.project.id, full.round.id, "u2", "reject", "road")
    full.journal.save_shift({"auc": 0.5, "p_value": 0.4})
    found = full.journal.considered()
    said = found.pool[["decision", "decided_answer"]].dropna(how="all")
    assert said.to_dict("index") == {
        "u1": {"decision": "edit", "decided_answer": "water"},
        "u2": {"decision": "reject", "decided_answer": None},
    }
    assert found.pool["gold"].isna().all()
    assert found.calibration["gold"].to_dict() == {"l0": "road"}
    assert (found.task, found.texts, found.reviews, found.in_bulk) == (
        full.project.task,
        {"auc": 0.5, "p_value": 0.4},
        [],
        frozenset(),
    )


def test_a_run_freezes_once(full: World) -> None:
    told = full.journal
    frozen = told.freeze(lambda: Selection(POLICY, {"u1": "road", "u0": "water"}, {"u1": "expert"}))
    assert frozen == Selection(POLICY, {"u1": "road", "u0": "water"}, {"u1": "expert", "u0": "pseudo"}, number=1)
    assert told.freeze(lambda: Selection(POLICY, {"u2": "road"})).answers == frozen.answers
    assert told.selection() == frozen
    assert runs.get_run(full.store, full.run.id).selection_used == 1


@pytest.mark.parametrize("by_run", [True, False], ids=["by a run", "by a person"])
def test_what_is_frozen_holds_a_decision_that_was_saved_while_it_was_looked_for(
    full: World, monkeypatch: pytest.MonkeyPatch, by_run: bool
) -> None:
    look, looked = selections.considered, list[Considered]()

    def look_slowly(store: Store, round_id: int) -> Considered:
        looked.append(look(store, round_id))
        if len(looked) == 1:
            decisions.decide(full.store, full.project.id, full.round.id, "u1", "edit", "road", "water")
        return looked[-1]

    monkeypatch.setattr(selections, "considered", look_slowly)
    monkeypatch.setattr(journal, "considered", look_slowly)
    if by_run:
        told = full.journal
        frozen = told.freeze(lambda: accepted(POLICY, told.considered()))
    else:
        frozen = selections.freeze(full.store, full.round.id, POLICY)
    assert frozen.answers["u1"] == "water"
    assert len(looked) == 2, "found anew, as something was decided meanwhile"


def test_what_is_accepted_is_found_once_where_nothing_was_decided_meanwhile(full: World) -> None:
    looked = []

    def work() -> Selection:
        looked.append(1)
        return Selection(POLICY, {"u1": "road"})

    full.journal.freeze(work)
    assert looked == [1]


def test_a_run_uses_the_newest_selection_and_stays_with_it(full: World) -> None:
    assert full.journal.selection() is None
    freeze(full.store, full.round.id, POLICY, {"u1": "road"}, {})
    freeze(full.store, full.round.id, POLICY, {"u2": "road"}, {})
    first = full.journal.selection()
    assert first is not None
    assert first.number == 2
    freeze(full.store, full.round.id, POLICY, {"u4": "road"}, {})
    full.run = full.again()
    assert full.journal.selection() == first


def test_a_run_uses_the_selection_that_was_asked_for(full: World) -> None:
    for record_id in ("u1", "u2"):
        freeze(full.store, full.round.id, POLICY, {record_id: "road"}, {})
    run = runs.enqueue(full.store, full.round.id, full.config, "tune", selection=1)
    claims.finish(full.store, full.run.id, 1, "done")
    told = StoreJournal(full.store, claims.claim(full.store, run.id, os.getpid()))
    frozen = told.selection()
    assert frozen is not None
    assert dict(frozen.answers) == {"u1": "road"}


def test_a_selection_of_unknown_records_is_refused(full: World) -> None:
    with pytest.raises(UserError, match="no record"):
        freeze(full.store, full.round.id, POLICY, {"nobody": "road"}, {})


def test_what_only_informs_waits_out_a_busy_database(world: World) -> None:
    if world.store.file is None:
        pytest.skip("needs a database file")
    told = world.journal
    other = driver.connect(str(world.store.file), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    world.store.patience = 0.05
    told.event("tune", "kept")
    told.metric("tune", "loss", 1, math.inf)
    told.progress("tune", 1, 2)
    with pytest.raises(UserError, match="Not saved"):
        told.save_responses("respond", [response("u1")])
    other.rollback()
    told.save_responses("respond", [response("u1")])
    assert [event.text for event in progress.events(world.store, world.run.id)] == ["kept"]
    assert len(progress.metrics(world.store, world.run.id)) == 1
    assert progress.stages(world.store, world.run.id)[5].done == 1


def test_a_resumed_run_keeps_the_selection_that_it_used(full: World) -> None:
    freeze(full.store, full.round.id, POLICY, {"u1": "road"}, {})
    assert full.journal.freeze(lambda: Selection(POLICY, {"u1": "road"})).number == 1, (
        "nothing has changed, so it is used again"
    )
    full.run = full.again()
    assert full.journal.freeze(lambda: Selection(POLICY, {"u2": "road"})) == full.journal.selection()
    assert runs.get_run(full.store, full.run.id).selection_used == 1
    assert len(selections.selections(full.store, full.round.id)) == 1


def test_a_run_that_was_asked_to_use_a_selection_freezes_no_other(full: World) -> None:
    for record_id in ("u1", "u2"):
        freeze(full.store, full.round.id, POLICY, {record_id: "road"}, {})
    run = runs.enqueue(full.store, full.round.id, full.config, "select", selection=1)
    claims.finish(full.store, full.run.id, 1, "done")
    told = StoreJournal(full.store, claims.claim(full.store, run.id, os.getpid()))
    assert dict(told.freeze(lambda: Selection(POLICY, {"u4": "road"})).answers) == {"u1": "road"}
    assert runs.get_run(full.store, run.id).selection_used == 1
    assert len(selections.selections(full.store, full.round.id)) == 2
