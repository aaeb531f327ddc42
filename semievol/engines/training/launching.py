"""Starts the processes of a training on several devices of this machine, listens to them, and ends them.

They are started here and not by torchrun. Its rendezvous opens a port and unpickles what it is sent; here the processes
meet in a file, and each one's exit is seen at once. Each process reads from a pipe of which only this process has the
other end: "stop" asks it to stop, and the pipe's end, also after this process was killed, ends it. Knows nothing of
tensors or models.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from semievol.engines.cluster.joining import Cluster
from semievol.engines.training.posting import outcome, posted
from semievol.engines.training.specification import Ending, Listener, Specification
from semievol.errors import UserError
from semievol.tuning import Tuning

MODULE = "semievol.engines.training.process"
STOP = b"stop\n"
_log = logging.getLogger(__name__)
_GLANCE_SECONDS = 0.1
_GRACE_SECONDS = 5.0
"""How long the others may take to end after one has failed. Most notice it at once, but may hang in a computation."""


@dataclass(frozen=True)
class Several:
    """The processes of a training. model: name of the base. count: how many. threads: processor threads of each.
    cluster: where they run; None: on this machine."""

    model: str
    count: int
    threads: int
    cluster: Cluster | None = None

    @property
    def sharing(self) -> int:
        """How many of them train on this machine's devices. Nodes of a cluster count as machines like this one."""
        return self.count if self.cluster is None else 1

    def train(
        self,
        work: Specification,
        metric: Callable[[str, int, float], None],
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
    ) -> str:
        """Folder of the finished adapter; see `train`."""
        if self.cluster is None:
            return train(work, self.count, metric, progress, stopping)
        from semievol.engines.cluster import training  # here: Ray is optional

        return training.train(work, replace(self.cluster, workers=self.count), metric, progress, stopping)


def several(model: str, devices: int, batch_size: int, threads: int, cluster: Cluster | None = None) -> Several | None:
    """As many processes as there are devices, but so that each takes the same number of an update's examples. None if
    that is one, unless it is one of a cluster. threads: of all together on this machine."""
    count = next(count for count in range(min(devices, batch_size), 0, -1) if batch_size % count == 0)
    if count < devices:
        _log.info("%d of %d devices train, since each takes the same share of %d examples", count, devices, batch_size)
    folder = Path(model).expanduser()
    name = str(folder.absolute()) if folder.is_dir() else model
    if cluster is not None:
        return Several(name, count, cluster.threads, cluster)
    return Several(name, count, max(1, threads // count)) if count > 1 else None


def share(settings: Tuning, count: int) -> Tuning:
    """The settings of one of `count` processes: its part of every update, and how many examples it reads at once."""
    mine = settings.batch_size // count
    most = min(settings.micro_batch_size, mine)
    micro = next(size for size in range(most, 0, -1) if mine % size == 0)
    return settings.model_copy(update={"batch_size": mine, "micro_batch_size": micro})


def train(
    work: Specification,
    count: int,
    metric: Callable[[str, int, float], None],
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
) -> str:
    """Folder of the finished adapter. Raises what `loop.train` raises, and OutOfMemory where one process ran out of
    it."""
    processes: list[subprocess.Popen[bytes]] = []
    with posted(work, metric, progress) as (folder, listener):
        try:
            processes.extend(_start(folder, place, count, work.threads) for place in range(count))
            failed = _attend(processes, listener, stopping)
            listener.hear()
            endings = Ending.of_all(folder, count)
        finally:
            for process in processes:
                _end(process)
    return outcome(work, endings, None if failed is None else _broken(failed, count))


def _start(folder: Path, place: int, count: int, threads: int) -> subprocess.Popen[bytes]:
    own = {"RANK": str(place), "LOCAL_RANK": str(place), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    own["OMP_NUM_THREADS"] = str(threads)
    own |= {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}  # no other machine takes part
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, str(folder)],
        stdin=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env=os.environ | own,
    )


def _attend(
    processes: Sequence[subprocess.Popen[bytes]], listener: Listener, stopping: Callable[[], bool]
) -> int | None:
    """Waits until all have ended, or one has failed and the others had their time. The exit code of the failed one."""
    asked = False
    failed: int | None = None
    until = float("inf")
    while any(process.poll() is None for process in processes) and time.monotonic() < until:
        listener.hear()
        if not asked and stopping():
            asked = True
            with contextlib.suppress(OSError):  # it may just have ended
                stream = processes[0].stdin
                assert stream is not None
                stream.write(STOP)
                stream.flush()
        codes = [process.poll() for process in processes]
        if failed is None and any(codes):
            failed, until = min(code for code in codes if code), time.monotonic() + _GRACE_SECONDS
        running = next((process for process in processes if process.poll() is None), processes[0])
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(_GLANCE_SECONDS)
    return failed if failed is not None else next((one.returncode for one in processes if one.returncode), None)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        assert process.stdin is not None
        process.stdin.close()
    process.kill()
    process.wait()


def _broken(code: int, count: int) -> UserError:
    how = f"by signal {-code}" if code < 0 else f"with code {code}"
    why = " The system does that where memory runs out." if code == -9 else ""
    return UserError(
        f"One of the {count} processes of the training ended {how}.{why} The newest complete checkpoint is kept.",
        "training",
        "Read the log, then press Resume; or set devices to 1.",
    )
