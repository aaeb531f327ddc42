"""One of the processes of a training on several devices: `python -m semievol.engines.training.process FOLDER`.

`launching` starts it, with its place in RANK and its part of the work in FOLDER.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import torch

from semievol.engines.adapters import AdaptedModel
from semievol.engines.packing.batching import is_out_of_memory
from semievol.engines.training import loop, together
from semievol.engines.training.launching import STOP
from semievol.engines.training.specification import MEETING, Ending, Specification, Teller
from semievol.errors import UserError
from semievol.method.protocols import Stopped

_PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others, of which one may be writing a large checkpoint."""
_ABANDONED = 4


class Wish(Protocol):
    """Whether somebody wishes the training to stop; a `threading.Event` tells it."""

    def is_set(self) -> bool: ...


def main(folder: Path) -> int:
    """Trains, and writes how that ended; 1 if it failed."""
    stopped = threading.Event()
    threading.Thread(target=_obey, args=(stopped,), daemon=True, name="obey").start()
    ending = carried_out(folder, lambda work: meet(work, folder), stopped)
    ending.write(folder, together.place())
    return int(ending.error is not None or ending.memory)


def carried_out(folder: Path, device: Callable[[Specification], torch.device], stopped: Wish) -> Ending:
    """This process's part of the training in `folder`, and how it ended. device: which is this process's, once the
    others are found."""
    try:
        work = Specification.read(folder)
        train(work, folder, device(work), stopped)
        return Ending()
    except Stopped as words:
        return Ending(stopped=str(words))
    except UserError as problem:
        return Ending(error=problem.as_dict())
    except (RuntimeError, MemoryError) as problem:
        if not is_out_of_memory(problem):
            raise
        return Ending(memory=True)


def meet(work: Specification, folder: Path) -> torch.device:
    """Finds the other processes. This one's device."""
    device = torch.device("cuda", together.place()) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=torch.distributed.FileStore(str(folder / MEETING), together.count()),
        rank=together.place(),
        world_size=together.count(),
        timeout=_PATIENCE,
    )
    return device


def train(work: Specification, folder: Path, device: torch.device, stopped: Wish) -> None:
    """Trains together with the others; the first process tells how it goes."""
    torch.set_num_threads(work.threads)
    adapted = AdaptedModel(work.model, device, getattr(torch, work.dtype), work.four_bits)
    gc.enable()
    teller = Teller(folder) if together.first() else None
    loop.train_as(
        adapted,
        [work.rows[place] for place in work.order],
        work.held_out,
        work.setup,
        work.fingerprint,
        work.fit,
        teller.metric if teller else lambda name, step, value: None,
        teller.progress if teller else lambda done, total: None,
        stopped.is_set,
        work.budget,
        work.too_long,
    )


def _obey(stopped: threading.Event) -> None:
    """Waits for the word to stop. Ends this process when nobody is left who could give it."""
    while os.read(0, len(STOP)):  # not by sys.stdin, whose lock would be held when Python ends
        stopped.set()
    os._exit(_ABANDONED)


if __name__ == "__main__":
    gc.disable()  # as in the worker, until everything is loaded
    logging.basicConfig(
        level=logging.INFO if together.first() else logging.WARNING,
        format=f"%(asctime)s %(levelname)s process {together.place()} %(name)s: %(message)s",
    )
    ended = main(Path(sys.argv[1]))
    logging.shutdown()
    os._exit(ended)  # all is stored
