"""A training by Ray Train: the processes of `engines.training.process`, placed on the cluster's nodes.

They are told and tell by files, as on one machine, so the workspace must be seen by all nodes. If a worker is lost, Ray
Train starts all of them again, and they go on from the newest checkpoint.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from semievol.engines.cluster.joining import NODE, STOP, Cluster
from semievol.engines.training.posting import outcome, posted
from semievol.engines.training.specification import Ending, Specification
from semievol.errors import UserError

TRIES = 3
"""How often workers may be lost in one training."""
_GLANCE_SECONDS = 0.2
_log = logging.getLogger(__name__)


def train(
    work: Specification,
    cluster: Cluster,
    metric: Callable[[str, int, float], None],
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
) -> str:
    """Folder of the finished adapter. Raises what `loop.train` raises, and OutOfMemory where one process ran out of
    it."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    failed: list[Exception] = []
    with posted(work, metric, progress) as (folder, listener):
        trainer = TorchTrainer(
            import_module(NODE).train,
            train_loop_config={"folder": str(folder)},
            scaling_config=ScalingConfig(
                num_workers=cluster.workers, use_gpu=cluster.on_gpu, resources_per_worker={"CPU": cluster.threads}
            ),
            run_config=RunConfig(storage_path=str(folder), failure_config=FailureConfig(max_failures=TRIES)),
            torch_config=TorchConfig(backend="nccl" if cluster.on_gpu else "gloo"),
        )
        thread = threading.Thread(target=_fit, args=(trainer, failed), name="ray train")
        thread.start()
        try:
            while thread.is_alive():
                listener.hear()
                if stopping():
                    (folder / STOP).touch()
                thread.join(_GLANCE_SECONDS)
            listener.hear()
            endings = Ending.of_all(folder, cluster.workers)
        finally:
            (folder / STOP).touch()  # where listening broke
            thread.join()
    return outcome(work, endings, _broken(failed[0]) if failed else None)


def _broken(error: Exception) -> UserError:
    return UserError(
        f"The training on the cluster broke off ({str(error).splitlines()[0][:200]}).",
        "cluster",
        "Look at its nodes (ray status) and the log, then press Resume: the newest complete checkpoint is kept.",
    )


def _fit(trainer: Any, failed: list[Exception]) -> None:
    try:
        trainer.fit()
    except Exception as error:  # noqa: BLE001 - of every kind that a worker or Ray raises; it is told and logged
        _log.exception("Ray Train ended")
        failed.append(error)
