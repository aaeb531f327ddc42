"""Asking the labeled records themselves: what they may vote for, when that means anything, what a reply depends on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semievol.config import load
from semievol.method import voters
from semievol.method.protocols import Plan
from semievol.records import Record, Task
from tests.fakes import FakeEngine

CHOICE = Task("multiple_choice")
LABELS = Task("classification", labels=("roads", "water"))


def choice(id: str, question: str, options: tuple[str, ...], answer: str | None = None) -> Record:
    return Record(id, question, options, answer, "labeled" if answer else "test")


KNOWN = [
    choice("a", "leak in the tap", ("Water", "Roads"), "A"),
    choice("b", "leak in a pipe", ("Roads", "water."), "B"),
    choice("c", "hole in the street", ("Roads", "Water"), "A"),
]


def plan_of(task: Task, labeled: list[Record]) -> Plan:
    return Plan(task, load("paper"), labeled, [])


def test_options_are_voted_for_by_their_text_whatever_their_letter() -> None:
    query = choice("q", "leak in the pipe", ("Parks", "Roads", "WATER"))
    (said,) = voters.poll(plan_of(CHOICE, KNOWN), FakeEngine(), "neighbours", "neighbours", [query])
    assert (said.answer, said.text) == ("C", "C")
    assert len(said.probabilities) == 3
    assert sum(said.probabilities) == pytest.approx(1)


def test_the_majority_of_a_multiple_choice_is_the_most_frequent_text_else_the_most_frequent_letter() -> None:
    recurring, other = choice("q", "?", ("Parks", "Roads", "WATER")), choice("p", "?", ("x", "y"))
    found = voters.majority(plan_of(CHOICE, KNOWN), "majority", [recurring, other])
    assert [said.answer for said in found] == ["C", "A"]


def test_options_that_do_not_recur_make_the_vote_meaningless() -> None:
    fresh = [choice(f"q{i}", "?", (f"x{i}", f"y{i}")) for i in range(4)]
    assert "only 0 of 4 questions" in voters.obstacle(CHOICE, KNOWN, fresh, "neighbours")
    assert voters.obstacle(CHOICE, KNOWN, KNOWN, "neighbours") == ""


@pytest.mark.parametrize("task", [CHOICE, Task("text"), Task("numeric")])
def test_a_regression_needs_one_label_set(task: Task) -> None:
    assert "one set of labels" in voters.obstacle(task, KNOWN, KNOWN, "regression")


def test_a_regression_needs_two_labels() -> None:
    one = [replace(record, options=(), answer="roads") for record in KNOWN]
    assert "at least two labels" in voters.obstacle(LABELS, one, one, "regression")
    assert voters.obstacle(LABELS, [*one, replace(one[0], answer="water")], one, "regression") == ""


def test_neighbours_of_an_open_question_have_no_distribution_to_give() -> None:
    assert "answers to choose among" in voters.obstacle(Task("text"), KNOWN, KNOWN, "neighbours")


def test_the_input_hash_depends_on_all_that_decides_the_reply_and_on_nothing_else() -> None:
    labeled = [Record("a", "tap", (), "water"), Record("b", "hole", (), "roads")]
    query = Record("q", "pipe")

    def hash_of(
        known: list[Record] = labeled, asked: Record = query, embedder: str = "e", how: str = "regression"
    ) -> str:
        plan = plan_of(LABELS, known)
        propagation = plan.config.propagation.model_copy(update={"embedder": embedder})
        plan = replace(plan, config=plan.config.model_copy(update={"propagation": propagation}))
        return voters.input_hashes(plan, how, [asked])["q"]  # type: ignore[arg-type]

    same = hash_of()
    assert hash_of(labeled[::-1]) == same
    others = [
        hash_of(embedder="f"),
        hash_of(how="neighbours"),
        hash_of(asked=replace(query, question="pipes")),
        hash_of([labeled[0], replace(labeled[1], answer="water")]),
        hash_of(labeled[:1]),
    ]
    assert len({same, *others}) == 6
