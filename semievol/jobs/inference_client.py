"""Asking a model at once, for "ask again" and the playground: a client without torch for the inference process.

The process starts with the first question and ends after a while without one. Both talk over a Unix socket that only
this user can open: a request is one JSON line, and so is the reply.
"""

from __future__ import annotations

import fcntl
import json
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semievol import config as settings
from semievol.config import Config
from semievol.errors import UserError
from semievol.jobs.environment import start_process
from semievol.records import Demonstration, Record, Task
from semievol.store.data import records, versions
from semievol.store.database import Store
from semievol.store.results import outcomes
from semievol.store.runs import rounds

START_SECONDS = 60.0
REPLY_SECONDS = 120.0


def ask(
    store: Store,
    round_id: int,
    question: Record,
    demonstrations: Sequence[Demonstration] = (),
    models: Sequence[str] = ("base",),
) -> list[dict[str, Any]]:
    """Answers of `models` ("base", "warm_up", "evolved") to one question, in their order.

    Each is a dict with model, text, answer, probabilities (answer -> probability; empty for open tasks), mass,
    entropy (normalised, None for open tasks) and seconds. Raises UserError where a model is not trained yet.
    """
    round_ = rounds.get_round(store, round_id)
    known = outcomes.adapters(store, round_id)
    paths = {"base": "base", "warm_up": known.get("warm_up"), "evolved": known.get("tune")}
    missing = [model for model in models if paths.get(model) is None]
    if missing:
        raise UserError(f"Not trained yet: {', '.join(missing)}.", "model", "Run the stage that makes it first.")
    adapters = [(model, paths[model]) for model in models]
    return _answers(
        store, round_.config, versions.task_of(store, round_.version_id), question, demonstrations, adapters
    )


def try_model(store: Store, model: str, question: str) -> str:
    """A model's free answer, of at most 64 tokens, to a question that belongs to no project."""
    config = settings.load("studio", assignments=[f"model={json.dumps(model)}"])
    answers = _answers(store, config, Task("text"), Record("tried", question), (), [("base", "base")])
    return str(answers[0]["text"])


def nearest(store: Store, round_id: int, question: Record, k: int) -> list[Demonstration]:
    """The k labeled records most like `question`, most similar first."""
    round_ = rounds.get_round(store, round_id)
    held = rounds.held(store, round_id)
    labeled = [r for r in records.load_records(store, round_.version_id, "labeled") if r.content_hash not in held]
    request = {
        "verb": "neighbours",
        "labeled": [asdict(record) for record in labeled],
        "record": asdict(question),
        "k": k,
        "embedder": round_.config.propagation.embedder,
    }
    by_id = {record.id: record for record in labeled}
    return [
        Demonstration(by_id[record_id], similarity) for record_id, similarity in _request(store, round_.config, request)
    ]


def _answers(
    store: Store,
    config: Config,
    task: Task,
    question: Record,
    demonstrations: Sequence[Demonstration],
    models: Sequence[tuple[str, str | None]],
) -> list[dict[str, Any]]:
    """As `ask`; models: (name, adapter folder or "base")."""
    request = {
        "verb": "answer",
        "task": asdict(task),
        "record": asdict(question),
        "demonstrations": [asdict(demonstration) for demonstration in demonstrations],
        "models": models,
        "rule_first": config.rule_first,
    }
    return list(_request(store, config, request))


def _request(store: Store, config: Config, request: dict[str, Any]) -> Any:
    request |= {"model": config.model, "precision": config.precision, "threads": config.threads}
    line = json.dumps(request).encode() + b"\n"
    try:
        try:
            reply = _exchange(store.home, line)
        except ConnectionError:  # the process was just ending; the second try starts a new one
            reply = _exchange(store.home, line)
    except TimeoutError:
        raise UserError("No answer came in time.", "asking.log", "Ask again, or choose a smaller model.") from None
    except ConnectionError:
        raise UserError(
            "The model process ended before it answered.", "asking.log", "Ask again; the log says why."
        ) from None
    if "error" in reply:
        raise UserError(**reply["error"])
    return reply["result"]


def _exchange(home: Path, line: bytes) -> dict[str, Any]:
    """One request to the inference process, which is started if there is none, and its reply.

    Raises ConnectionError where the process ends before it has replied.
    """
    address_file = home / "asking.json"
    client = _connect(address_file)
    if client is None:
        with open(home / "asking.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two questions at once start one process
            client = _connect(address_file) or _start(home, address_file)
    client.settimeout(REPLY_SECONDS)
    with client, client.makefile("rwb") as stream:
        stream.write(line)
        stream.flush()
        reply = stream.readline()
    if not reply:
        raise ConnectionError("the stream ended without a reply")
    return dict(json.loads(reply))


def _connect(address_file: Path) -> socket.socket | None:
    try:
        address = json.loads(address_file.read_text())["socket"]
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(address)
    except (OSError, ValueError, KeyError):
        return None
    return client


def _start(home: Path, address_file: Path) -> socket.socket:
    # In the temporary folder, as a Unix socket's path may have about 100 bytes and a workspace's path is often longer.
    folder = Path(tempfile.mkdtemp(prefix="semievol-"))
    arguments = [str(folder / "socket")]
    process = start_process("semievol.jobs.inference_server", arguments, home / "logs" / "asking.log")
    temporary = address_file.with_suffix(".tmp")
    temporary.write_text(json.dumps({"socket": str(folder / "socket"), "pid": process.pid}))
    temporary.chmod(0o600)
    temporary.replace(address_file)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        client = _connect(address_file)
        if client is not None:
            return client
        time.sleep(0.05)
    raise UserError("The model process did not start.", "asking.log", "Read the log in the workspace's logs folder.")
