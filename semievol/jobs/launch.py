"""Starting, stopping and finding runs. Imports nothing that computes: the dashboard and the command line use it freely.

A worker is a process in a session of its own, so that it outlives the browser, the dashboard and the terminal.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from semievol import config as settings
from semievol.config import Config
from semievol.errors import UserError
from semievol.jobs import planning
from semievol.jobs.environment import for_models
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.runs import claims, rounds, runs


class Span(NamedTuple):
    """The first and the last stage of a run, both inclusive."""

    first: str
    until: str


PROPAGATE = Span("warm_up", "justify")
FINE_TUNE = Span("tune", "evaluate")
EVERYTHING = Span("warm_up", "evaluate")
FRUITLESS_WORKERS = 3


def start(
    store: Store,
    project: projects.Project,
    config: Config,
    first: str = "warm_up",
    until: str = "evaluate",
    selection: int | None = None,
    round_id: int | None = None,
    parent_id: int | None = None,
) -> runs.Run:
    """Queues a run and sees to it that a worker is there. The same run is not queued twice.

    round_id: the round to work in, whose own settings then hold; None opens the one that belongs to these settings,
    or finds it again; beside a round that came finished with an archive it opens one (`planning.live`).
    parent_id: the round whose evolved adapter the new round starts from.
    """
    if round_id is None:
        config = planning.live(store, project, config, parent_id) if first == "warm_up" else config
        round_ = planning.open_round(store, project, config, first, parent_id)
    else:
        round_ = rounds.get_round(store, round_id)
        if round_.project_id != project.id:
            raise UserError(f"There is no round {round_id} in this project.", "--round", "Choose another round.")
        config = rounds.settled(round_, config)
    planning.check_ready(store, round_, first, selection)
    for waiting in runs.queue(store):
        same_work = (waiting.round_id, waiting.first, waiting.until) == (round_.id, first, until)
        if same_work and (waiting.selection, waiting.config) == (selection, config):
            return waiting
    run = runs.enqueue(store, round_.id, config, first, until, selection)
    ensure_worker(store)
    return run


def project_config(
    project: projects.Project, preset: str | None = None, file: Path | None = None, assignments: Sequence[str] = ()
) -> Config:
    """The project's own settings, overlaid by what is asked for now."""
    if preset is None and file is None and project.settings:
        return settings.overlaid(project.settings, assignments)
    return settings.load(preset or "studio", file, assignments)


def resume(store: Store, run_id: int) -> runs.Run:
    """Queues a cancelled, interrupted or failed run again; it continues where it stopped."""
    run = runs.resume(store, run_id)
    ensure_worker(store)
    return run


def stop(store: Store, run_id: int) -> None:
    """Asks a run to stop at its next safe point; what is finished is kept."""
    runs.request_stop(store, run_id)


def ensure_worker(store: Store) -> None:
    """Settles runs whose worker died and starts a worker if something waits and none is there.

    A worker holds a file lock for as long as it lives. The lock is taken here and inherited by the new process, so
    that any number of callers start one worker only. After some workers in a row that ended before they took a run
    (a broken installation, say), the run that waits fails with what they left in their log.
    """
    claims.settle(store)
    if not runs.queue(store):
        return
    lock = take_worker_lock(store)
    if lock is None:
        return
    logs = store.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    fruitless = os.fstat(lock).st_size  # one byte for every worker since the last that took a run
    if fruitless >= FRUITLESS_WORKERS:
        reached_queue(lock)
        os.close(lock)
        claims.refuse_next(store, _no_worker(logs / "workers.log"))
        return
    os.pwrite(lock, b"x", fruitless)
    arguments = ["--workspace", str(store.home.resolve()), "--lock", str(lock)]
    try:
        with open(logs / "workers.log", "ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "semievol.jobs.worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
                cwd=Path(__file__).parents[2],
                env=for_models(),
            )
    finally:
        os.close(lock)
    # A child that nobody waits for stays a zombie and looks alive to whoever asks for its pid.
    threading.Thread(target=process.wait, daemon=True, name="reaper").start()


def _no_worker(log: Path) -> dict[str, str]:
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.exists() else []
    cause = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "")
    said = f" It said: {cause[:300]}" if cause else ""
    remedy = "Read the log, fix the cause (often: install the requirements again), then press Resume."
    return UserError(f"The worker process cannot start.{said}", f"logs/{log.name}", remedy).as_dict()


def reached_queue(lock: int) -> None:
    """A worker's word, through the lock it holds, that it started well."""
    os.ftruncate(lock, 0)


def take_worker_lock(store: Store) -> int | None:
    """Descriptor of the locked lock file, None if a worker holds it. Closing it (or dying) gives the lock back."""
    descriptor = os.open(store.home / "worker.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def log_path(store: Store, run_id: int) -> Path:
    """The run's log file; it may not be there yet."""
    run = runs.get_run(store, run_id)
    return projects.project_folder(store, run.project_id) / "runs" / str(run_id) / "log.txt"


def command_line(store: Store, project: projects.Project, run: runs.Run) -> str:
    """The shell command that repeats `run` on the same data with the same settings."""
    round_ = rounds.get_round(store, run.round_id)
    words = ["python", "-m", "semievol", "run", project.name, "--preset", run.config.preset]
    words += [f"--set={key}={value}" for key, value in _differences(run.config)]
    if run.first != "warm_up":
        words += ["--round", str(round_.id)]
    elif round_.parent_id is not None:
        words += ["--parent", str(round_.parent_id)]
    if (run.first, run.until) != EVERYTHING:
        words += ["--from", run.first, "--until", run.until]
    chosen = run.selection_used if run.first in ("tune", "evaluate") else run.selection
    if chosen is not None:
        words += ["--selection", str(chosen)]
    return shlex.join(words)


def _differences(config: Config) -> list[tuple[str, str]]:
    """Settings that differ from their preset as (dotted key, YAML value on one line).

    Model and embedder are always among them: another machine may have other ones by default.
    """
    flat: list[tuple[str, str]] = []

    def walk(path: str, value: object, default: object) -> None:
        if isinstance(value, dict) and isinstance(default, dict):
            for key in value:
                walk(f"{path}.{key}" if path else key, value[key], default.get(key))
        elif value != default or path in ("model", "propagation.embedder"):
            flat.append((path, yaml.safe_dump(value, default_flow_style=True, width=10**6).splitlines()[0]))

    walk("", config.model_dump(mode="json"), settings.preset(config.preset))
    return flat
