"""The environment of a process that computes, set before torch loads. Imports nothing that computes."""

from __future__ import annotations

import gc
import os

# Threads that wait for each other without a pause take the machine from everybody else (7 times slower where one of two
# cores is busy), threads that sleep at once wake too late (a training step on two cores took 165 ms, with this pause
# 118 ms, without limit 100 ms; with one core busy 176, 229 and 659 ms).
SPINS = "1000"
# oneDNN keeps a compiled product for every shape it meets; batches of all lengths fill that memory for nothing.
SHAPES = "32"


def for_models() -> dict[str, str]:
    """This process's environment with what models need; what is set there already stays."""
    wanted = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": SHAPES, "TOKENIZERS_PARALLELISM": "false"}
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        wanted["GOMP_SPINCOUNT"] = SPINS
    return wanted | os.environ


def loaded() -> None:
    """Called once modules and model are there: garbage is looked for again, but not among these.

    Only the first call counts: a later one could freeze the remains of a model that has just been replaced.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
