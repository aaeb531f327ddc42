"""Whether the process that works on a run still exists. Its pid alone does not say, as pids are used again.

On the process's own machine, its start time says whether it is the same process, and the monotonic clock how long it
has been silent, so a changed wall clock does no harm. From other machines only the heartbeat counts.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import psutil

HEARTBEAT_SECONDS = 5
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
LIVING_SILENCE_SECONDS = 120
"""How long a process that exists on this machine may be silent. None of its threads runs while a library of hundreds of
megabytes is loaded from a slow disk, which was measured to take more than 15 s."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def owner(pid: int) -> dict[str, Any]:
    """Process `pid` of this machine, as columns of `schema.runs`: the owner of a run that it claims."""
    return {"pid": pid, "host": platform.node(), "boot": boot(), "process_start": process_start(pid) or 0.0}


def boot() -> str:
    """An id of this machine's present boot; every restart gives another one."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return str(round(psutil.boot_time()))


def process_start(pid: int) -> float | None:
    """When process `pid` started, in this machine's own unit; None if it has ended (a zombie counts as ended)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else _start(process)
    except psutil.Error:
        return None


def _stopped(pid: int) -> bool:
    """Whether process `pid` was halted (SIGSTOP), so that it will send no heartbeat by itself."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return True


def _start(process: psutil.Process) -> float:
    # Linux counts in ticks since the boot; psutil adds a boot time that moves with the wall clock.
    stat = Path(f"/proc/{process.pid}/stat")
    try:
        return float(stat.read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return process.create_time()


def ticks() -> float:
    """Seconds of this machine's monotonic clock, the same for all its processes."""
    return time.monotonic()


def gone(run: Any, now: float) -> bool:
    """Whether the run's owner is certainly dead, or silent for so long that the run is taken from it.

    run: a row of `schema.runs`; its heartbeat_at and `now` are of the database's clock, its heartbeat_ticks of the
    owner's monotonic clock.
    """
    if run.host != platform.node():
        return bool(abs(now - run.heartbeat_at) > SILENCE_SECONDS)
    if run.boot != boot() or process_start(run.pid) != run.process_start:
        return True
    return bool(ticks() - run.heartbeat_ticks > (SILENCE_SECONDS if _stopped(run.pid) else LIVING_SILENCE_SECONDS))
