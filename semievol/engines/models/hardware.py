"""The device that models run on and its memory, found without torch: a GPU if the engine would use one.

The dashboard compares estimates with it. `engines.local` chooses the device itself, by torch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

_PATIENCE_SECONDS = 5.0
_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container


@dataclass(frozen=True)
class Device:
    """gpu: its name, "" for the processor. total, free: bytes of its memory."""

    gpu: str
    total: float
    free: float


def device() -> Device:
    """The first GPU that is visible to torch, else this machine's memory (a container's limit counts)."""
    return _gpu() or Device("", machine_memory(), float(psutil.virtual_memory().available))


def machine_memory() -> float:
    """Bytes of memory that this machine, or its container, has."""
    total = float(psutil.virtual_memory().total)
    try:
        return min(total, float(_LIMIT.read_text()))
    except (OSError, ValueError):  # not in a container, or "max"
        return total


def _gpu() -> Device | None:
    """As nvidia-smi tells; None without one, for a torch that cannot use it, and where none is visible."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if visible in ("", "-1") or not shutil.which("nvidia-smi") or _torch_without_gpu():
        return None
    command = ["nvidia-smi", f"--id={visible}", "--query-gpu=name,memory.total,memory.free"]
    command.append("--format=csv,noheader,nounits")
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE_SECONDS).stdout
        name, total, free = (part.strip() for part in told.strip().splitlines()[0].rsplit(",", 2))
        return Device(name, int(total) * 2.0**20, int(free) * 2.0**20)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _torch_without_gpu() -> bool:
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return True
