"""What surrounds a training in several processes, wherever they run: the folder in which they are told their work and
tell how it goes, and what their endings mean."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from semievol.engines.packing.batching import OutOfMemory
from semievol.engines.training import checkpoints
from semievol.engines.training.specification import FOLDER, Ending, Listener, Specification
from semievol.errors import UserError
from semievol.method.protocols import Stopped


@contextmanager
def posted(
    work: Specification, metric: Callable[[str, int, float], None], progress: Callable[[int, int], None]
) -> Iterator[tuple[Path, Listener]]:
    """The folder that holds the work, and who listens there to the first process; both are gone after the block, in
    which the processes must end."""
    folder = work.setup.folder.absolute() / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    work.write(folder)
    listener = Listener(folder, metric, progress)
    try:
        yield folder, listener
    finally:
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)


def outcome(work: Specification, endings: Sequence[Ending], broken: UserError | None) -> str:
    """Folder of the finished adapter. broken: what to say of processes that ended without a word.

    Raises the UserError of one process; OutOfMemory where one ran out of it; `broken`; Stopped where all stopped.
    """
    for ending in endings:
        if ending.problem:
            raise ending.problem
    if any(ending.memory for ending in endings):
        raise OutOfMemory("a process of the training ran out of memory")
    if broken is not None:
        raise broken
    for ending in endings:
        if ending.stopped:
            raise Stopped(ending.stopped)
    return str(work.setup.folder / checkpoints.ADAPTER)
