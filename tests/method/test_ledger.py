"""The ledger of rounds, against numbers counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from semievol.method import ledger
from semievol.method.ledger import Known
from semievol.records import Task

TASK = Task("classification", ("road", "water"))


def figures(before: float, evolved: float, gained: int, lost: int, p: float) -> dict[str, Any]:
    shares = {"warm_up": before, "evolved": evolved}
    rows = {name: {"accuracy": share, "low": share - 0.03, "high": share + 0.03} for name, share in shares.items()}
    return {"n": 300, **rows, "gained": gained, "lost": lost, "p_value": p}


FIRST = Known(
    id=7,
    place=1,
    parent_id=None,
    model="starter",
    task=TASK,
    pool={"a": "road", "b": "road", "c": "water", "d": "water", "e": None},
    accepted={"a": "road", "b": "road", "c": "water"},
    figures=figures(0.9, 0.927, 14, 6, 0.08),
)
"""Answers five records, of which one has no answer, and accepts three."""
SECOND = Known(
    id=9,
    place=2,
    parent_id=7,
    model="starter",
    task=TASK,
    pool={"b": "water", "c": "water", "d": "road", "e": None, "f": "road", "g": "road"},
    accepted={"b": "water", "c": "water", "f": "road"},
    decided=2,
    figures=figures(0.927, 0.93, 4, 3, 0.73),
    gold={"b": "water", "d": "water", "f": "road"},
)
"""Without a, with f and g; other answers to b (turned right) and d (turned wrong)."""


def test_a_round_is_compared_with_the_records_that_its_parent_answered_too() -> None:
    found = ledger.change(SECOND, FIRST)
    assert (found.new, found.common, found.changed) == (2, 4, 2)
    assert (found.righted, found.spoiled) == (1, 1)
    assert (found.joined, found.left, found.reworded) == (1, 1, 1)


def test_a_line_holds_the_figures_of_the_round() -> None:
    first, second = ledger.lines([FIRST, SECOND])
    assert (first.after, first.change, first.pool, first.accepted) == (None, None, 5, 3)
    assert (second.after, second.decided, second.accuracy, second.low) == (1, 2, 0.93, pytest.approx(0.9))
    assert (second.gained, second.lost, second.p_value) == (4, 3, 0.73)
    assert second.change == ledger.change(SECOND, FIRST)


def test_a_sentence_says_what_a_round_brought() -> None:
    first, second = ledger.lines([FIRST, SECOND])
    assert first.sentence.startswith(
        "Round 1 started from the base model starter and accepted answers to 3 of 5 records."
    )
    assert second.sentence == (
        "Round 2 changed its answers to 2 of 4 records and added 2 new records; 1 answer newly accepted, 1 no longer. "
        "Measured with hidden gold, 1 of the changes turned right and 1 wrong. 93.0 % right, the round before 92.7 %: "
        "+0.3 points (between −1.3 and +2.0), too close to call."
    )


def test_a_sentence_says_why_a_round_brought_nothing() -> None:
    alike = replace(SECOND, pool=FIRST.pool, accepted=FIRST.accepted, gold={})
    sentence = ledger.lines([FIRST, alike])[1].sentence
    assert (
        "changed its answers to 0 of 5 records and added 0 new records; 0 answers newly accepted, 0 no longer."
        in sentence
    )
    assert "The model learned from nearly the same answers: 3 of 3 stood there before." in sentence


def test_a_round_without_a_selection_or_an_evaluation_says_so_much() -> None:
    unfinished = replace(SECOND, accepted=None, figures={})
    line = ledger.lines([FIRST, unfinished])[1]
    assert (line.accepted, line.accuracy, line.gained) == (None, None, None)
    assert line.sentence == (
        "Round 2 changed its answers to 2 of 4 records and added 2 new records; nothing is accepted yet. "
        "Measured with hidden gold, 1 of the changes turned right and 1 wrong."
    )


def test_records_without_an_answer_do_not_count_as_answered() -> None:
    begun = replace(FIRST, accepted=None, figures={})
    assert "and answered 4 of 5 records; nothing is accepted yet." in ledger.lines([begun])[0].sentence
    begun = replace(begun, pool={"a": "road", "b": "road"})
    assert "and answered 2 records; nothing is accepted yet." in ledger.lines([begun])[0].sentence
