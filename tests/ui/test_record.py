"""One record's answers as they are drawn."""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from semievol.records import Candidate, Message, Record, Response, Task
from semievol.store.results.results import RecordView
from semievol.ui.selection import card
from semievol.ui.shell import disputed_source, record
from semievol.ui.shell.paint import Node

TASK = Task("classification", ("road", "water"))
ASKED = Record("r", "Who mends the tap?", (), None, "unlabeled", 1)
SAID = Response("r", "one", "water", "water", (0.2, 0.8), mass=0.97)


def test_a_model_that_does_not_answer_the_question_is_told_so() -> None:
    sure = repr(record.response(TASK, ASKED, SAID))
    assert "on other text" not in sure
    assert "Doubt between the answers (answer entropy) 0.722, 0 is none, 1 is a guess" in sure
    drawn = repr(record.response(TASK, ASKED, replace(SAID, mass=0.02)))
    assert "probability of an allowed answer: 2.0 %; most of its probability is on other text" in drawn


def test_every_token_of_a_free_answer_has_its_probability_on_hover() -> None:
    said = Response("r", "one", "a <b>", "a <b>", token_logprobs=(0.0, -3.0, -0.7))
    drawn = walked([record.response(Task("text"), ASKED, said, words=["a", " <b>", ""])])
    tokens = [(one.get("x"), one["h"], one["c"]) for one in drawn if "token" in one["c"]]
    end = (None, "49.7 %, that the answer ends here", "token heat3 blank")
    assert tokens == [("a", "100.0 %", "token heat0"), (" <b>", "5.0 %", "token heat5"), end]
    unknown = walked([record.response(Task("text"), ASKED, said)])
    assert "a <b>" in [one.get("x") for one in unknown]
    assert sum("blank" in one["c"] for one in unknown) == 3
    assert "the tokens were not kept" in repr(unknown)


def test_earlier_turns_stand_before_the_question_with_who_said_them() -> None:
    talk = (Message("user", "My tap <b>drips</b>."), Message("assistant", "Where?"))
    drawn = record.question(TASK, replace(ASKED, earlier=talk))
    told = [node["x"] for node in walked(drawn) if "x" in node]
    assert told == ["user", "My tap <b>drips</b>.", "assistant", "Where?", ASKED.question]


def test_the_card_under_review_tells_which_digit_chooses_which_answer() -> None:
    task = Task("classification", tuple("abcdefghijk"))
    view = RecordView(ASKED, [], [], None, None, None, None, 0)
    line: dict[Hashable, Any] = {"agreed": True, "justified": False, "answer_nll": 0.1}
    for said in ([], [replace(SAID, answer="b", probabilities=(0.05,) * 10 + (0.5,))]):
        view = replace(view, responses=said)
        drawn = card.nodes(
            task, view, line, "b", True, "answer_nll", disputed_source._spreads(task, view, "judge", None)
        )
        digits = [
            (x["k"][0]["x"], x["k"][1]["x"]) for x in walked(drawn) if x.get("c") == "name" and len(x.get("k", ())) == 2
        ]
        assert digits == list(zip("123456789", "abcdefghi", strict=True))


def test_beside_their_question_options_are_named_by_letters() -> None:
    asked = replace(ASKED, options=("the first long option", "the second long option"))
    said = replace(SAID, answer="B", text="B", probabilities=(0.1, 0.9))
    drawn = walked([record.response(Task("multiple_choice"), asked, said)])
    assert [one["x"] for one in drawn if one["c"] == "name"] == ["A", "B"]


def test_every_option_stands_once_with_its_digit_and_its_bars() -> None:
    task = Task("multiple_choice")
    options = ("the first long option", "the second long option", "the third long option")
    asked = replace(ASKED, options=options)
    said = [replace(SAID, answer="B", text="B", probabilities=(0.1, 0.7, 0.2))]
    judge = replace(said[0], collaborator="judge", probabilities=(0.2, 0.2, 0.6), answer="C", text="C")
    candidate = Candidate("r", "B", False, {"answer_nll": 0.1}, True, "exact")
    line: dict[Hashable, Any] = {"agreed": False, "justified": True, "answer_nll": 0.1}
    for view, shares in (
        (RecordView(asked, [], said, None, candidate, None, None, 0), [["10.0 %"], ["70.0 %"], ["20.0 %"]]),
        (
            RecordView(asked, [], said, judge, candidate, None, None, 0),
            [["10.0 %", "20.0 %"], ["70.0 %", "20.0 %"], ["20.0 %", "60.0 %"]],
        ),
    ):
        found = disputed_source._spreads(task, view, "judge", None)
        drawn = walked(card.nodes(task, view, line, "B", True, "answer_nll", found))
        words = [one["x"] for one in drawn if "x" in one]
        assert all(words.count(option) == 1 for option in options)
        (choices,) = [one for one in drawn if one["c"].startswith("choices")]
        cells = [[leaf["x"] for leaf in walked([cell]) if "x" in leaf] for cell in choices["k"]]
        told = [words for words in cells if words and words[0] in "123"]
        assert told == [[str(i + 1), letter, options[i]] for i, letter in enumerate("ABC")]
        numbers = [word for words in cells for word in words if word.endswith("%")]
        assert numbers == [share for row in shares for share in row]
        marked = [one["x"] for one in walked([choices]) if one["c"] == "chip yes"]
        assert marked == ["B"]
        assert [one["x"] for one in drawn if one["c"] == "chip no"] == ["B"], "the candidate is named by its letter"


def test_an_answer_that_nobody_gave_stands_beside_the_bars_it_comes_from() -> None:
    said = [SAID, replace(SAID, collaborator="two", probabilities=(0.4, 0.6))]
    judge = replace(SAID, collaborator="judge", answer="road", text="road", probabilities=(0.9, 0.1))
    candidate = Candidate("r", "road", False, {"answer_nll": 0.1}, True, "exact")
    view = RecordView(ASKED, [], said, judge, candidate, None, None, 0)
    found = disputed_source._spreads(TASK, view, "everyone", None)
    assert [(whose, round(spread["road"], 3)) for whose, spread in found] == [
        ("Collaborators, averaged", 0.3),
        ("Judge", 0.9),
        ("Averaged with the judge", 0.5),
    ]
    assert [whose for whose, _ in disputed_source._spreads(TASK, view, "judge", None)] == [
        "Collaborators, averaged",
        "Judge",
    ]
    weighed = disputed_source._spreads(TASK, view, "everyone", {"one": 3.0, "two": 1.0})
    assert [round(spread["road"], 3) for _, spread in weighed] == [0.25, 0.9, 0.467]
    line: dict[Hashable, Any] = {"agreed": False, "justified": True, "answer_nll": 0.1}
    words = [str(one.get("x")) for one in walked(card.nodes(TASK, view, line, "road", True, "answer_nll", found))]
    assert "! no collaborator gave it" in words
    assert {"Judge", "Collaborators, averaged"} <= set(words)
    given = replace(view, candidate=replace(candidate, answer="water"))
    assert "! no collaborator gave it" not in repr(card.nodes(TASK, given, line, "water", True, "answer_nll", found))


def walked(nodes: list[Node]) -> list[Node]:
    return [one for top in nodes for one in (top, *walked(top.get("k", [])))]
