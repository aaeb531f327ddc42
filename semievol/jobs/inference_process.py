"""The process that holds one model for questions that are asked at once: started, reached, asked and ended from here.

It starts with the first question, or earlier where a page expects one, and ends after a while without one. Both sides
talk over a Unix socket that only this user can open: a request is one JSON line, and so is the reply; before it, lines
may come that say what is being done.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semievol.config import Config
from semievol.errors import UserError
from semievol.jobs.environment import start_process
from semievol.store.database import Store

START_SECONDS = 60.0
REPLY_SECONDS = 120.0
_ADDRESS = "asking.json"
"""File of the workspace that says where the process listens."""
Watch = Callable[[str], None]
_DOING = {
    "start": "Starting the model's process",
    "load": "Loading the model",
    "embed": "Embedding the labeled records",
    "tune": "Fine-tuning the embedder, once",
    "answer": "Answering",
    "neighbours": "Looking for the nearest labeled records",
    "vote": "Asking the simple baselines",
    "respond": "Answering",
    "map": "Drawing the map",
    "judge": "Asking the judge again",
    "examine": "Answering every labeled record from the others",
}


def unwatched(words: str) -> None:
    """Nobody is told what is being done."""


def request(store: Store, config: Config, asked: dict[str, Any], watch: Watch = unwatched) -> Any:
    """What the process with the config's model replies. Raises UserError where it cannot, in its words."""
    asked |= {"model": config.model, "precision": config.precision, "threads": config.threads}
    line = json.dumps(asked).encode() + b"\n"
    try:
        try:
            reply = _exchange(store.home, line, watch)
        except ConnectionError:  # the process was just ending; the second try starts a new one
            reply = _exchange(store.home, line, watch)
    except TimeoutError:
        raise UserError("No answer came in time.", "asking.log", "Ask again, or choose a smaller model.") from None
    except ConnectionError:
        raise UserError(
            "The model process ended before it answered.", "asking.log", "Ask again; the log says why."
        ) from None
    if "error" in reply:
        raise UserError(**reply["error"])
    return reply["result"]


def connect(store: Store) -> socket.socket | None:
    """A connection to the process; None if there is none."""
    return _connect(store.home / _ADDRESS)


def release(store: Store) -> None:
    """Ends the inference process after what it is doing: a run needs the memory. Does not wait."""
    client = connect(store)
    if client is not None:
        with client, contextlib.suppress(OSError):
            client.sendall(b'{"verb": "end"}\n')


def _exchange(home: Path, line: bytes, watch: Watch) -> dict[str, Any]:
    """One request to the inference process, which is started if there is none, and its reply.

    Raises ConnectionError where the process ends before it has replied.
    """
    address_file = home / _ADDRESS
    client = _connect(address_file)
    if client is None:
        watch(_DOING["start"])
        with open(home / "asking.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two questions at once start one process
            client = _connect(address_file) or _start(home, address_file)
    watch(_DOING["load"])  # until the process says what it does: it may be loading for somebody else
    client.settimeout(REPLY_SECONDS)
    with client, client.makefile("rwb") as stream:
        stream.write(line)
        stream.flush()
        for said in stream:
            try:
                reply = dict(json.loads(said))
            except ValueError:  # the process has ended in the middle of the line
                break
            if "doing" not in reply:
                return reply
            watch(_DOING[reply["doing"]] + (": {:,} of {:,} done".format(*reply["of"]) if "of" in reply else ""))
    raise ConnectionError("the stream ended without a reply")


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
    arguments = [str(folder / "socket"), str(home / "embeddings")]
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
