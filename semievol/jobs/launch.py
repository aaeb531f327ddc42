"""Starting, stopping and following runs. Imports nothing that computes, so that the dashboard can use it.

A worker is a process in a session of its own, so that it outlives the browser, the dashboard and the terminal.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from semievol import presets
from semievol.config import Collaborator, Config
from semievol.engines.cluster import joining
from semievol.engines.models import suitability
from semievol.engines.models.resolve import whole_path
from semievol.errors import UserError
from semievol.jobs import inference_process, planning, remote_models
from semievol.jobs.environment import start_process
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.runs import claims, progress, rounds, runs, studies


class Span(NamedTuple):
    """The first and the last stage of a run, both inclusive."""

    first: str
    until: str


PROPAGATE = Span("warm_up", "justify")
FINE_TUNE = Span("tune", "evaluate")
EVERYTHING = Span("warm_up", "evaluate")
FRUITLESS_WORKERS = 3
FOLLOW_SECONDS = 0.5


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
    """Queues a run and starts a worker if there is none. The same run is not queued twice: where one waits or runs, it
    is returned.

    round_id: the round to work in, whose own settings then apply. None: the round of these settings, opened if there is
    none; if it came finished with an archive, a new one with another seed (`planning.config_to_run`).
    parent_id: the round whose evolved adapter the new round starts from.
    """
    if round_id is None:
        config = planning.config_to_run(store, project, config, parent_id) if first == "warm_up" else config
        _check_asked(store, config, first, until)
        if selection is not None and planning.begun(store, project, config, parent_id, unsuited=True) is None:
            raise UserError(
                f"There is no selection {selection}: no round has these settings yet.",
                "--selection",
                "Leave it out, or name the round with --round.",
            )
        round_ = planning.open_round(store, project, config, first, parent_id)
        config = rounds.with_settings_of(round_, config)
    else:
        round_ = rounds.get_round(store, round_id)
        if round_.project_id != project.id:
            raise UserError(f"There is no round {round_id} in this project.", "--round", "Choose another round.")
        config = rounds.with_settings_of(round_, config)
        _check_asked(store, config, first, until)
    planning.check_ready(store, round_, first, selection)
    run = runs.enqueue(store, round_.id, config, first, until, selection, once=True)
    ensure_worker(store)
    return run


def _check_asked(store: Store, config: Config, first: str, until: str) -> None:
    """Raises UserError where a run of these stages would ask an endpoint, a further model or a cluster that cannot be
    asked."""
    if config.cluster:
        joining.check(config.cluster)
    suitability.check_precision(config)
    if config.is_far or {"respond", "justify"} & set(progress.steps(first, until)):
        remote_models.check(store, config)
        planning.check_others(config)


def project_config(
    project: projects.Project, preset: str | None = None, file: Path | None = None, assignments: Sequence[str] = ()
) -> Config:
    """The project's own settings, or those of a preset or file if one is given, overlaid by the assignments; paths are
    whole (see `placed`)."""
    if preset is None and file is None and project.settings:
        return placed(presets.overlaid(project.settings, assignments))
    return placed(presets.load(preset or "studio", file, assignments))


def placed(config: Config) -> Config:
    """The settings with whole paths of models and embedder: the worker may run in another folder than the command."""

    def at(one: Collaborator) -> Collaborator:
        return one.model_copy(update={"model": whole_path(one.model)})

    ours = config.propagation
    changed = {"embedder": whole_path(ours.embedder), "collaborators": tuple(map(at, ours.collaborators))}
    propagation = ours.model_copy(update=changed | {"judge": at(ours.judge)})
    return config.model_copy(update={"model": whole_path(config.model), "propagation": propagation})


def resume(store: Store, run_id: int, budget: float | None = None) -> runs.Run:
    """Queues a cancelled, interrupted or failed run again; it continues where it stopped. budget: as in
    `runs.resume`."""
    before = runs.get_run(store, run_id)
    if before.study is None and before.status in runs.RESUMABLE:
        _check_asked(store, before.config, before.first, before.until)
    run = runs.resume(store, run_id, budget)
    ensure_worker(store)
    return run


def stop(store: Store, run_id: int) -> None:
    """Asks a run to stop at its next safe point; what is finished is kept."""
    runs.request_stop(store, run_id)


def follow(store: Store, run_id: int) -> runs.Run:
    """Waits for the run's end and prints its progress on standard error; Ctrl-C asks it to stop."""
    printed = ""
    while True:
        try:
            ensure_worker(store)
            run = runs.get_run(store, run_id)
            line = _progress_line(store, run)
            if line != printed:
                print(line, file=sys.stderr, flush=True)
                printed = line
            if run.status in ("done", *runs.RESUMABLE):
                return run
            time.sleep(FOLLOW_SECONDS)
        except KeyboardInterrupt:
            print("stopping; finished work is kept", file=sys.stderr)
            stop(store, run_id)


