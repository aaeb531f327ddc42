"""Reads an untrusted file in a child process with limited memory, processor time and output.

A file that breaks its parser breaks only the child. This process maps the Arrow file that the child wrote, in which
every cell is text. Where the file is refused, the child sends the message.
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
from semievol.importing.table import LIMITS, Doubt, Limits, Reject, Table, display_name

log = logging.getLogger(__name__)

MEMORY = 3 * 2**30
"""Bytes of address space; a file of the largest size allowed needs less than half of it."""
SECONDS = 900
"""Processor time."""
_REPORTED_EVERY = 0.1
"""Seconds between two messages of progress."""
_SMALLER = "Split the file into parts, or save it as CSV UTF-8 and try again."
_ROOT = Path(__file__).parents[3]


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
    """As `read.read_table`, in a limited child process.

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
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "semievol.importing.readers.sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=_ROOT,
            env=_environment(),
            encoding="utf-8",
        )
        try:
            found = _result(child, json.dumps(task), watch)
            child.wait()
        finally:
            child.kill()  # it still runs where waiting for it was interrupted
            child.wait()
        if found is None:
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")[-4000:]
            log.warning("reading ended with %s: %s", child.returncode, said)
            what = _failure(child.returncode, said, memory, seconds)
            remedy = "Free some space on the disk, then try again." if "disk" in what else _SMALLER
            raise UserError(what, display_name(name), remedy)
    if "error" in found:
        raise UserError(**found["error"])
    for name in ("rejected", "unreadable"):
        found[name] = [Reject(**one) for one in found[name]]
    found["doubts"] = [_doubt(**one) for one in found["doubts"]]
    return Table.opened(cells, **found | {"read_as": ReadAs(**found["read_as"])})


def _doubt(examples: list[tuple[int, str]], correction: list[str] | None, **others: Any) -> Doubt:
    shown = tuple((row, text) for row, text in examples)
    return Doubt(examples=shown, correction=None if correction is None else (*correction,), **others)  # type: ignore[arg-type]


def _failure(status: int, said: str, memory: int, seconds: int) -> str:
    """Why a child process ended without a result. status: its exit code; said: the end of its standard error."""
    if status in (-signal.SIGKILL, -signal.SIGXCPU):
        return f"Reading it took more than {seconds:,} s of processor time, which is the limit."
    if "No space left" in said or "Disk quota" in said:
        return "The disk is full."
    if "MemoryError" in said or "bad_alloc" in said:
        return f"Reading it took more than {memory // 2**20:,} MB of memory, which is the limit."
    return "The reader broke off; what it said is in the log."


def _result(child: subprocess.Popen[str], task: str, watch: Watch | None) -> dict[str, Any] | None:
    """Gives the child process its task and waits for its result; None where it ended without one."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with child.stdin as stdin:
            stdin.write(task)
    except BrokenPipeError:
        return None
    for line in child.stdout:
        message: dict[str, Any] = json.loads(line)
        if "read" not in message:
            return message
        if watch is not None:
            watch(message["read"])
    return None


def _environment() -> dict[str, str]:
    """Only the variables that Python needs: a parser has no use for our keys and addresses."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV") if name in os.environ
    }
    # One thread and the plain allocator need little address space, and address space is limited.
    return kept | {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}


def main() -> None:
    """The child process: limits itself, reads its task from standard input, prints its progress and the result."""
    task = json.load(sys.stdin)
    limits = Limits(**task["limits"])
    resource.setrlimit(resource.RLIMIT_AS, (task["memory"], task["memory"]))
    resource.setrlimit(resource.RLIMIT_CPU, (task["seconds"], task["seconds"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * limits.decoded, 2 * limits.decoded))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    reported = 0.0

    def watch(position: int) -> None:
        nonlocal reported
        if time.monotonic() - reported > _REPORTED_EVERY:
            reported = time.monotonic()
            print(json.dumps({"read": position}), flush=True)

    try:
        table = read_table(Path(task["path"]), task["name"], ReadAs(**task["read_as"]), limits=limits, watch=watch)
        table.save(Path(task["cells"]))
    except UserError as error:
        outcome: dict[str, Any] = {"error": error.as_dict()}
    else:
        plain = ("name", "notes", "sheets", "form", "guessed", "instruction", "label_names", "nested", "structure")
        outcome = {name: getattr(table, name) for name in plain}
        outcome |= {
            name: [asdict(one) for one in getattr(table, name)] for name in ("rejected", "unreadable", "doubts")
        }
        outcome |= {"read_as": asdict(table.read_as)}
    print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
