"""Which of the runs that ended early is worth resuming: never one whose work a later run has done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semievol.records import STAGES
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.runs import progress
from semievol.store.runs.runs import RESUMABLE, Run


@dataclass(frozen=True)
class Resumable:
    """A run that can be resumed: the stage at which it goes on, and the share of that stage that is done."""

    run: Run
    stage: str
    share: float


def furthest(store: Store, runs: Sequence[Run]) -> Resumable | None:
    """Of a round's runs the one that is worth resuming, and of several the furthest; None where there is none.

    A run is superseded if a run that ended after it has done the stage at which it would go on, or if it would train on
    a selection that is no longer the newest.
    """
    newest = max((one["number"] for run in runs[:1] for one in selections.selections(store, run.round_id)), default=0)
    found = [
        resumable
        for run in runs
        if run.status in RESUMABLE and run.started
        for resumable in [_reached(store, run)]
        if not _superseded(resumable, runs, newest)
    ]
    return max(found, key=lambda one: (STAGES.index(one.stage), one.share, one.run.id), default=None)


def _reached(store: Store, run: Run) -> Resumable:
    for stage in progress.stages(store, run.id):
        if stage.status not in ("done", "skipped"):
            return Resumable(run, stage.stage, stage.done / stage.total if stage.total else 0.0)
    return Resumable(run, run.until, 1.0)


def _superseded(resumable: Resumable, runs: Sequence[Run], newest: int) -> bool:
    run = resumable.run
    done = (one for one in runs if one.status == "done" and (one.ended or 0) > (run.ended or 0))
    if any(one.covers(resumable.stage) for one in done):
        return True
    number = run.selection_used or run.selection
    return number is not None and number < newest
