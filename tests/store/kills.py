"""Killing a process that decides: what it acknowledged must be in the store afterwards.

The process streams decisions into the first round of a workspace and appends each one's name to a ledger, on disk, once
`decide` has returned. A hasty one acknowledges before the commit, which must lose decisions: a test that cannot lose
any proves nothing. It is forked from a process that has everything loaded and no database open (this file, run).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import Connection

from semievol.store.data import projects, records
from semievol.store.database import Store, open_store
from semievol.store.decisions import decisions, history
from semievol.store.runs.rounds import list_rounds
from tests.store.world import TASK

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0
ACTIONS = ("accept", "reject", "skip")


@dataclass(frozen=True)
class Killed:
    """acknowledged: decisions that the dead process had named; lost: those that are not in the store; stored: all."""

    acknowledged: int
    lost: int
    stored: int


class Range:
    """Where deciding processes are started and shot; a context manager."""

    def __enter__(self) -> Range:
        command = [sys.executable, "-m", "tests.store.kills"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE_SECONDS)

    def kill(
        self, store: Store, ledger: Path, after: float = 0.0, hasty: bool = False, halt_at: int | None = None
    ) -> Killed:
        """One process, killed `after` seconds from its first acknowledgement, and what is left of what it said.

        halt_at: it stops by itself right after that many acknowledgements, and is killed there.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(store.home), str(ledger), hasty, halt_at]) + "\n")
        pid = int(self.process.stdout.readline())
        try:
            _await(lambda: len(acknowledged(ledger)) >= (halt_at or 1), "nothing was acknowledged")
            time.sleep(after)
            assert psutil.pid_exists(pid), "it ended by itself"
        finally:
            os.kill(pid, signal.SIGKILL)
            _await(lambda: not psutil.pid_exists(pid), "it lives on")
        names = acknowledged(ledger)
        stored = history.history(store, _first(store)[0])["note"].tolist()
        assert len(set(stored)) == len(stored), "a decision was stored twice"
        return Killed(len(names), len(set(names) - set(stored)), len(stored))


def acknowledged(ledger: Path) -> list[str]:
    """What the ledger holds; a line that the kill cut off was not acknowledged."""
    return ledger.read_text().split("\n")[:-1] if ledger.exists() else []


def random_moment(chance: random.Random) -> float:
    """Seconds; some dozen decisions long."""
    return chance.uniform(0, 0.2)


def _await(done: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.002)


def _first(store: Store) -> tuple[int, int, int]:
    """Ids of the workspace's first project, its first round and the data version of that."""
    project = projects.list_projects(store)[-1]
    round_ = list_rounds(store, project.id)[0]
    return project.id, round_.id, round_.version_id


class Ledger:
    """Appends names; each is on disk when `acknowledge` returns."""

    def __init__(self, path: Path, halt_at: int | None) -> None:
        self.file, self.left = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY), halt_at
        self.name = ""

    def acknowledge(self) -> None:
        os.write(self.file, f"{self.name}\n".encode())
        os.fsync(self.file)
        if self.left is not None:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGSTOP)


class HastyStore(Store):
    """Acknowledges what is written before it is committed."""

    ledger: Ledger

    @contextmanager
    def write(self, beforehand: Callable[[Connection], None] | None = None) -> Iterator[Connection]:
        with super().write(beforehand) as connection:
            yield connection
            self.ledger.acknowledge()


def stream(home: Path, ledger: Ledger, hasty: bool) -> None:
    """Decides until it is killed."""
    store = open_store(home)
    if hasty:
        store = HastyStore(home, os.environ.get("SEMIEVOL_DATABASE_URL") or None)
        store.ledger = ledger
    project_id, round_id, version_id = _first(store)
    pool = [record.id for record in records.load_records(store, version_id, "unlabeled")]
    run, number = uuid.uuid4().hex[:12], 0
    while True:
        ledger.name = f"{run}-{number}"
        shown, action = TASK.labels[number % len(TASK.labels)], ACTIONS[number % len(ACTIONS)]
        record_id = pool[number % len(pool)]
        decisions.decide(store, project_id, round_id, record_id, action, shown, note=ledger.name, key=ledger.name)
        if not hasty:
            ledger.acknowledge()
        number += 1


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried by the system
    for line in sys.stdin:
        home, ledger, hasty, halt_at = json.loads(line)
        pid = os.fork()
        if not pid:
            stream(Path(home), Ledger(Path(ledger), halt_at), hasty)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
