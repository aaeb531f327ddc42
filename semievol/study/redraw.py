"""The splits of a seed: records with known answers are drawn anew, in the sizes that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from semievol.config import Config
from semievol.errors import UserError
from semievol.importing.splits import cut_calibration, together
from semievol.method.protocols import Plan
from semievol.method.suited import suited
from semievol.records import Record, Split, Task


@dataclass(frozen=True)
class Material:
    """What the splits of a study are drawn from.

    records: with their true answers, drawn anew for every seed. sizes: how many of them each split gets. pool: where
    the answers of unlabeled records are not known, the unlabeled records, the same for every seed; `sizes` then has no
    unlabeled ones.
    """

    task: Task
    records: Sequence[Record]
    sizes: Mapping[Split, int]
    pool: Sequence[Record] = ()

    @property
    def truth(self) -> dict[str, str]:
        """Record id -> true answer of every record that has one."""
        return {record.id: record.answer for record in self.records if record.answer is not None}

    def splits(self, seed: int) -> dict[Split, list[Record]]:
        """The splits of a seed; no text of test or labeled records is in the pool."""
        drawn = redraw(self.records, self.sizes, seed)
        if self.pool:
            known = {record.content_hash for records in drawn.values() for record in records}
            drawn["unlabeled"] = [record for record in self.pool if record.content_hash not in known]
        return drawn

    def plan(self, config: Config, seed: int) -> Plan:
        """What a run with these settings and this seed would work on, if the project had the splits of the seed.

        As in a project, calibration records are held out of the labeled ones, and the settings are suited to the data.
        """
        splits = self.splits(seed)
        config = config.model_copy(update={"seed": seed})
        labeled, test = splits["labeled"], splits["test"]
        pool = [replace(record, answer=None) for record in splits["unlabeled"]]
        held = cut_calibration(labeled, config.calibration, config.calibration_minimum, seed)
        return Plan(
            task=self.task,
            config=suited(config, self.task, labeled, pool),
            labeled=[record for record in labeled if record.content_hash not in held],
            unlabeled=pool,
            calibration=[record for record in labeled if record.content_hash in held],
            test=test,
        )


def redraw(records: Sequence[Record], sizes: Mapping[Split, int], seed: int) -> dict[Split, list[Record]]:
    """Splits of the given sizes, drawn without replacement from all records.

    Records of equal content or of the same group stay together; the sizes are kept exactly only where there are none.
    Raises UserError where groups are so large that a split gets none.
    """
    order = np.random.default_rng(seed).permutation(len(records))
    units = together(records)
    unit_of = {record.content_hash: name for name, unit in units.items() for record in unit}
    in_order = [(unit_of[records[place].content_hash], records[place]) for place in order]
    drawn: dict[Split, list[Record]] = {split: [] for split in sizes}
    if any(record.group for record in records):
        for split, unit in _whole([units[name] for name in dict.fromkeys(name for name, _ in in_order)], sizes):
            drawn[split] += [replace(record, split=split) for record in unit]
    else:  # the few of equal content follow the first of them
        home: dict[str, Split] = {}
        waiting = [split for split, size in sizes.items() for _ in range(size)]
        for (name, record), split in zip(in_order, waiting, strict=False):
            split = home.setdefault(name, split)
            drawn[split].append(replace(record, split=split))
    if empty := [split for split, size in sizes.items() if size and not drawn[split]]:
        raise UserError(
            f"The groups of records are too large to draw {' and '.join(empty)} records anew.",
            "study",
            "Use data with more groups, or without a group column.",
        )
    return drawn


def _whole(units: Sequence[list[Record]], sizes: Mapping[Split, int]) -> Iterator[tuple[Split, list[Record]]]:
    """Every unit with its split: the first that has room for all of it, else the one with the most room, until all are
    full."""
    room = dict(sizes)
    for unit in units:
        if max(room.values()) <= 0:
            return
        split = next((one for one, left in room.items() if left >= len(unit)), max(room, key=room.__getitem__))
        room[split] -= len(unit)
        yield split, unit
