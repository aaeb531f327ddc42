"""Pseudo-labels from one round to the next: how many changed, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from semievol.records import Task
from semievol.task.answers import same


@dataclass(frozen=True)
class Turnover:
    """n: records with a candidate in both rounds; changed: those whose answer is another one now.

    counts: (kept before, kept now) -> (records, changed among them), where there are any. turned_right, turned_wrong:
    changed records that the hidden gold calls so; None without hidden gold.
    """

    n: int
    changed: int
    counts: Mapping[tuple[bool, bool], tuple[int, int]]
    turned_right: int | None
    turned_wrong: int | None


def turnover(task: Task, before: pd.DataFrame, after: pd.DataFrame) -> Turnover:
    """Compares the candidates of two rounds, which may be on different dataset versions, by the records' content.

    before, after: candidate tables with a column `kept` (bool). An answer that could not be read is an answer of its
    own.
    """
    columns = ["content_hash", "answer", "kept", "gold"]
    tables = [one[columns].drop_duplicates("content_hash") for one in (before, after)]
    both = tables[0].merge(tables[1], on="content_hash", suffixes=("_before", ""))
    pairs = list(zip(both["answer_before"], both["answer"], strict=True))
    changed = pd.Series([not (a is b or same(task, a, b)) for a, b in pairs], index=both.index, dtype=bool)
    counts = {}
    for was in (True, False):
        for now in (True, False):
            part = changed[(both["kept_before"] == was) & (both["kept"] == now)]
            if len(part):
                counts[was, now] = (len(part), int(part.sum()))
    moved = both[changed]
    right, wrong = None, None
    if both["gold"].notna().any():
        was_right = [same(task, a, g) for a, g in zip(moved["answer_before"], moved["gold"], strict=True)]
        is_right = [same(task, a, g) for a, g in zip(moved["answer"], moved["gold"], strict=True)]
        right = sum(now and not was for was, now in zip(was_right, is_right, strict=True))
        wrong = sum(was and not now for was, now in zip(was_right, is_right, strict=True))
    return Turnover(len(both), int(changed.sum()), counts, right, wrong)
