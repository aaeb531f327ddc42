"""Pseudo-labels of two rounds: which changed, and what became of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semievol.records import Task
from semievol.selection.turnover import turnover


def _round(answers: dict[str, str | None], kept: str = "", gold: dict[str, str] | None = None) -> pd.DataFrame:
    """One round's candidates; a record's content is its letter, and `kept` lists the letters kept."""
    letters = list(answers)
    known = [(gold or {}).get(letter) for letter in letters]
    cells = {"answer": np.array([*answers.values()], dtype=object), "gold": np.array(known, dtype=object)}
    words = {name: pd.Series(values, dtype=object) for name, values in cells.items()}
    return pd.DataFrame({"content_hash": letters, "kept": [letter in kept for letter in letters]} | words)


def test_changes_are_counted_by_content_and_by_what_was_kept() -> None:
    before = _round({"a": "x", "b": "x", "c": "y", "d": None, "gone": "x"}, kept="ab")
    after = _round({"a": "x", "b": "y", "c": "x", "d": None, "new1": "x", "new2": "x"}, kept="ac")
    found = turnover(Task("classification", ("x", "y")), before, after)
    assert (found.n, found.changed) == (4, 2)
    assert found.counts == {(True, True): (1, 0), (True, False): (1, 1), (False, True): (1, 1), (False, False): (1, 0)}
    assert found.turned_right is None


def test_an_open_answer_that_is_only_written_otherwise_has_not_changed() -> None:
    found = turnover(Task("numeric"), _round({"a": "1.0", "b": "2"}), _round({"a": "1", "b": None}))
    assert (found.n, found.changed) == (2, 1)


def test_hidden_gold_says_which_changes_were_for_the_better() -> None:
    gold = {"a": "x", "b": "y", "c": "z"}
    before = _round({"a": "y", "b": "y", "c": "x"})
    found = turnover(Task("text"), before, _round({"a": "x", "b": "x", "c": "y"}, gold=gold))
    assert (found.changed, found.turned_right, found.turned_wrong) == (3, 1, 1)


@pytest.mark.parametrize("other", [{}, {"z": "x"}])
def test_two_rounds_without_a_common_record_have_no_flip_rate(other: dict[str, str | None]) -> None:
    found = turnover(Task("text"), _round({"a": "x"}), _round(other))
    assert (found.n, found.changed, dict(found.counts)) == (0, 0, {})
