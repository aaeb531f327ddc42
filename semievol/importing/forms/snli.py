"""SNLI and MultiNLI: `gold_label` beside the labels of annotators; "-" says that they have no consensus, so there is no
answer."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from semievol.importing.forms.unfolding import Tally
from semievol.importing.table import Limits, Table

_GOLD, _ANNOTATORS, _NONE = "gold_label", ("annotator_labels", "label1"), "-"
_WHAT = "Annotators have no consensus, so these records have no answer. Records"


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table without such labels, and without annotators' lists of labels, which are no options; None where it is
    something else."""
    if _GOLD not in table.columns or not set(_ANNOTATORS) & set(table.columns):
        return None
    labels, tally = table.column(_GOLD), Tally()
    for number, label in zip(table.numbers.tolist(), labels, strict=True):
        if label == _NONE:
            tally.add(number, label)
    texts = pa.array([None if label == _NONE else label for label in labels], pa.large_string())
    remedy = "Move them to the unlabeled file to have them answered."
    doubts = [*table.doubts, *tally.doubt("no_consensus", _WHAT, remedy, _GOLD)]
    cells = table.cells.set_column(table.columns.index(_GOLD), _GOLD, texts)
    kept = [name for name in table.columns if name != _ANNOTATORS[0]]
    return replace(table, cells=cells.select(kept), doubts=doubts)
