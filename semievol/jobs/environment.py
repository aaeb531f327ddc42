"""Processes that compute: how they are started, and what is set before torch loads. Imports nothing that computes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

# Threads that wait for each other without a pause take the machine from everybody else (7 times slower where one of two
# cores is busy), threads that sleep at once wake too late (a training step on two cores took 165 ms, with this pause
# 118 ms, without limit 100 ms; with one core busy 176, 229 and 659 ms).
SPINS = "1000"
# oneDNN keeps a compiled product for every shape it meets; batches of all lengths fill that memory for nothing.
SHAPES = "32"


def for_models() -> dict[str, str]:
    """This process's environment with the variables that models need; variables that are set already stay."""
    wanted = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": SHAPES, "TOKENIZERS_PARALLELISM": "false"}
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        wanted["GOMP_SPINCOUNT"] = SPINS
    return wanted | os.environ


def start_process(
    module: str, arguments: Sequence[str], log: Path, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Starts `python -m module` in a session of its own, so that it outlives whoever started it; it prints to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
            cwd=Path(__file__).parents[2],
            env=for_models(),
        )
    # A child that nobody waits for stays a zombie and looks alive to whoever asks for its pid.
    threading.Thread(target=process.wait, daemon=True, name="reaper").start()
    return process


def loaded() -> None:
    """Called once modules and model are loaded: garbage is collected again, but not among these.

    Only the first call counts: a later one could freeze the remains of a model that has just been replaced.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
