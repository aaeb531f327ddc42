"""Estimates of the time and memory that a run will need, made before it is started."""

from __future__ import annotations

from collections.abc import Sequence

from semievol.config import Config
from semievol.engines.models import footprint, hardware, tokenizer
from semievol.jobs import token_counts
from semievol.store.data import records
from semievol.store.database import Store
from semievol.store.results import outcomes
from semievol.store.runs import progress, rounds, runs
from semievol.store.runs.rounds import Round


def training_pace(store: Store, round_: Round) -> float | None:
    """Seconds per update of the newest training of this round; None where there was none."""
    return _pace(store, round_, ("tune", "warm_up"))


def cross_fit_seconds(store: Store, round_: Round, folds: int) -> float | None:
    """Estimated seconds of cross-fitting: `folds` warm-ups, and an answer of all collaborators to every labeled record,
    at this round's pace; None where the round has not run both stages."""
    training, answering = _pace(store, round_, ("warm_up",)), _pace(store, round_, ("respond",))
    if training is None or answering is None:
        return None
    labeled = _labeled(store, round_)
    propagation = round_.config.propagation
    shown = 1 if propagation.warm_up_demonstrations == "none" or propagation.k == 0 else 2
    steps = propagation.warm_up.steps(shown * labeled * (folds - 1) // folds)
    return folds * steps * training + labeled * answering


def _pace(store: Store, round_: Round, stages: Sequence[str]) -> float | None:
    """Seconds per unit of progress (steps, records) of the newest finished one of these stages in the round; None for a
    round that came with an archive, which says nothing about this machine."""
    if outcomes.came_finished(store, round_.id):
        return None
    for run in runs.list_runs(store, round_.project_id):
        if run.round_id == round_.id:
            done = {stage.stage: stage for stage in progress.stages(store, run.id)}
            for name in stages:
                stage = done[name]
                if stage.status == "done" and stage.done > 1 and stage.seconds:
                    return stage.seconds / stage.done
    return None


def _labeled(store: Store, round_: Round) -> int:
    known = records.known_answers(store, round_.version_id).get("labeled", {})
    return sum(known.values()) - len(rounds.held(store, round_.id))


def memory(store: Store, version_id: int, config: Config) -> float | None:
    """Estimated bytes of a run of all stages at its peak, on the device that the engine would use (`hardware.device`);
    None for a hub model that is not on this machine. Trainings are counted as the engine would cut them to that device.
    Several GPUs need as much each; on a processor several processes share its memory.

    Raises UserError where the model cannot be used or its files do not state its sizes.
    """
    folder = tokenizer.folder_of(config.model)
    if folder is None:
        return None
    shape = footprint.Shape.of(folder)
    largest = token_counts.read(store, version_id, config, folder, shape.context).largest
    device = hardware.device()
    bf16 = config.precision != "fp32" and (bool(device.gpu) or footprint.processor_has_bf16())
    others = [one.parameters for one in token_counts.models(config, folder).values() if one.folder != folder]
    other = max(others, default=0)  # one at a time is in memory beside the round's
    processes = 1 if device.gpu or config.cluster else max(1, config.devices)
    return processes * footprint.peak(shape, config, *largest, bf16, device.total, other, bool(device.gpu))
