"""Room in the workspace for what is not stored yet: gone when the import ends, swept later where it was killed."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from semievol.store.database import Store

_SCRATCH = "incoming-"
_DAY = 24 * 3600


@contextmanager
def incoming_folder(store: Store) -> Iterator[Path]:
    """An empty folder on the workspace's own disk, so that what is in it can be put in place by a rename."""
    for left in store.home.glob(f"{_SCRATCH}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _DAY:  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=store.home, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