def _progress_line(store: Store, run: runs.Run) -> str:
    if run.study is not None:
        return f"run {run.id}: {run.status}  {studies.doing(store, run.id)}".rstrip()
    current = [stage for stage in progress.stages(store, run.id) if stage.status == "running"]
    if not current:
        return f"run {run.id}: {run.status}"
    stage = current[-1]
    tenth = f" {10 * (10 * stage.done // stage.total)} %" if stage.total else ""
    return f"run {run.id}: {stage.stage}{tenth}"


def ensure_worker(store: Store) -> None:
    """Settles runs whose worker died and starts a worker if something waits and none is there.

    A worker holds a file lock for as long as it lives. The lock is taken here and inherited by the new process, so that
    any number of callers start one worker only. If `FRUITLESS_WORKERS` in a row end before they take a run (because the
    installation is broken, say), the waiting run fails with the error in their log.
    """
    claims.settle(store)
    if not runs.queue(store):
        return
    lock = take_worker_lock(store)
    if lock is None:
        return
    log = store.home / "logs" / "workers.log"
    fruitless = os.fstat(lock).st_size  # one byte for every worker since the last one that took a run
    if fruitless >= FRUITLESS_WORKERS:
        reached_queue(lock)
        os.close(lock)
        claims.fail_next(store, _no_worker(log))
        return
    os.pwrite(lock, b"x", fruitless)
    inference_process.release(store)  # a model that waits for questions would share the memory with the run's own
    arguments = ["--workspace", str(store.home.resolve()), "--lock", str(lock)]
    try:
        start_process("semievol.jobs.worker", arguments, log, pass_fds=(lock,))
    finally:
        os.close(lock)


def _no_worker(log: Path) -> dict[str, str]:
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.exists() else []
    cause = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "")
    said = f" It said: {cause[:300]}" if cause else ""
    remedy = "Read the log, fix the cause (often: install the requirements again), then press Resume."
    return UserError(f"The worker process cannot start.{said}", f"logs/{log.name}", remedy).as_dict()


def reached_queue(lock: int) -> None:
    """Notes in the lock file that the worker which holds it has started well."""
    os.ftruncate(lock, 0)


def take_worker_lock(store: Store) -> int | None:
    """Descriptor of the locked lock file; None if a worker holds it. Closing it, or the process's end, releases it."""
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
    """The shell command that repeats `run` on the same data with the same settings; each setting on a line of its own.

    On one line it would be broken after any hyphen of an option's name.
    """
    round_ = rounds.get_round(store, run.round_id)
    name = str(project.id) if project.name.startswith("-") else project.name  # else it would be read as an option
    words = ["python", "-m", "semievol", "run", name, "--preset", run.config.preset]
    where: list[str] = []
    if run.first != "warm_up":
        where += ["--round", str(round_.id)]
    elif round_.parent_id is not None:
        where += ["--parent", str(round_.parent_id)]
    if (run.first, run.until) != EVERYTHING:
        where += ["--from", run.first, "--until", run.until]
    chosen = run.selection_used if run.first in ("tune", "evaluate") else run.selection
    if chosen is not None:
        where += ["--selection", str(chosen)]
    lines = [words, *([f"--set={key}={value}"] for key, value in differences(run.config)), where]
    return " \\\n  ".join(shlex.join(line) for line in lines if line)


def differences(config: Config) -> list[tuple[str, str]]:
    """Settings that differ from their preset as (dotted key, YAML value on one line).

    Model and embedder are always among them: another machine may have other ones by default.
    """
    flat: list[tuple[str, str]] = []

    def walk(path: str, value: object, default: object) -> None:
        if isinstance(value, dict) and isinstance(default, dict):
            for key in value:
                walk(f"{path}.{key}" if path else key, value[key], default.get(key))
        elif value != default or path in ("model", "propagation.embedder"):
            flat.append((path, _on_one_line(value)))

    walk("", config.model_dump(mode="json"), presets.preset(config.preset))
    return flat


def _on_one_line(value: object) -> str:
    """A value as YAML. Text of several lines is written as JSON, which YAML reads as well."""
    lines = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).splitlines()
    whole = lines[:-1] if lines[-1] == "..." else lines
    return whole[0] if len(whole) == 1 else json.dumps(value)
