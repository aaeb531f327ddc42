"""Reading an untrusted file in a process of its own, with bounded memory, processor time and output.

Whatever a file does to its parser happens there: this process only maps the Arrow file that comes back, in which every
cell is text. The message of a refused file comes back too.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semievol.errors import UserError
from semievol.importing.readers.content import Watch
from semievol.importing.readers.overrides import AS_FOUND, ReadAs
from semievol.importing.readers.read import read_table
from semievol.importing.table import LIMITS, Limits, Reject, Table, display_name

log = logging.getLogger(__name__)

MEMORY = 3 * 2**30
"""Bytes of address space; a file of the largest size allowed needs less than half of it."""
SECONDS = 900
"""Processor time."""
_TOLD_EVERY = 0.1
_SMALLER = "Split the file into parts, or save it as CSV UTF-8 and try again."
_HOUSE = Path(__file__).parents[3]


def read_contained(
    path: Path,
    name: str,
    cells: Path,
    *,
    read_as: ReadAs = AS_FOUND,
    limits: Limits = LIMITS,
    watch: Watch | None = None,
    memory: int = MEMORY,
    seconds: int = SECONDS,
) -> Table:
    """As `readers.read_table`, in a limited child process.

    cells: the Arrow file to be written; the table needs it for as long as it is used.
    Raises UserError also where the limits of the process were reached.
    """
    task = {
        "path": str(path.absolute()),
        "name": name,
        "cells": str(cells.absolute()),
        "read_as": asdict(read_as),
        "limits": asdict(limits),
        "memory": memory,
        "seconds": seconds,
    }
    with tempfile.TemporaryFile() as complaints:
        child = subprocess.Popen(
            [sys.executable, "-m", "semievol.importing.readers.sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd=_HOUSE,
            env=_environment(),
            encoding="utf-8",
        )
        try:
            found = _followed(child, json.dumps(task), watch)
            child.wait()
        finally:
            child.kill()  # where whoever waits is interrupted
            child.wait()
        if found is None:
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace")[-4000:]
            log.warning("reading ended with %s: %s", child.returncode, said)
            what = _ended(child.returncode, said, memory, seconds)
            remedy = "Free some space on the disk, then try again." if "disk" in what else _SMALLER
            raise UserError(what, display_name(name), remedy)
    if "error" in found:
        raise UserError(**found["error"])
    rejected = [Reject(**one) for one in found["rejected"]]
    taken = ReadAs(**found["read_as"])
    return Table.opened(cells, found["name"], rejected, read_as=taken, **found["told"])


def _ended(status: int, said: str, memory: int, seconds: int) -> str:
    """Why a child ended without a word."""
    if status in (-signal.SIGKILL, -signal.SIGXCPU):
        return f"Reading it took more than {seconds:,} s of processor time, which is the limit."
    if "No space left" in said or "Disk quota" in said:
        return "The disk is full."
    if "MemoryError" in said or "bad_alloc" in said:
        return f"Reading it took more than {memory // 2**20:,} MB of memory, which is the limit."
    return "The reader broke off; what it said is in the log."


def _followed(child: subprocess.Popen[str], task: str, watch: Watch | None) -> dict[str, Any] | None:
    """Gives the child its task and returns its last word; None where it ended without one."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with child.stdin as stdin:
            stdin.write(task)
    except BrokenPipeError:
        return None
    for line in child.stdout:
        told: dict[str, Any] = json.loads(line)
        if "read" not in told:
            return told
        if watch is not None:
            watch(told["read"])
    return None


def _environment() -> dict[str, str]:
    """Nothing of ours but what Python needs: a parser has no use for keys and addresses."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV") if name in os.environ
    }
    # One thread and the plain allocator take little address space, which is what is limited.
    return kept | {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}


def main() -> None:
    """The child: limits itself, reads the task from standard input, tells its progress and the outcome."""
    task = json.load(sys.stdin)
    limits = Limits(**task["limits"])
    resource.setrlimit(resource.RLIMIT_AS, (task["memory"], task["memory"]))
    resource.setrlimit(resource.RLIMIT_CPU, (task["seconds"], task["seconds"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * limits.decoded, 2 * limits.decoded))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    told = 0.0

    def watch(position: int) -> None:
        nonlocal told
        if time.monotonic() - told > _TOLD_EVERY:
            told = time.monotonic()
            print(json.dumps({"read": position}), flush=True)

    try:
        table = read_table(Path(task["path"]), task["name"], ReadAs(**task["read_as"]), limits=limits, watch=watch)
        table.save(Path(task["cells"]))
    except UserError as error:
        outcome: dict[str, Any] = {"error": error.as_dict()}
    else:
        rejected = [one.as_dict() for one in table.rejected]
        kept = {"notes": table.notes, "sheets": table.sheets, "form": table.form, "guessed": table.guessed}
        outcome = {"name": table.name, "rejected": rejected, "told": kept, "read_as": asdict(table.read_as)}
    print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
