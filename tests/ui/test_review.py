"""The review desk: keys in order and once, nothing lost that could not be saved, and two reviewers at one record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import TextInput

from semievol.config import Policy
from semievol.records import Task
from semievol.store.data import projects
from semievol.store.database import NotSaved, Store
from semievol.store.decisions import decisions, history, reviews
from semievol.store.results import results
from semievol.store.runs.rounds import get_round
from semievol.ui.selection import card, desk, review
from semievol.ui.shell import notices
from semievol.ui.shell.session import Shell
from semievol.ui.shell.state import Place
from tests.ui import made
from tests.ui.conftest import kept, press, told

Session = dict[str, Any]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """The session's state as a plain dict."""
    kept: Session = {}
    with monkeypatch.context() as patch:
        patch.setattr(review.st, "session_state", kept)
        yield kept


def _desk(store: Store) -> review.Desk:
    project = projects.find_project(store, 1)
    round_ = get_round(store, 1)
    pool = results.candidate_frame(store, 1)
    here = Place(store, [project], project, [round_], round_, [], None)
    return review.Desk(here, pool, np.ones(len(pool), dtype=bool), "answer_nll", None)


def _press(store: Store, session: Session, *presses: tuple[int, str, str]) -> None:
    """The browser's queue arrives: (number, action, record) of every key press in it."""
    said = {"by": "browser", "who": "", "pick": -1, "last": 0}
    entries = [said | {"seq": seq, "act": act, "id": id} for seq, act, id in presses]
    session["review_keys"] = {"keys": entries}
    _desk(store).keys()


def _history(store: Store) -> list[tuple[str, str]]:
    frame = history.history(store, 1)[::-1]
    return list(zip(frame["action"], frame["record_id"], strict=True))


ONE, TWO, THREE = "unlabeled-0000", "unlabeled-0001", "unlabeled-0002"


def test_keys_are_applied_once_and_in_order(store: Store, session: Session) -> None:
    made.with_results(store, until="justify")
    sent = [(1, "accept", ONE), (2, "reject", TWO)]
    _press(store, session, *sent)
    _press(store, session, *sent, (3, "undo", ""))
    assert _history(store) == [("accept", ONE), ("reject", TWO), ("undo", TWO)]
    assert desk.kept().presses["review"].seq == 3


def test_a_repeated_undo_takes_back_one_decision(store: Store, session: Session) -> None:
    made.with_results(store, until="justify")
    _press(store, session, (1, "accept", ONE), (2, "accept", TWO), (3, "undo", ""))
    desk.kept().presses["review"].seq = 2  # the answer to the browser was lost
    _press(store, session, (3, "undo", ""))
    assert _history(store) == [("accept", ONE), ("accept", TWO), ("undo", TWO)]


