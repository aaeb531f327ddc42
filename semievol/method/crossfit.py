"""Calibration without holding anything out: every labeled record judged by models that never saw it.

The labeled records are cut into folds. For each fold the round's own stages (warm-up, demonstrations, responses,
self-justify) run again without it, and its records get candidates like those of the pool. The estimates from these
are approximate, since the folds' models are not the round's own (Bates, Hastie & Tibshirani 2023; docs/evidence.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from semievol.errors import UserError
from semievol.importing.splits import cut_folds
from semievol.method.protocols import Engine, Journal, Plan
from semievol.records import CROSS_FIT

FEWEST = 2
"""Least number of records in a fold, and of folds."""
FOLDS = 5
"""Folds for an estimate of precision: each fold's models learn from four fifths of the labeled records."""


def cross_fit(plan: Plan, engine: Engine, journal: Journal, stages: Sequence[Callable[..., None]]) -> None:
    """Gives every labeled record a candidate from models that never saw it; stored results are kept.

    stages: `warm_up` to `justify`, as `evolve` runs them.
    """
    if plan.parent is not None:
        raise UserError(
            "The model that this round starts from has seen every labeled record.",
            "cross_fit",
            "Cross-fit in the first round, hold out a calibration split, or review at random.",
        )
    folds = cut_folds(plan.labeled, plan.config.cross_fit, plan.config.seed)
    if len(folds) < FEWEST or len(plan.labeled) < FEWEST * len(folds):
        raise UserError(
            f"{len(plan.labeled)} labeled records are too few for {plan.config.cross_fit} folds.",
            "cross_fit",
            "Label more records, or set cross_fit lower.",
        )
    told = _Told(journal, len(folds)) if len(stages) > 2 else None
    for number, fold in enumerate(folds):
        without = replace(
            plan,
            labeled=[record for record in plan.labeled if record.content_hash not in fold],
            unlabeled=(),
            learn_from=plan.unlabeled,
            calibration=[record for record in plan.labeled if record.content_hash in fold],
        )
        of_fold = _Fold(journal, number, told)
        for stage in stages:
            stage(without, engine, of_fold)
    if told:
        told.finished()


class _Told:
    """Progress of the folds' longest stages, their trainings, over all folds; one more stands for what follows the last
    of them."""

    def __init__(self, journal: Journal, folds: int) -> None:
        self._journal, self._folds, self._total = journal, folds, 1
        journal.progress(CROSS_FIT, 0, 0)

    def progress(self, fold: int, done: int, total: int) -> None:
        self._total = self._folds * total + 1
        self._journal.progress(CROSS_FIT, fold * total + done, self._total)

    def finished(self) -> None:
        self._journal.progress(CROSS_FIT, self._total, self._total)


class _Fold:
    """A journal with the fold's own adapter and demonstrations; everything else is the round's."""

    def __init__(self, journal: Journal, number: int, told: _Told | None) -> None:
        self._journal, self._number, self._told = journal, number, told
        self._near: dict[str, list[tuple[str, float]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Only that of the trainings, as progress of cross-fitting."""
        if self._told and stage == "warm_up" and total:
            self._told.progress(self._number, done, total)

    def metric(self, stage: str, name: str, step: int, value: float) -> None:
        """The curves of a fold's training are not stored."""

    def folder(self, stage: str) -> Path:
        folder = self._journal.folder(stage)
        return folder.with_name(f"{folder.name}-without-fold-{self._number + 1}")

    def adapter(self, stage: str) -> str | None:
        return self._journal.fold_adapters().get(self._number)

    def save_adapter(self, stage: str, path: str) -> None:
        self._journal.save_fold_adapter(self._number, path)

    def demonstrations(self) -> dict[str, list[tuple[str, float]]]:
        return self._near

    def save_demonstrations(self, found: Mapping[str, Sequence[tuple[str, float]]]) -> None:
        self._near = {record_id: list(near) for record_id, near in found.items()}

    def mapped(self) -> bool:
        """True, so that `retrieve` does not draw the map again: the round has one."""
        return True

    def shift(self) -> Mapping[str, Any]:
        """Not None, so that `retrieve` does not test the shift again: the round has done so."""
        return {}
