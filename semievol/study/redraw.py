"""The splits of a seed: records with known answers are drawn anew, in the sizes that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from semievol.config import Config
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

    Records of equal content or of the same group stay together, in the split of the first that is drawn; the sizes are
    kept exactly only where there are none.
    """
    order = np.random.default_rng(seed).permutation(len(records))
    unit_of = {record.content_hash: name for name, unit in together(records).items() for record in unit}
    drawn: dict[Split, list[Record]] = {split: [] for split in sizes}
    home: dict[str, Split] = {}
    waiting = [split for split, size in sizes.items() for _ in range(size)]
    for position, split in zip(order, waiting, strict=False):
        record = records[position]
        split = home.setdefault(unit_of[record.content_hash], split)
        drawn[split].append(replace(record, split=split))
    return drawn
