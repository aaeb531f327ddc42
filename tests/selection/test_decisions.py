"""Which decision counts for a candidate, and what the candidate becomes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semievol.records import ACTIONS, Decision
from semievol.selection.decisions import ASSERTS, REMOVES, asserted_answer, removes, standing_decision


def said(*entries: tuple[str, str | None, str | None]) -> list[Decision]:
    return [
        Decision(i, 1, 1, "r", "h", action, shown, answer, "", "", 0.0, None)  # type: ignore[arg-type]
        for i, (action, shown, answer) in enumerate(entries)
    ]


@pytest.mark.parametrize(
    ("entries", "answer", "expected"),
    [
        ([("accept", "a", "a")], "b", "accept"),
        ([("reject", "a", None)], "b", None),
        ([("accept", "a", "a"), ("reject", "b", None)], "b", "accept"),
        ([("accept", "a", "a"), ("reject", "a", None)], "a", "reject"),
        ([("reject", "a", None), ("accept", "a", "a")], "a", "accept"),
        ([("edit", "a", "b"), ("reject", "a", None)], "a", "edit"),
        ([("accept", "a", "a"), ("skip", "a", None)], "a", "accept"),
        ([("reject", "a", None), ("skip", "a", None)], "a", "reject"),
        ([("skip", "a", None)], "a", "skip"),
        ([("accept", "a", "a"), ("ambiguous", "a", None)], "b", "ambiguous"),
        ([("ambiguous", "a", None), ("edit", "a", "b")], "a", "edit"),
    ],
)
def test_which_decision_counts(
    entries: Sequence[tuple[str, str | None, str | None]], answer: str, expected: str | None
) -> None:
    found = standing_decision(said(*entries), answer)
    assert (found.action if found else None) == expected


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from("abc")), max_size=6), st.sampled_from("abc"))
def test_accepting_what_is_shown_always_counts_last(entries: list[tuple[str, str]], answer: str) -> None:
    before = [(action, shown, "c" if action == "edit" else shown) for action, shown in entries]
    found = standing_decision(said(*before, ("accept", answer, answer)), answer)
    assert found is not None
    assert (found.action, found.answer) == ("accept", answer)


def test_an_asserted_answer_falls_where_the_data_does_not_allow_it() -> None:
    entries = said(("reject", "a", None), ("edit", "a", "b"))
    assert standing_decision(entries, "a", ("a", "b")) == entries[1]
    assert standing_decision(entries, "a", ("a", "c")) == entries[0]


@pytest.mark.parametrize(
    ("action", "decided_answer", "answer", "asserted", "removed"),
    [
        ("accept", "a", "a", "a", False),
        ("accept", None, "a", "a", False),
        ("accept", math.nan, None, None, False),
        ("edit", "b", "a", "b", False),
        ("edit", "b", None, "b", False),
        ("reject", None, "a", None, True),
        ("reject", "a", "a", None, True),
        ("reject", "b", "a", None, False),
        ("ambiguous", None, "a", None, True),
        ("skip", None, "a", None, False),
    ],
)
def test_what_a_candidate_becomes(
    action: str, decided_answer: str | None, answer: str | None, asserted: str | None, removed: bool
) -> None:
    assert asserted_answer(action, decided_answer, answer) == asserted
    assert removes(action, decided_answer, answer) is removed


def test_every_action_asserts_removes_or_leaves_the_policy_its_say() -> None:
    assert {action for action in ACTIONS if asserted_answer(action, None, "a") is not None} == set(ASSERTS)
    assert {action for action in ACTIONS if removes(action, None, "a")} == set(REMOVES)
