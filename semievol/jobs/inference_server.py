"""The inference process: holds a model in memory and answers one question after the other.

Is reached through `inference_process` over a Unix socket, and ends when no question comes for a while, when it is told
to, and when another model is wanted: only a new process is sure to hold one model alone. Knows no store: a request
holds everything that it needs.
"""

from __future__ import annotations

import gc
import io
import json
import math
import os
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semievol.config import VOTERS, Collaborator, Config
from semievol.errors import UserError
from semievol.installed import CHAR_TFIDF
from semievol.jobs.environment import loaded
from semievol.method import preflight, voters
from semievol.method.conversations import ask_of, response_of
from semievol.method.protocols import Ask, Engine, Plan
from semievol.records import Demonstration, Message, Record, Task
from semievol.task.answers import allowed_answers, parse
from semievol.task.prompts import by_similarity, render

IDLE_SECONDS = 180.0
EMBEDDED_AT_ONCE = (256, 2_048)
"""Least and most records: fewer would load a sentence-transformers model too often, more would take longer than a
client waits for a word."""


def main(address: str, cache: str) -> None:
    """Listens on `address` and ends after IDLE_SECONDS without a question. cache: folder of stored embeddings."""
    gc.disable()  # until a model is loaded, as in the worker
    from semievol.engines.local import LocalEngine  # torch loads here and nowhere else in this module

    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(address)
    os.chmod(address, 0o600)
    server.listen(8)
    server.settimeout(IDLE_SECONDS)
    held: tuple[list[Any], Engine] | None = None

    def reply(stream: io.BufferedRWPair, request: dict[str, Any], wanted: list[Any]) -> dict[str, Any]:
        nonlocal held
        try:
            if held is None:
                _say(stream, {"doing": "load"})
                model, precision, threads = wanted
                held = (wanted, LocalEngine(model, precision, threads, Path(cache)))
                loaded()
            if request.get("embedder", CHAR_TFIDF) != CHAR_TFIDF:
                embed_ahead(held[1], request, lambda done, total: _say(stream, {"doing": "embed", "of": [done, total]}))
            if request.get("tuned_on"):
                tune(held[1], request, lambda done, total: _say(stream, {"doing": "tune", "of": [done, total]}))
            _say(stream, {"doing": _DOING[request["verb"]]})
            return {"result": _VERBS[request["verb"]](held[1], request)}
        except UserError as problem:
            return {"error": problem.as_dict()}
        except (OSError, KeyError, ValueError):
            traceback.print_exc()
            return {"error": UserError("The question could not be answered.", "asking.log").as_dict()}

    try:
        while True:
            client, _ = server.accept()
            client.settimeout(10)
            try:
                with client, client.makefile("rwb") as stream:
                    line = stream.readline()
                    if not line:  # somebody who only looked whether this process is there
                        continue
                    request = json.loads(line)
                    wanted = [request.get(name) for name in ("model", "precision", "threads")]
                    if request["verb"] == "end" or (held is not None and held[0] != wanted):
                        server.close()  # first, so that the client's second try finds nobody and starts a new process
                        return
                    _say(stream, reply(stream, request, wanted))
            except OSError:
                print("the client has gone", file=sys.stderr)
    except TimeoutError:
        pass
    finally:
        server.close()
        shutil.rmtree(Path(address).parent, ignore_errors=True)


def _say(stream: io.BufferedRWPair, words: dict[str, Any]) -> None:
    stream.write(json.dumps(words).encode() + b"\n")
    stream.flush()


