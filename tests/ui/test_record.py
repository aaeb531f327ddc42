"""One record's answers as they are drawn."""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from semievol.records import Record, Response, Task
from semievol.store.results.results import RecordView
from semievol.ui.selection import card
from semievol.ui.shell import record
from semievol.ui.shell.paint import Node

TASK = Task("classification", ("road", "water"))
ASKED = Record("r", "Who mends the tap?", (), None, "unlabeled", 1)
SAID = Response("r", "one", "water", "water", (0.2, 0.8), mass=0.97)


def test_a_model_that_does_not_answer_the_question_is_told_so() -> None:
    assert "on other text" not in repr(record.response(TASK, ASKED, SAID))
    drawn = repr(record.response(TASK, ASKED, replace(SAID, mass=0.02)))
    assert "probability of all allowed answers together: 2.0 %; most of its probability is on other text" in drawn


def test_the_card_under_review_tells_which_digit_chooses_which_answer() -> None:
    task = Task("classification", tuple("abcdefghijk"))
    view = RecordView(ASKED, [], [], None, None, None, None, 0)
    line: dict[Hashable, Any] = {"agreed": True, "justified": False, "answer_nll": 0.1}
    for said in ([], [replace(SAID, answer="b", probabilities=(0.05,) * 10 + (0.5,))]):
        drawn = card.nodes(task, replace(view, responses=said), line, "b", True, "answer_nll")
        digits = [(x["k"][0]["x"], x["k"][1]["x"]) for x in walked(drawn) if x.get("c") == "name" and len(x["k"]) == 2]
        assert digits == list(zip("123456789", "abcdefghi", strict=True))


def walked(nodes: list[Node]) -> list[Node]:
    return [one for top in nodes for one in (top, *walked(top.get("k", [])))]