def test_what_could_not_be_saved_waits_for_another_attempt(
    store: Store, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.with_results(store, until="justify")
    sent = [(1, "accept", ONE), (2, "reject", TWO), (3, "accept", THREE)]
    really = decisions.decide

    def busy(store: Store, project_id: int, round_id: int, record_id: str, *rest: Any, **named: Any) -> Any:
        if record_id == TWO:
            raise NotSaved("Not saved: the database is busy.", "database", "Try again.")
        return really(store, project_id, round_id, record_id, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(decisions, "decide", busy)
        _press(store, session, *sent)
    assert desk.kept().presses["review"].seq == 1
    assert desk.kept().presses["review"].failures == 1
    assert "busy" in str(notices.failed())
    assert _history(store) == [("accept", ONE)]
    _press(store, session, *sent)
    assert _history(store) == [("accept", ONE), ("reject", TWO), ("accept", THREE)]


def test_what_is_refused_does_not_hold_up_what_comes_after(
    store: Store, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.with_results(store, until="justify")
    sent = [(1, "nonsense", ONE), (2, "reject", TWO)]
    _press(store, session, *sent)
    assert "is not a decision" in str(notices.failed())
    assert _history(store) == []
    _press(store, session, *sent)
    assert _history(store) == [("reject", TWO)]


def test_a_decision_against_another_reviewers_tells_both(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    ada, bob = visit("review", project=project.id), visit("review", project=project.id)
    kept(ada, Shell).reviewer, kept(bob, Shell).reviewer = "Ada", "Bob"
    press(ada, "Accept")
    assert "Different decisions" not in told(ada)
    press(bob, "Reject")
    answer = history.history(store, project.id)["answer_shown"].iloc[0]
    assert f'Ada accepted "{answer}"; you rejected "{answer}". Your decision counts now.' in told(bob)
    assert sorted(history.history(store, project.id)["action"]) == ["accept", "reject"]
    press(bob, "Accept")
    assert "Ada accepted" in told(bob)
    press(bob, "Understood")
    assert "Different decisions" not in told(bob)


@pytest.mark.parametrize("names", [("", ""), ("Ada", "Bob"), ("Ada", "Ada")])
def test_who_is_overruled_is_told_too(visit: Callable[..., AppTest], store: Store, names: tuple[str, str]) -> None:
    project = made.with_results(store, until="justify")
    one, other = visit("review", project=project.id), visit("review", project=project.id)
    kept(one, Shell).reviewer, kept(other, Shell).reviewer = names
    press(one, "Accept")
    press(other, "Reject")  # of the record as it was before
    answer = history.history(store, project.id)["answer_shown"].iloc[0]
    who = [name or "somebody else" for name in names]
    who = [f"{name} (you, in another window)" for name in who] if names == ("Ada", "Ada") else who
    assert f'{who[0]} accepted "{answer}"; you rejected "{answer}". Your decision counts now.' in told(other)
    assert f'{who[1]} rejected "{answer}"; you accepted "{answer}". The other decision counts now.' in told(one.run())
    assert "Different decisions" not in told(press(one, "Understood").run())


def test_who_decides_again_is_no_longer_told_that_the_other_decision_counts(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_results(store, until="justify")
    one, other = visit("review", project=project.id), visit("review", project=project.id)
    press(one, "Accept")
    press(other, "Reject")
    assert "The other decision counts now." in told(one.run())
    one.query_params["record"] = history.history(store, project.id)["record_id"].iloc[0]
    kept(one, desk.Reviewing).round.addressed = False
    press(one.run(), "Accept")
    assert sorted(history.history(store, project.id)["action"]) == ["accept", "accept", "reject"]
    assert "The other decision counts now." not in told(one.run())


@pytest.mark.parametrize("name", ["", "Ada"])
def test_who_was_overruled_while_away_is_told_on_coming_back(
    visit: Callable[..., AppTest], store: Store, name: str
) -> None:
    project = made.with_results(store, until="justify")
    first, other = visit("review", project=project.id), visit("review", project=project.id)
    kept(first, Shell).reviewer = name
    press(first, "Accept")
    press(first, "Accept").run()
    before = kept(first, desk.Reviewing)
    press(other, "Reject")  # of the first one, as it was before
    answer = history.history(store, project.id)["answer_shown"].iloc[0]
    sentence = f'somebody else rejected "{answer}"; you accepted "{answer}". The other decision counts now.'

    def comes_back(seen: dict[int, int], earlier: tuple[str, ...], page: str = "review") -> AppTest:
        app = visit(page, project=project.id)
        kept(app, Shell).reviewer = name
        now = kept(app, desk.Reviewing)
        now.seen, now.earlier, now.round.compared = seen, earlier, None
        return app.run()

    assert before.decided
    assert before.seen == {project.id: 2}
    assert sentence in told(comes_back(before.seen, (before.name,), "overview"))
    back = comes_back(before.seen, (before.name,))
    assert told(back).count(sentence) == 1
    assert "Different decisions" not in told(press(back, "Understood"))
    assert kept(back, desk.Reviewing).seen == {project.id: 3}
    assert "Different decisions" not in told(comes_back({project.id: 3}, (before.name,)))
    # In another browser only who signs is known; what came after the own last decision is told.
    assert (sentence in told(comes_back({}, ()))) == bool(name)


def test_undo_leaves_what_somebody_else_decided_unsigned(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    one, other = visit("review", project=project.id), visit("review", project=project.id)
    press(one, "Accept")
    press(other, "Undo")
    assert [toast.value for toast in other.toast] == ["There is nothing to undo."]
    press(press(other, "Skip"), "Undo")
    assert history.history(store, project.id)["action"].tolist() == ["undo", "skip", "accept"]
    press(one, "Undo")
    assert decisions.standing(store, project.id) == {}


def test_who_loses_a_decision_in_the_history_is_told(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = press(visit("review", project=project.id), "Accept")
    history.take_back(store, project.id, 1, reviewer="Bob")
    assert "Bob took your decision back; you accepted" in told(app.run())
    assert "No decision counts now: the policy decides." in told(app)


def test_who_did_not_sign_gives_a_second_opinion_on_what_others_did_not_sign(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_results(store, until="justify")
    app = press(visit("review", project=project.id), "Accept")
    press(visit("review", project=project.id), "Accept")
    first, second = history.history(store, project.id)["record_id"][::-1]
    app.query_params["order"] = "second"
    press(app.run(), "Reject")
    assert history.history(store, project.id)["record_id"].tolist() == [second, second, first]


def test_a_second_opinion_is_about_the_correction_that_stands(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    candidate = results.record_view(store, 1, ONE).candidate
    assert candidate is not None
    other = next(label for label in made.LABELS if label != candidate.answer)
    decisions.decide(store, project.id, 1, ONE, "edit", candidate.answer, other, reviewer="Ada")
    app = visit("review", project=project.id, order="second")
    kept(app, Shell).reviewer = "Bob"
    press(app.run(), "Accept")
    assert history.history(store, project.id)["answer_shown"].iloc[0] == other
    view = results.record_view(store, 1, ONE)
    assert (view.decision.reviewer, view.decision.answer) == ("Bob", other) if view.decision else False
    assert "Different decisions" not in told(app)
    app = visit("review", project=project.id, order="second")
    kept(app, Shell).reviewer = "Cleo"
    press(app.run(), "Reject")
    view = results.record_view(store, 1, ONE)
    assert view.decision is None, "no correction stands, so the policy decides on the candidate again"


def test_a_key_is_about_the_answer_that_was_on_the_screen(store: Store, session: Session) -> None:
    project = made.with_results(store, until="justify")
    candidate = results.record_view(store, 1, ONE).candidate
    assert candidate is not None
    other = next(label for label in made.LABELS if label != candidate.answer)
    decisions.decide(store, project.id, 1, ONE, "edit", candidate.answer, other, reviewer="Ada")
    entry = {"by": "browser", "who": "", "pick": -1, "last": 0, "seq": 1, "act": "accept", "id": ONE}
    session["review_keys"] = {"keys": [entry | {"shown": candidate.answer}]}
    _desk(store).keys()
    assert history.history(store, 1)["answer_shown"].iloc[0] == candidate.answer


def test_a_link_opens_the_same_record_in_the_same_order(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    shown = visit("review", project=project.id, order="random")
    for _ in range(3):
        press(shown, "Skip")
    assert "0 decisions saved in this round." in told(shown), "a skip decides nothing"
    first, second, third = history.history(store, project.id)["record_id"][::-1]
    for _ in range(3):
        press(shown, "Undo")
    linked = visit("review", project=project.id, order="random", record=second)
    for _ in range(3):
        press(linked, "Reject")
    found = history.history(store, project.id)
    assert found[found["action"] == "reject"]["record_id"].tolist()[::-1] == [second, first, third]


def test_a_record_that_is_not_there_is_said_to_be_missing(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("review", project=project.id, record="<b>nobody</b>")
    assert "The record in the address is no candidate of this round." in told(app)


def test_links_to_the_former_part_of_selection_lead_to_the_review(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    assert "decisions saved in this round" in told(visit("selection", project=project.id, part="Review"))


def test_what_was_taken_back_or_said_alike_is_no_conflict(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    ada, bob, eve = (visit("review", project=project.id) for _ in range(3))
    for app, name in ((ada, "Ada"), (bob, "Bob"), (eve, "Eve")):
        kept(app, Shell).reviewer = name
    press(ada, "Accept")
    press(bob, "Accept")
    assert "Different decisions" not in told(bob)
    press(ada, "Undo")
    press(bob, "Undo")
    press(eve, "Reject")
    assert "Different decisions" not in told(eve)


def test_a_correction_that_could_not_be_saved_stays_in_the_form(
    visit: Callable[..., AppTest], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_results(store, until="justify")
    app = press(visit("review", project=project.id), "Edit")
    next(one for one in app.selectbox if one.label == "Correct answer").set_value("water")

    def full(*_: object, **__: object) -> None:
        raise NotSaved("Not saved: disk full.", "database", "Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr(decisions, "decide", full)
        press(app, "Save correction")
    assert "Not saved: disk full." in told(app)
    assert next(one for one in app.selectbox if one.label == "Correct answer").value == "water"
    press(app, "Save correction")
    assert results.candidate_frame(store, 1)["decided_answer"].dropna().tolist() == ["water"]


def test_what_a_random_review_holds_back_is_not_said_to_be_done(store: Store, session: Session) -> None:
    made.with_results(store, until="justify")
    pool = results.candidate_frame(store, 1)
    drawn = [str(i) for i in pool.index[:3]]
    rest = {str(i): str(answer) for i, answer in pool["answer"].iloc[3:].items()}
    under_way = reviews.begin(store, 1, Policy(), drawn, "fixed", 3)
    decisions.decide_many(store, 1, 1, rest, "accept")
    desk = _desk(store)
    assert desk.queue("unsure") == []
    assert "All other candidates are decided or skipped." in desk.finished()
    assert "3 records of the open random review are not shown here until answered there." in desk.finished()
    reviews.answer(store, under_way, drawn[0], "skip")
    reviews.answer(store, under_way, drawn[1], "ambiguous")
    desk = _desk(store)
    desk.queue("unsure")
    assert "1 record of the open random review is not shown here" in desk.finished()
    reviews.end(store, under_way.id)
    desk = _desk(store)
    assert desk.queue("unsure") == [drawn[2]]
    decisions.decide(store, 1, 1, drawn[2], "ambiguous", None)
    desk = _desk(store)
    assert desk.queue("unsure") == []
    assert desk.finished() == "All candidates are decided or skipped. Undo brings the last one back."
    desk.queue("second")
    assert "your own opinion" in desk.finished()


def _note(app: AppTest) -> TextInput:
    return next(one for one in app.text_input if one.label == "Note")


def test_a_note_is_kept_without_a_decision_and_stored_with_the_next_one(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_results(store, until="justify")
    app = press(visit("review", project=project.id), "Note")
    _note(app).input("look at **this** again").run()  # Enter, or leaving the field
    assert history.history(store, project.id).empty
    press(app, "Keep the note")
    assert history.history(store, project.id).empty
    assert "Your note, not stored until you decide: look at **this** again" in [one.value for one in app.text]
    assert _note(press(app, "Note")).value == "look at **this** again"
    press(press(app, "Keep the note"), "Accept")
    assert history.history(store, project.id)["note"].tolist() == ["look at **this** again"]
    press(app, "Undo")
    assert _note(press(app, "Note")).value == "look at **this** again"
    press(app, "Reject with this note")
    assert history.history(store, project.id)["note"].tolist()[0] == "look at **this** again"


def test_a_note_outlives_a_skip_and_another_order_and_can_be_discarded(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_results(store, until="justify")
    app = press(visit("review", project=project.id), "Note")
    _note(app).input("unsure")
    press(app, "Keep the note")
    press(press(app, "Skip"), "Undo")
    assert _note(press(app, "Note")).value == "unsure"
    press(app, "Discard")
    assert _note(press(app, "Note")).value == ""
    _note(app).input("typed only")
    press(app, "None fits with this note")
    assert history.history(store, project.id)["note"].tolist()[0] == "typed only"


def test_an_open_random_review_is_in_sight_and_one_press_away(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    pool = results.candidate_frame(store, 1)
    under_way = reviews.begin(store, 1, Policy(), [str(i) for i in pool.index[:10]], "fixed", 10)
    reviews.answer(store, under_way, str(pool.index[0]), "skip")
    words = "Random review 1 is in progress: 1 of 10 answered."
    assert words in told(visit("review", project=project.id))
    app = visit("selection", project=project.id)
    assert words not in told(app), "its questions are there"
    assert "1 of 10 answered." in told(app)
    next(one for one in app.segmented_control if one.key == "part").set_value("history").run()
    assert words in told(app)
    press(app, "Continue the random review")
    assert "1 of 10 answered." in told(app)
    assert words not in told(app)
    reviews.end(store, under_way.id)
    assert words not in told(visit("review", project=project.id))


def test_the_card_shows_what_a_candidate_was_corrected_to(store: Store) -> None:
    project = made.with_results(store, until="justify")
    round_id = made.round_of(store, project)
    before = results.record_view(store, round_id, ONE)
    assert before.candidate is not None
    other = next(label for label in made.LABELS if label != before.candidate.answer)
    decisions.decide(store, project.id, round_id, ONE, "edit", before.candidate.answer, other, reviewer="Ada")
    view = results.record_view(store, round_id, ONE)
    assert f"Decided by Ada: corrected to “{other}”" in str(card.decided(view))
    asked = str(card.asked(Task("classification", made.LABELS), view, card.in_question(view), []))
    assert "'Corrected'" in asked
    assert f"the candidate was {before.candidate.answer}" in asked
