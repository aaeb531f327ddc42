"""Splits that are drawn anew: no record twice, sizes kept, what belongs together stays together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semievol.errors import UserError
from semievol.importing.splits import together
from semievol.records import Record, Split
from semievol.study.redraw import Material, redraw
from tests.study.learner import TASK, known

SPLITS: tuple[Split, ...] = ("labeled", "unlabeled", "test")
sizes = st.tuples(st.integers(1, 12), st.integers(0, 12), st.integers(1, 12)).map(
    lambda s: dict(zip(SPLITS, s, strict=True))
)


@given(sizes, st.integers(0, 2**32 - 1), st.integers(0, 10))
def test_no_record_is_in_two_splits_and_sizes_are_kept(sizes: dict[Split, int], seed: int, more: int) -> None:
    drawn = redraw(known(sum(sizes.values()) + more), sizes, seed)
    assert {split: len(records) for split, records in drawn.items()} == sizes
    ids = [record.id for records in drawn.values() for record in records]
    assert len(set(ids)) == len(ids)
    assert all(record.split == split for split, records in drawn.items() for record in records)


@given(sizes, st.integers(0, 2**32 - 1), st.lists(st.integers(0, 5), min_size=36, max_size=36))
def test_equal_content_and_groups_stay_together(sizes: dict[Split, int], seed: int, kinds: list[int]) -> None:
    records = [Record(f"r{i}", f"text {kind}", (), "road") for i, kind in enumerate(kinds[:18])]
    records += [
        Record(f"g{i}", f"own text {i}", (), "road", group=f"group {kind}") for i, kind in enumerate(kinds[18:])
    ]
    try:
        drawn = redraw(records, sizes, seed)
    except UserError:  # a split would get none
        return
    assert sum(map(len, drawn.values())) >= sum(sizes.values()) or sum(map(len, drawn.values())) == len(records)
    largest = max(map(len, together(records).values()))
    assert all(len(drawn[split]) < size + largest for split, size in sizes.items())
    for name in ("question", "group"):
        homes: dict[str, set[str]] = {}
        for split, found in drawn.items():
            for record in found:
                homes.setdefault(getattr(record, name) or record.id, set()).add(split)
        assert all(len(home) == 1 for home in homes.values())


def test_groups_do_not_take_the_records_of_the_other_splits() -> None:
    """Once every group went whole to the split of its first record, and hardly any test record was left."""
    records = [replace(record, group=f"group {i // 5}") for i, record in enumerate(known(100))]
    wanted: dict[Split, int] = {"labeled": 20, "unlabeled": 60, "test": 20}
    assert {split: len(found) for split, found in redraw(records, wanted, 0).items()} == wanted
    one = [replace(record, group="all the same") for record in records]
    with pytest.raises(UserError, match="too large to draw labeled and test records anew"):
        redraw(one, wanted, 0)


def test_another_seed_draws_other_splits_and_the_same_seed_the_same() -> None:
    one, again, other = (redraw(known(40), {"labeled": 10, "unlabeled": 20, "test": 10}, seed) for seed in (1, 1, 2))
    assert one == again
    assert {record.id for record in one["test"]} != {record.id for record in other["test"]}


def test_a_pool_without_known_answers_stays_but_no_drawn_text_is_in_it() -> None:
    records = known(30)
    pool = [replace(record, id=f"p{i}", answer=None) for i, record in enumerate([*records[:5], Record("x", "else")])]
    splits = Material(TASK, records, {"labeled": 10, "test": 20}, pool).splits(0)
    assert [record.question for record in splits["unlabeled"]] == ["else"]
    assert len(splits["labeled"]) + len(splits["test"]) == 30
