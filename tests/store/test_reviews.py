"""Random reviews in the store: an answer is a decision, both or neither; undone, its question is open again."""

from __future__ import annotations

import pytest

from semievol.config import Policy
from semievol.errors import UserError
from semievol.evidence.reviews import Review, proven, reserved
from semievol.store.database import Store
from semievol.store.decisions import decisions, reviews, selections
from semievol.store.decisions import history as decision_history
from tests.store.world import World, freeze, make_world, propagated


@pytest.fixture
def world(store: Store) -> World:
    return propagated(make_world(store))


def _begun(world: World, size: int = 5, mode: str = "fixed") -> Review:
    order = ["u5", "u3", "u0", "u1", "u7", "u2"]
    return reviews.begin(world.store, world.round.id, Policy(), order, mode, size)  # type: ignore[arg-type]


def test_a_review_remembers_what_it_draws_from(world: World) -> None:
    review = _begun(world)
    assert review.number == 1
    assert review.open
    assert review.sample.order == ["u5", "u3", "u0", "u1", "u7"]
    assert review.sample.kept == 6
    assert len(review.keys) == 6
    assert review.sample.shown["u3"] == "water"
    reviews.end(world.store, review.id)
    assert _begun(world).number == 2
    assert [one.number for one in reviews.list_reviews(world.store, world.round.id)] == [1, 2]


def test_an_answer_is_a_decision_too(world: World) -> None:
    review = _begun(world)
    reviews.answer(world.store, review, "u5", "accept", "road", reviewer="Ada", key="k1")
    reviews.answer(world.store, review, "u3", "edit", "waste", reviewer="Ada", key="k2")
    found = reviews.get(world.store, review.id)
    assert found.sample.wrong() == [False, True]
    history = decision_history.history(world.store, world.project.id)
    assert history[["record_id", "action", "answer", "note"]].to_numpy().tolist() == [
        ["u3", "edit", "waste", reviews.NOTE],
        ["u5", "accept", "road", reviews.NOTE],
    ]


def test_after_its_end_nothing_is_added_to_a_review(world: World) -> None:
    """Its result has been stated; another browser may still show the question."""
    review = _begun(world)
    reviews.answer(world.store, review, "u5", "accept", "road", key="k1")
    reviews.end(world.store, review.id)
    with pytest.raises(UserError, match="was ended meanwhile"):
        reviews.answer(world.store, review, "u3", "edit", "waste", key="k2")
    assert reviews.answer(world.store, review, "u5", "accept", "road", key="k1"), "what was acknowledged stays so"
    assert len(reviews.get(world.store, review.id).sample.seen) == 1
    assert len(decision_history.history(world.store, world.project.id)) == 1


def test_an_answer_counts_once(world: World) -> None:
    review = _begun(world)
    for _ in range(2):
        assert reviews.answer(world.store, review, "u5", "accept", "road", key="k1")
    assert not reviews.answer(world.store, review, "u5", "edit", "waste", key="k2")  # a colleague was a moment later
    found = reviews.get(world.store, review.id)
    assert [(one.record_id, one.answer) for one in found.sample.seen] == [("u5", "road")]
    assert len(decision_history.history(world.store, world.project.id)) == 1


def test_a_refused_answer_leaves_nothing(world: World) -> None:
    review = _begun(world)
    with pytest.raises(UserError, match="not an allowed answer"):
        reviews.answer(world.store, review, "u5", "edit", "nonsense", key="k1")
    assert reviews.get(world.store, review.id).sample.seen == []
    assert decision_history.history(world.store, world.project.id).empty


def test_a_repeated_question_decides_nothing(world: World) -> None:
    review = _begun(world)
    reviews.answer(world.store, review, "u5", "accept", "road", key="k1")
    reviews.answer(world.store, review, "u5", "edit", "waste", repeat=True, key="k2")
    found = reviews.get(world.store, review.id)
    assert found.sample.unsteady() == ["u5"]
    assert len(decision_history.history(world.store, world.project.id)) == 1


def test_undo_opens_the_question_again(world: World) -> None:
    review = _begun(world)
    reviews.answer(world.store, review, "u5", "accept", "road", key="k1")
    reviews.answer(world.store, review, "u3", "skip", key="k2")
    assert reviews.undo(world.store, review, key="k3")
    assert reviews.get(world.store, review.id).sample.next_question() == ("u3", False)
    assert reviews.undo(world.store, review, key="k4")
    assert not reviews.undo(world.store, review, key="k5")
    reviews.answer(world.store, review, "u5", "edit", "water", key="k6")
    found = reviews.get(world.store, review.id).sample
    assert found.wrong() == [True, True]  # u3 was drawn and has no answer


