"""Whether the process that works on a run is still there. Never by its number alone: numbers are used again.

On the machine where the process runs, its start time tells whether it is the same process and the monotonic clock
how long it has been silent, so that a changed wall clock kills nobody; a process that is seen to live is given longer.
From elsewhere only the heartbeat counts.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

HEARTBEAT_SECONDS = 5
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
LIVING_SILENCE_SECONDS = 120
"""How long a process may be silent that is seen to live: none of its threads runs while a library of hundreds of
megabytes is loaded from a slow disk, and 15 s are not enough for that (measured)."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Owner:
    """The process that has a run, as it was when it claimed it."""

    host: str
    boot: str
    pid: int
    process_start: float


def owner(pid: int) -> Owner:
    """Describes the living process `pid` of this machine."""
    return Owner(platform.node(), boot(), pid, process_start(pid) or 0.0)


def boot() -> str:
    """What this machine's present start is called; another one after every restart."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return str(round(psutil.boot_time()))


def process_start(pid: int) -> float | None:
    """When process `pid` started, in the machine's own count; None if it is gone (a zombie is gone)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else _start(process)
    except psutil.Error:
        return None


def _stopped(pid: int) -> bool:
    """Whether process `pid` was halted (SIGSTOP), so that it will not come to itself."""
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


def gone(who: Owner, heartbeat_at: float, heartbeat_ticks: float, now: float) -> bool:
    """Whether the owner is certainly dead, or silent for so long that the run is taken from it.

    heartbeat_at and now: the database's clock; heartbeat_ticks: the owner's monotonic clock.
    """
    if who.host == platform.node():
        if who.boot != boot():
            return True
        started = process_start(who.pid)
        if started is None or started != who.process_start:
            return True
        return ticks() - heartbeat_ticks > (SILENCE_SECONDS if _stopped(who.pid) else LIVING_SILENCE_SECONDS)
    return abs(now - heartbeat_at) > SILENCE_SECONDS
