"""The inference process: holds a model in memory and answers one question after the other.

Serves `inference_client` over a Unix socket, and ends when no question comes for a while. Knows no store: a request
holds everything that it needs.
"""

from __future__ import annotations

import gc
import json
import math
import os
import shutil
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from semievol.errors import UserError
from semievol.jobs.environment import loaded
from semievol.method.protocols import Ask, Engine
from semievol.records import Demonstration, Record, Task
from semievol.task.answers import allowed_answers, parse
from semievol.task.prompts import by_similarity, render

IDLE_SECONDS = 180.0


def main(address: str) -> None:
    """Listens on `address` and ends after IDLE_SECONDS without a question."""
    gc.disable()  # until a model is loaded, as in the worker
    from semievol.engines.local import LocalEngine  # torch loads here and nowhere else in this module

    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(address)
    os.chmod(address, 0o600)
    server.listen(8)
    server.settimeout(IDLE_SECONDS)
    held: tuple[tuple[Any, ...], Engine] | None = None
    try:
        while True:
            client, _ = server.accept()
            client.settimeout(10)
            with client, client.makefile("rwb") as stream:
                try:
                    request = json.loads(stream.readline() or b"{}")
                    wanted = (request["model"], request["precision"], request["threads"])
                    if held is None or held[0] != wanted:
                        held = (wanted, LocalEngine(request["model"], request["precision"], request["threads"]))
                        loaded()
                    reply = {"result": _VERBS[request["verb"]](held[1], request)}
                except UserError as problem:
                    reply = {"error": problem.as_dict()}
                except (OSError, KeyError, ValueError):
                    traceback.print_exc()
                    reply = {"error": UserError("The question could not be answered.", "asking.log").as_dict()}
                try:
                    stream.write(json.dumps(reply).encode() + b"\n")
                    stream.flush()
                except OSError:
                    print("the client has gone", file=sys.stderr)
    except TimeoutError:
        pass
    finally:
        server.close()
        shutil.rmtree(Path(address).parent, ignore_errors=True)


def answer(engine: Engine, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Answers of every requested model to one record."""
    task = Task(**request["task"] | {"labels": tuple(request["task"]["labels"])})
    record = _record(request["record"])
    shown = [Demonstration(_record(d["record"]), d["similarity"]) for d in request["demonstrations"]]
    turns = render(
        task, record, by_similarity(shown), control_tokens=engine.control_tokens, rule_first=request["rule_first"]
    )
    allowed = allowed_answers(task, record)
    results = []
    for name, path in request["models"]:
        began = time.monotonic()
        reply = engine.answer([Ask(record.id, name, path, turns, allowed)])[0]
        results.append(
            {
                "model": name,
                "text": reply.text,
                "answer": reply.text if reply.text in allowed else parse(task, record, reply.text),
                "probabilities": dict(zip(allowed, reply.probabilities, strict=False)),
                "mass": reply.mass,
                "entropy": _entropy(reply.probabilities),
                "seconds": time.monotonic() - began,
            }
        )
    return results


def neighbours(engine: Engine, request: dict[str, Any]) -> list[tuple[str, float]]:
    """(labeled record id, similarity) of the records most like the question."""
    labeled = [_record(values) for values in request["labeled"]]
    found = engine.neighbours(labeled, [_record(request["record"])], request["k"], request["embedder"])
    return [(demonstration.record.id, demonstration.similarity) for demonstration in found[0]]


_VERBS = {"answer": answer, "neighbours": neighbours}


def _record(values: dict[str, Any]) -> Record:
    return Record(**values | {"options": tuple(values["options"])})


def _entropy(probabilities: tuple[float, ...]) -> float | None:
    """Shannon entropy divided by log K, in [0, 1]; None without probabilities."""
    if not probabilities:
        return None
    if len(probabilities) == 1:
        return 0.0
    return -sum(p * math.log(p) for p in probabilities if p > 0) / math.log(len(probabilities))


if __name__ == "__main__":
    main(sys.argv[1])