def answer(engine: Engine, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Answers of every requested model to one record."""
    task = _task(request["task"])
    record = _record(request["record"])
    shown = [Demonstration(_record(d["record"]), d["similarity"]) for d in request["demonstrations"]]
    turns = render(
        task, record, by_similarity(shown), control_tokens=engine.control_tokens, rule_first=request["rule_first"]
    )
    allowed = allowed_answers(task, record)
    results = []
    for name, path in request["models"]:
        began = time.monotonic()
        reply = engine.answer([Ask(record.id, name, path, turns, allowed, max_tokens=request["longest"])])[0]
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


def embed_ahead(engine: Engine, request: dict[str, Any], told: Callable[[int, int], None]) -> None:
    """Embeds the request's labeled records in blocks, so that it can be said how many are done. The engine stores their
    vectors: whatever comes next finds them there."""
    labeled = [_record(values) for values in request.get("labeled", ())]
    least, most = EMBEDDED_AT_ONCE
    size = min(most, max(least, len(labeled) // 10))
    for start in range(0, len(labeled), size):
        told(start, len(labeled))
        engine.embed(labeled[start : start + size], request["embedder"])


def tune(engine: Engine, request: dict[str, Any], told: Callable[[int, int], None]) -> None:
    """Fine-tunes the embedder on the request's records, if that was not done before: whatever comes next finds it."""
    embedder = request["config"]["propagation"]["embedder"]
    engine.tune_embedder([_record(values) for values in request["tuned_on"]], embedder, told, lambda: False)


def judge(engine: Engine, request: dict[str, Any]) -> list[str | None]:
    """The final answer to each of the request's questions, read as in a run; None where it cannot be read."""
    plan = Plan(_task(request["task"]), Config.model_validate(request["config"]), (), ())
    records = [_record(values) for values in request["records"]]
    asks = []
    for values in request["asks"]:
        turns = tuple(Message(**turn) for turn in values["messages"])
        asks.append(Ask(**values | {"messages": turns, "allowed": tuple(values["allowed"])}))
    replies = engine.answer(asks)
    return [
        response_of(plan, record, ask, reply).answer for record, ask, reply in zip(records, asks, replies, strict=True)
    ]


def neighbours(engine: Engine, request: dict[str, Any]) -> list[tuple[str, float]]:
    """(labeled record id, similarity) of the records most like the question; those that the request names, if any."""
    labeled = [_record(values) for values in request["labeled"]]
    found = engine.neighbours(labeled, [_record(request["record"])], request["k"], request["embedder"])
    near = [(demonstration.record.id, demonstration.similarity) for demonstration in found[0]]
    only = request.get("only")
    return near if only is None else [pair for pair in near if pair[0] in only]


def vote(engine: Engine, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Answers without a language model, from the labeled records, by every requested `Voter`."""
    record, labeled = _record(request["record"]), [_record(values) for values in request["labeled"]]
    tuned_on = [_record(values) for values in request["tuned_on"]]
    plan = Plan(_task(request["task"]), Config.model_validate(request["config"]), labeled, (), tuned_on=tuned_on)
    allowed = allowed_answers(plan.task, record)
    results = []
    for how in request["voters"]:
        reply = voters.poll(plan, engine, how, how, [record])[0]
        table = dict(zip(allowed, reply.probabilities, strict=False))
        entropy = _entropy(reply.probabilities)
        results.append(
            {"model": how, "text": reply.text, "answer": reply.answer, "probabilities": table, "entropy": entropy}
        )
    return results


def respond(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """The response of one collaborator to one record, as the stage of that name asks for it: the fields of a
    `Response`, how many demonstrations were shown, and seconds. Voters make their first pass only."""
    record, labeled = _record(request["record"]), [_record(values) for values in request["labeled"]]
    plan = Plan(_task(request["task"]), Config.model_validate(request["config"]), labeled, ())
    one = Collaborator.model_validate(request["collaborator"])
    shown = [Demonstration(_record(d["record"]), d["similarity"]) for d in request["demonstrations"]]
    began, left_out = time.monotonic(), len(shown)
    how = next((voter for voter in VOTERS if voter == one.model), None)
    if how is not None:
        said = voters.poll(voters.with_tuned_embedder(plan), engine, one.name, how, [record])[0]
    else:
        ask = ask_of(plan, engine, "respond", record, one, request["models"], {record.id: shown})
        if ask.too_long:
            raise UserError("The question is too long for the model.", "record", "Choose another record or model.")
        said = response_of(plan, record, ask, engine.answer([ask])[0])
        left_out = ask.left_out if one.demonstrations else len(shown)
    return {"response": asdict(said), "shown": len(shown) - left_out, "seconds": time.monotonic() - began}


def draw_map(engine: Engine, request: dict[str, Any]) -> list[list[float]]:
    """Two coordinates for every record of the request."""
    vectors = engine.embed([_record(values) for values in request["records"]], request["embedder"])
    found: list[list[float]] = engine.places(vectors, request["seed"], lambda done, total: None).tolist()
    return found


def examine(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """What the labeled records say of propagation, before any training: the fields of a `preflight.Preflight`, records
    by their ids."""
    labeled = [_record(values) for values in request["labeled"]]
    found = preflight.examine(engine, Config.model_validate(request["config"]), _task(request["task"]), labeled)
    suspects = [(one.record.id, one.label, one.likelier, dict(one.spread)) for one in found.suspects]
    ways = {how: (way.right, way.low, way.high) for how, way in found.ways.items()}
    return {"records": found.records, "majority": found.majority, "ways": ways, "suspects": suspects}


_warmed: set[str] = set()


def warm(engine: Engine, request: dict[str, Any]) -> None:
    """Answers the trial question once with every adapter that was not used before, so that all of it is loaded."""
    new = [(name, path) for name, path in request["models"] if path not in _warmed]
    answer(engine, request | {"models": new})
    _warmed.update(path for _, path in new)


_VERBS: dict[str, Callable[[Engine, dict[str, Any]], Any]] = {"answer": answer, "neighbours": neighbours, "vote": vote}
_VERBS |= {"respond": respond, "warm": warm, "map": draw_map, "examine": examine, "judge": judge}
_DOING = {name: "answer" if name == "warm" else name for name in _VERBS}


def _task(values: dict[str, Any]) -> Task:
    return Task(**values | {"labels": tuple(values["labels"])})


def _record(values: dict[str, Any]) -> Record:
    earlier = tuple(Message(**turn) for turn in values["earlier"])
    return Record(**values | {"options": tuple(values["options"]), "earlier": earlier})


def _entropy(probabilities: tuple[float, ...]) -> float | None:
    """Shannon entropy divided by log K, in [0, 1]; None without probabilities."""
    if not probabilities:
        return None
    if len(probabilities) == 1:
        return 0.0
    return -sum(p * math.log(p) for p in probabilities if p > 0) / math.log(len(probabilities))


if __name__ == "__main__":
    main(*sys.argv[1:])
