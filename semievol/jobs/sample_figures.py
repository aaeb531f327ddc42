"""Figures of the bundled sample's finished round, read from its archive: the first page shows the method with them.

Nothing is stored and nothing is typed in: a new archive brings its own figures.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from semievol.jobs.intake import SAMPLE_ARCHIVE
from semievol.records import Task
from semievol.task.answers import same

BINS = 20


@dataclass(frozen=True)
class Figures:
    """What the round came to.

    right, kept_right: shares of right answers by the hidden gold, of all candidates and of those kept.
    bins: (kept, left out) candidates by the probability of their answer, in equal steps up to 1.
    evaluation: as `method.comparison.evaluation` gives it.
    """

    name: str
    model: str
    labeled: int
    unlabeled: int
    collaborators: int
    agreed: int
    kept: int
    right: float
    kept_right: float
    bins: tuple[tuple[int, int], ...]
    evaluation: dict[str, Any]


@cache
def figures(archive: Path = SAMPLE_ARCHIVE) -> Figures | None:
    """The figures; None if the archive is not there or holds no finished round."""
    try:
        with zipfile.ZipFile(archive) as stored:
            return _read(stored)
    except (OSError, zipfile.BadZipFile, KeyError, IndexError, ValueError):
        return None


def _read(stored: zipfile.ZipFile) -> Figures:
    manifest = json.loads(stored.read("MANIFEST.json"))

    def table(name: str) -> list[dict[str, Any]]:
        columns = manifest["tables"][name]["columns"]
        lines = stored.read(f"tables/{name}.jsonl").decode().splitlines()
        return [dict(zip(columns, json.loads(line), strict=True)) for line in lines]

    version, round_, evaluation = table("versions")[-1], table("rounds")[-1], table("evaluations")[-1]["document"]
    task = Task(**version["task"] | {"labels": tuple(version["task"]["labels"])})
    gold_of = {line["record_id"]: line["answer"] for line in table("hidden_gold")}
    gold = {key: gold_of.get(line["record_id"]) for key, line in enumerate(table("records"), 1)}
    kept = {line["record_key"]: line["answer"] for line in table("selected")}
    pool = [line for line in table("candidates") if line["pool"]]
    heights: Counter[tuple[int, bool]] = Counter()
    for line in pool:
        if line["answer_nll"] is not None:
            place = min(BINS - 1, int(BINS * math.exp(-line["answer_nll"])))
            heights[place, line["record_key"] in kept] += 1
    return Figures(
        name=manifest["project"],
        model=round_["config"]["model"],
        labeled=version["counts"]["labeled"],
        unlabeled=version["counts"]["unlabeled"],
        collaborators=len(round_["config"]["propagation"]["collaborators"]),
        agreed=sum(line["agreed"] for line in pool),
        kept=len(kept),
        right=sum(same(task, line["answer"], gold[line["record_key"]]) for line in pool) / len(pool),
        kept_right=sum(same(task, answer, gold[key]) for key, answer in kept.items()) / len(kept),
        bins=tuple((heights[place, True], heights[place, False]) for place in range(BINS)),
        evaluation=evaluation,
    )
