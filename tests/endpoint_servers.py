"""Real servers on this machine that speak OpenAI's protocol: one that serves the bundled starter, one full of faults.

Both count what they are asked. The faulty one is told what to do by a function of the number of the request.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from semievol.endpoints import Endpoint

MODEL = "starter-remote"
Answer = Callable[["Request"], dict[str, Any] | None]


class Request:
    """One request to answer a question. number: counted from 0 by the server."""

    def __init__(self, handler: BaseHTTPRequestHandler, number: int, body: dict[str, Any]) -> None:
        self.handler, self.number, self.body = handler, number, body

    @property
    def question(self) -> str:
        return str(self.body["messages"][-1]["content"])

    @property
    def key(self) -> str:
        return self.handler.headers.get("authorization", "").removeprefix("Bearer ")

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        """length: announced, if it is to differ from the true one."""
        self.handler.send_response(status)
        for name, value in ({"content-type": "application/json"} | (headers or {})).items():
            self.handler.send_header(name, value)
        self.handler.send_header("content-length", str(len(body) if length is None else length))
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def reset(self) -> None:
        """Breaks the connection without a word."""
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.connection.close()
        self.handler.close_connection = True


def completion(
    text: str | None,
    model: str = MODEL,
    tokens: Sequence[tuple[str, float, Sequence[tuple[str, float]]]] = (),
    usage: tuple[int, int] | None = (20, 1),
    finish: str = "stop",
) -> dict[str, Any]:
    """A reply as OpenAI's API documents it. tokens: (token, log-probability, listed ones) each."""
    logprobs = None
    if tokens:

        def entry(token: str, logprob: float) -> dict[str, Any]:
            return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

        content = [entry(t, p) | {"top_logprobs": [entry(*other) for other in top]} for t, p, top in tokens]
        logprobs = {"content": content}
    message = {"role": "assistant", "content": text}
    found: dict[str, Any] = {
        "id": "reply",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "finish_reason": finish, "message": message, "logprobs": logprobs}],
    }
    if usage is not None:
        found["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return found


class Served:
    """A running server. asked: the requests so far. there: status of a look at one of its models. answer: gives the
    reply to one, or sends it itself. desk: takes its batches, jobs: its fine-tunings; without one it offers none."""

    def __init__(
        self, answer: Answer, models: Sequence[str] = (MODEL,), desk: Desk | None = None, jobs: Jobs | None = None
    ) -> None:
        self.asked: list[Request] = []
        self.there: Callable[[str], int] = lambda path: 200
        self.keys: set[str] = set()
        self._lock = threading.Lock()
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing is printed."""

            def do_GET(self) -> None:
                if "/fine_tuning" in self.path:
                    Jobs.serve(jobs, Request(self, -1, {}))
                    return
                if "/batches" in self.path or "/files" in self.path:
                    Desk.serve(desk, Request(self, -1, {}))
                    return
                if "/models/" in self.path:
                    found = {"id": self.path.rpartition("/")[2], "object": "model", "created": 0, "owned_by": "us"}
                    Request(self, -1, {}).send(served.there(self.path), json.dumps(found).encode())
                    return
                listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in models]}
                Request(self, -1, {}).send(200, json.dumps(listed).encode())

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                if "/fine_tuning" in self.path or (jobs is not None and self.path.endswith("/files")):
                    served.keys.add(Request(self, -1, {}).key)
                    Jobs.serve(jobs, Request(self, -1, {}), content)
                    return
                if self.path.endswith(("/batches", "/files")):
                    served.keys.add(Request(self, -1, {}).key)
                    Desk.serve(desk, Request(self, -1, {}), content)
                    return
                body = json.loads(content)
                with served._lock:
                    request = Request(self, len(served.asked), body)
                    served.asked.append(request)
                    served.keys.add(request.key)
                found = answer(request)
                if found is not None:
                    request.send(200, json.dumps(found).encode())

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that has gone is part of the game."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def endpoint(self, name: str = "far", **values: Any) -> Endpoint:
        return Endpoint(**{"name": name, "url": self.url, "model": MODEL} | values)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Desk:
    """Takes batches as OpenAI documents it. answer: gives the body of the reply to a request, or a status where there
    is an error. batches: those it has. open: whether a batch ends as soon as it is looked at; else it goes on for ever.
    lost: replies to new batches that never arrive, though the batch is there."""

    def __init__(self, answer: Callable[[dict[str, Any]], dict[str, Any] | int | None]) -> None:
        self.answer = answer
        self.batches: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.open, self.lost = True, 0
        self._lock = threading.Lock()

    @staticmethod
    def serve(desk: Desk | None, request: Request, content: bytes | None = None) -> None:
        if desk is None:
            request.send(404, b"{}")
            return
        name = request.handler.path.split("/")[-2]
        if request.handler.path.endswith("/content") and name not in desk.files:
            request.send(404, b"{}")
            return
        with desk._lock:
            found = desk._new(request, content) if content is not None else desk._there(request.handler.path)
        if found is None:
            request.reset()
        else:
            request.send(200, found if isinstance(found, bytes) else json.dumps(found).encode())

    def _new(self, request: Request, content: bytes) -> dict[str, Any] | None:
        if request.handler.path.endswith("/files"):
            name = f"file-{len(self.files)}"
            self.files[name] = uploaded(request, content)
            return {"id": name, "object": "file", "bytes": 1, "created_at": 0, "filename": "q", "purpose": "batch"}
        asked = json.loads(content)
        name = f"batch-{len(self.batches)}"
        number = len(self.files[asked["input_file_id"]].splitlines())
        counts = {"total": number, "completed": 0, "failed": 0}
        self.batches[name] = asked | {"id": name, "object": "batch", "status": "validating", "request_counts": counts}
        self.batches[name] |= {"created_at": int(time.time())}
        if self.lost:
            self.lost -= 1
            return None
        return self.batches[name]

    def _there(self, path: str) -> dict[str, Any] | bytes:
        path = path.partition("?")[0]
        if path.endswith("/content"):
            return self.files[path.split("/")[-2]]
        if path.endswith("/batches"):
            return {"object": "list", "data": list(self.batches.values())[::-1], "has_more": False}
        batch = self.batches[path.rpartition("/")[2]]
        if self.open and batch["status"] != "completed":
            self._end(batch)
        return batch

    def _end(self, batch: dict[str, Any]) -> None:
        files: dict[str, list[str]] = {"output_file_id": [], "error_file_id": []}
        for line in self.files[batch["input_file_id"]].splitlines():
            asked = json.loads(line)
            found = self.answer(asked["body"])
            status = 200 if isinstance(found, dict) else found
            if status is not None:
                reply = {"status_code": status, "body": found if status == 200 else {}}
                answered = {"id": "x", "custom_id": asked["custom_id"], "response": reply, "error": None}
                files["output_file_id" if status == 200 else "error_file_id"].append(json.dumps(answered))
        for kind, lines in files.items():
            if lines:
                batch[kind] = f"file-{len(self.files)}"
                self.files[batch[kind]] = "\n".join(reversed(lines)).encode()
        batch |= {"status": "completed"}


def uploaded(request: Request, content: bytes) -> bytes:
    """The file within an upload."""
    boundary = request.handler.headers["content-type"].rpartition("boundary=")[2].encode()
    part = next(one for one in content.split(b"--" + boundary) if b'name="file"' in one)
    return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


class Jobs:
    """Fine-tunes as OpenAI documents it. train: makes a model of (the examples, what was asked) and names it; a
    text that begins with "failed: " is a reason instead. Each look at a job brings it a step on.

    open: whether jobs get on; else they run for ever. lost: replies to new jobs that never arrive, though the job is
    there. refused: parameters of a new job that the server does not know. counted: whether it says how many tokens it
    trained on.
    """

    STEPS = 4

    def __init__(self, train: Callable[[list[dict[str, Any]], dict[str, Any]], str]) -> None:
        self.train = train
        self.jobs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.open, self.lost, self.counted = True, 0, True
        self.refused: set[str] = set()
        self._lock = threading.Lock()

    @staticmethod
    def serve(jobs: Jobs | None, request: Request, content: bytes | None = None) -> None:
        if jobs is None:
            request.send(404, b"{}")
            return
        with jobs._lock:
            status, found = jobs._new(request, content) if content is not None else jobs._there(request.handler.path)
        if status:
            request.send(status, json.dumps(found).encode())
        else:
            request.reset()

    def lines(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[job["training_file"]].splitlines()]

    def _new(self, request: Request, content: bytes) -> tuple[int, dict[str, Any]]:
        if request.handler.path.endswith("/files"):
            name = f"tuning-file-{len(self.files)}"
            self.files[name] = uploaded(request, content)
            about = {"bytes": 1, "created_at": 0, "filename": "f", "purpose": "fine-tune", "status": "processed"}
            return 200, {"id": name, "object": "file"} | about
        asked = json.loads(content)
        if unknown := self.refused & asked.keys():
            return 400, {"error": {"message": f"Unknown parameter: '{sorted(unknown)[0]}'.", "type": "invalid"}}
        name = f"ftjob-{len(self.jobs)}"
        self.jobs[name] = asked | {
            "id": name,
            "object": "fine_tuning.job",
            "created_at": int(time.time()),
            "status": "validating_files",
            "hyperparameters": {},
            "organization_id": "org",
            "result_files": [],
        }
        self.events[name] = []
        self._tell(name, "Created fine-tuning job")
        if self.lost:
            self.lost -= 1
            return 0, {}
        return 200, self.jobs[name]

    def _there(self, path: str) -> tuple[int, dict[str, Any]]:
        path = path.partition("?")[0]
        if path.endswith("/events"):
            return 200, {"object": "list", "data": self.events[path.split("/")[-2]][::-1], "has_more": False}
        if path.endswith("/jobs"):
            return 200, {"object": "list", "data": list(self.jobs.values())[::-1], "has_more": False}
        job = self.jobs.get(path.rpartition("/")[2])
        if job is None:
            return 404, {}
        if self.open:
            self._on(job)
        return 200, job

    def _on(self, job: dict[str, Any]) -> None:
        name = job["id"]
        if job["status"] == "validating_files":
            job["status"] = "running"
            for step in range(1, self.STEPS):
                self._tell(name, f"Step {step}/{self.STEPS}: training loss={1 / step:.2f}", step)
        elif job["status"] == "running":
            made = self.train(self.lines(job), job)
            if made.startswith("failed: "):
                job |= {"status": "failed", "error": {"code": "bad", "message": made[8:], "param": None}}
                return
            tokens = sum(len(turn["content"]) // 4 for line in self.lines(job) for turn in line["messages"])
            job |= {"status": "succeeded", "fine_tuned_model": made}
            job |= {"trained_tokens": tokens} if self.counted else {}
            self._tell(name, "The job has successfully completed")

    def _tell(self, name: str, message: str, step: int | None = None) -> None:
        data = {} if step is None else {"step": step, "total_steps": self.STEPS, "train_loss": 1 / step}
        number = f"event-{name}-{len(self.events[name])}"
        event = {"id": number, "object": "fine_tuning.job.event", "created_at": 0, "level": "info", "message": message}
        self.events[name].append(event | {"data": data, "type": "message" if step is None else "metrics"})


@contextmanager
def serving(answer: Answer, desk: Desk | None = None, jobs: Jobs | None = None) -> Iterator[Served]:
    served = Served(answer, desk=desk, jobs=jobs)
    try:
        yield served
    finally:
        served.close()


class Starter:
    """The bundled starter behind a server: greedy answers with true log-probabilities of the `top` likeliest tokens.

    logprobs: whether it gives any; a server without ignores that they are asked for. tuned: name of a fine-tuned model
    -> its adapter.
    """

    def __init__(self, logprobs: bool = True) -> None:
        import torch

        from semievol.engines.adapters import AdaptedModel

        self.model = AdaptedModel("starter", torch.device("cpu"), torch.float32)
        self.logprobs = logprobs
        self.tuned: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, request: Any) -> dict[str, Any]:
        """request: anything with a `body`."""
        import torch

        from semievol.records import Message

        turns = [Message(turn["role"], turn["content"]) for turn in request.body["messages"]]
        chat, tokens, name = self.model.chat, [], request.body["model"]
        with self._lock, self.model.using(self.tuned.get(name)) as model:
            (prompt,) = chat.prompts([turns])
            ids = list(prompt)
            for _ in range(request.body["max_tokens"]):
                logits = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
                logprobs = torch.log_softmax(logits, dim=-1)
                values, places = logprobs.topk(request.body.get("top_logprobs") or 1)
                top = [(self._word(i), v) for i, v in zip(places.tolist(), values.tolist(), strict=True)]
                chosen = int(places[0])
                if chosen in chat.stops:
                    break
                tokens.append((top[0][0], top[0][1], top))
                ids.append(chosen)
        text = chat.text(ids[len(prompt) :])
        shown = tokens if self.logprobs and request.body.get("logprobs") else []
        return completion(text, name, tokens=shown, usage=(len(prompt), len(ids) - len(prompt)))

    def _word(self, token: int) -> str:
        return str(self.model.chat.tokenizer.decode([token]))


def lettered(request: Request | None, letter: str = "A", sure: float = 0.9) -> dict[str, Any]:
    """A reply of one letter, with the other letters of A to D and an unlisted rest."""
    rest = (1 - sure) / 4
    top = [(other, math.log(sure if other == letter else rest)) for other in "ABCD"]
    top.sort(key=lambda one: -one[1])
    return completion(letter, tokens=[(letter, math.log(sure), top)])


def slow(seconds: float) -> Callable[[Request], None]:
    """Sends the first half of a reply and then nothing for a while."""

    def sent(request: Request) -> None:
        body = json.dumps(completion("A")).encode()
        request.send(200, body[: len(body) // 2], length=len(body))
        request.handler.wfile.flush()
        time.sleep(seconds)

    return sent