def test_undo_takes_back_ones_own_newest_answer_a_repeated_one_too(world: World) -> None:
    review = _begun(world)
    reviews.answer(world.store, review, "u5", "accept", "road", reviewer="Ada", key="k1")
    reviews.answer(world.store, review, "u3", "accept", "water", reviewer="Bob", key="k2")
    reviews.answer(world.store, review, "u5", "edit", "waste", repeat=True, reviewer="Ada", key="k3")
    assert reviews.undo(world.store, review, "Ada")
    found = reviews.get(world.store, review.id).sample
    assert found.unsteady() == []
    assert set(found.first) == {"u5", "u3"}
    assert reviews.undo(world.store, review, "Ada")
    assert set(reviews.get(world.store, review.id).sample.first) == {"u3"}


def test_the_desk_does_not_open_a_review_again(world: World) -> None:
    review = _begun(world)
    reviews.answer(world.store, review, "u5", "accept", "road", reviewer="Ada", key="k1")
    assert decision_history.undo(world.store, world.project.id, reviewer="Ada") is None
    assert reserved(reviews.list_reviews(world.store, world.round.id)) == {"u3", "u0", "u1", "u7"}


def test_one_review_at_a_time_and_a_finished_one_is_not_ended(world: World) -> None:
    review = _begun(world, size=1)
    with pytest.raises(UserError, match="still open"):
        _begun(world)
    reviews.answer(world.store, review, "u5", "accept", "road", key="k1")
    reviews.end(world.store, review.id)
    assert reviews.get(world.store, review.id).ended is None
    assert reviews.get(world.store, review.id).sample.mode == "fixed"


def test_a_bulk_decision_leaves_what_was_decided_meanwhile(world: World) -> None:
    about = (world.store, world.project.id, world.round.id)
    decisions.decide(*about, "u1", "reject", "road", reviewer="Bob")
    shown = {"u0": "road", "u1": "road", "u2": "road"}
    made = decisions.decide_many(*about, shown, "accept", reviewer="Ada", only_undecided=True)
    assert [one.record_id for one in made] == ["u0", "u2"]
    assert len(decisions.in_bulk(world.store, world.project.id)) == 2


def test_a_review_that_was_ended_keeps_the_bound_for_any_time(world: World) -> None:
    review = _begun(world)
    reviews.answer(world.store, review, "u5", "accept", "road", key="k1")
    assert proven(reviews.get(world.store, review.id).sample) is None
    reviews.end(world.store, review.id)
    found = reviews.get(world.store, review.id)
    assert not found.open
    assert proven(found.sample) is not None


def test_nothing_is_drawn_from_nothing(world: World) -> None:
    with pytest.raises(UserError, match="nothing to draw from"):
        reviews.begin(world.store, world.round.id, Policy(), [], "fixed", 5)
    with pytest.raises(UserError, match="1 to 500 records"):
        reviews.begin(world.store, world.round.id, Policy(), ["u1"], "fixed", 501)


def test_the_same_undo_twice_takes_back_one_answer(world: World) -> None:
    """A browser sends a press again where it got no answer."""
    review = _begun(world)
    for number, record_id in enumerate(("u5", "u3", "u0")):
        reviews.answer(world.store, review, record_id, "accept", "road", reviewer="Ada", key=f"k{number}")
    reviews.answer(world.store, review, "u5", "accept", "road", repeat=True, reviewer="Ada", key="k3")
    reviews.answer(world.store, review, "u1", "accept", "road", reviewer="Ada", key="k4")
    left = []
    for press in ("u1", "u1", "u2", "u2", "u3", "u3"):
        assert reviews.undo(world.store, review, "Ada", press)
        left.append(len(reviews.get(world.store, review.id).sample.seen))
    assert left == [4, 4, 3, 3, 2, 2]


def test_any_decision_can_be_taken_back_and_said_again(world: World) -> None:
    about = (world.store, world.project.id, world.round.id)
    first = decisions.decide(*about, "u1", "accept", "road", reviewer="Ada", note="clear")
    many = decisions.decide_many(*about, {"u2": "road", "u4": "road"}, "reject", reviewer="Bob")
    assert len(decision_history.take_back(world.store, world.project.id, many[0].id, reviewer="Ada")) == 2
    assert decision_history.take_back(world.store, world.project.id, many[0].id) == []
    decision_history.take_back(world.store, world.project.id, first.id)
    assert decisions.standing(world.store, world.project.id) == {}
    again = decision_history.restore(world.store, world.project.id, first.id, reviewer="Bob")
    assert (again.action, again.answer, again.note, again.reviewer) == ("accept", "road", "clear", "Bob")
    with pytest.raises(UserError, match="no decision 999"):
        decision_history.take_back(world.store, world.project.id, 999)


def test_a_selection_names_the_decision_behind_an_answer(world: World) -> None:
    about = (world.store, world.project.id, world.round.id)
    decisions.decide(*about, "u1", "edit", "road", "waste", reviewer="Ada", note="it says bins")
    freeze(world.store, world.round.id, Policy(), {"u0": "road", "u1": "waste"}, {"u1": "expert"})
    frame = selections.selection_frame(world.store, world.round.id, 1).set_index("record_id")
    assert list(frame.loc["u1", ["reviewer", "note", "answer"]]) == ["Ada", "it says bins", "waste"]
    assert frame["reviewer"].isna()["u0"]
