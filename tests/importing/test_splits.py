"""Calibration and test are drawn by content: seeded, stratified, independent of the order of the file."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semievol.errors import UserError
from semievol.importing.splits import cut_calibration, split_off_test
from semievol.records import Record
from tests.importing.files import held

MANY = [Record(f"r{i}", f"question {i}", (), "aab"[i % 3], "labeled", i) for i in range(600)]


def test_the_share_is_kept_within_every_answer() -> None:
    drawn = cut_calibration(MANY, 0.2, 100, seed=1)
    answers = Counter(record.answer for record in MANY if record.content_hash in drawn)
    assert answers == {"a": 80, "b": 40}


def test_nothing_is_cut_below_the_minimum() -> None:
    assert cut_calibration(MANY, 0.2, 121, seed=1) == frozenset()
    assert cut_calibration(MANY, 0.0, 1, seed=1) == frozenset()
    assert cut_calibration([replace(record, split="unlabeled") for record in MANY], 0.5, 1, seed=1) == frozenset()


def test_another_seed_draws_others_and_calibration_is_not_test() -> None:
    first = cut_calibration(MANY, 0.2, 1, seed=1)
    assert first == cut_calibration(MANY, 0.2, 1, seed=1)
    assert first != cut_calibration(MANY, 0.2, 1, seed=2)
    tested = {record.content_hash for record in split_off_test(held(MANY)[0], 0.2, seed=1) if record.split == "test"}
    assert first != tested


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(40)), st.integers(0, 5))
def test_the_order_of_the_file_does_not_matter(order: list[int], seed: int) -> None:
    records = [Record(f"r{i}", f"question {i % 30}", (), "xyz"[i % 3], "labeled", i) for i in range(40)]
    shuffled = [records[i] for i in order]
    assert cut_calibration(records, 0.3, 1, seed) == cut_calibration(shuffled, 0.3, 1, seed)


def test_equal_contents_stay_together_and_unlabeled_copies_of_test_leave() -> None:
    twins = [replace(record, id=f"{record.id}-2") for record in MANY]
    pool = [replace(record, id=f"{record.id}-3", split="unlabeled", answer=None) for record in MANY]
    result = split_off_test(held([*MANY, *twins, *pool])[0], 0.25, seed=3)
    test = {record.content_hash for record in result if record.split == "test"}
    rest = {record.content_hash for record in result if record.split != "test"}
    assert not test & rest
    assert sum(record.split == "test" for record in result) == 300


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_answers_that_never_repeat_are_drawn_from_everywhere(seed: int) -> None:
    texts = [replace(record, answer=f"{record.row:03} and so on") for record in MANY]
    drawn = cut_calibration(texts, 0.2, 1, seed)
    rows = sorted(record.row for record in texts if record.content_hash in drawn)
    assert len(rows) == 120
    assert 200 < sum(rows) / len(rows) < 400  # not the first by name
    assert drawn != cut_calibration(texts, 0.2, 1, seed + 1)


def test_a_group_is_never_torn_apart() -> None:
    records = [replace(record, group=f"patient {record.row % 60}" if record.row < 540 else "") for record in MANY]
    drawn = cut_calibration(records, 0.2, 1, seed=1)
    groups = Counter((record.group, record.content_hash in drawn) for record in records if record.group)
    assert all(times == 9 for times in groups.values())
    assert 100 <= len(drawn) <= 130
    test = [record for record in split_off_test(held(records)[0], 0.2, seed=1) if record.split == "test"]
    rest = {record.group for record in records} - {""}
    assert {record.group for record in test} - {""} < rest
    assert all(times == 9 for group, times in Counter(record.group for record in test).items() if group)


def test_too_few_records_or_an_impossible_share_are_refused() -> None:
    with pytest.raises(UserError, match="too few"):
        split_off_test(held(MANY[:2])[0], 0.1, seed=0)
    with pytest.raises(UserError, match="between 0 and 1"):
        split_off_test(held(MANY)[0], 1.0, seed=0)
