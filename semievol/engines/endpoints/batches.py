"""Questions that are handed over together: the server answers the batch within a day, often for half of the price.

A batch is a file of the requests that single questions would be, in the form of OpenAI's Batch API
(https://platform.openai.com/docs/guides/batch). It bears a digest of that file. A run that was stopped or killed finds
its batch by the digest, so that nothing is put, or paid for, twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import httpx2
import openai
from openai.types import Batch

from semievol.endpoints import without_key
from semievol.engines.endpoints import requests, transport
from semievol.engines.endpoints.replies import Invalid, read
from semievol.engines.endpoints.server import Failed, Server
from semievol.errors import UserError
from semievol.method.protocols import Ask, Called, Stopped
from semievol.method.spending import Spent
from semievol.records import Cost
from semievol.wording import plural

MOST = 2_000
"""Questions of a batch. Servers take more, but what is lost with a batch grows with it."""
LARGEST = 512 * 2**20
"""Bytes of the file with the replies: an answer of 64 tokens with twenty alternatives each has 100 kB."""
_MARK = "semievol"
_WINDOW = "24h"
_YOUNG_SECONDS = 48 * 3600.0
"""A batch of this age has ended, and its files may be gone."""
_LISTED = 300
_POLL = (1.0, 30.0)
"""Seconds between two looks at the batch, the first and the longest."""
_GLANCE_SECONDS = 0.3
_OVER = ("completed", "expired", "cancelled")
_USELESS = ("failed", "cancelling", "cancelled", "expired")
_SHOWN = 200
Result = TypeVar("Result")


async def answered(
    server: Server, asks: Sequence[Ask], stopping: Callable[[], bool], said: Callable[[str], None]
) -> list[Called]:
    """How each question ended, in order. said: is told in sentences how far the batch is.

    Raises Stopped when `stopping()` is true; the batch then goes on at the server, and the same questions find it.
    Raises UserError where the server takes no batch.
    """
    await server.learn()
    named = {f"{place}-{ask.input_hash}": ask for place, ask in enumerate(asks)}
    async with transport.client(server.endpoint, server.key, LARGEST) as http:
        desk = _Desk(server, transport.openai_client(server.endpoint, server.key, http))
        batch = await desk.begun(_file(server, named))
        said(f"{plural(len(asks), 'question')} to {server.endpoint.name} were handed over as the batch {batch.id}.")
        batch = await desk.ended(batch, stopping, said)
        lines = [line async for line in desk.lines(batch)]
    found = dict(_read(server, named, lines))
    lost = Called(asks[0], None, server.endpoint.name, Spent(), f"the batch ended without it ({batch.status})")
    return [found.get(name, lost._replace(ask=ask)) for name, ask in named.items()]


def _file(server: Server, named: Mapping[str, Ask]) -> bytes:
    def line(name: str, ask: Ask) -> str:
        body = requests.body(ask, server.endpoint.model, server.can)
        return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body})

    return "".join(f"{line(name, ask)}\n" for name, ask in named.items()).encode()


class _Desk:
    """The part of a server that takes batches."""

    def __init__(self, server: Server, client: openai.AsyncOpenAI) -> None:
        self._server, self._client = server, client
        self._where = f"endpoint {server.endpoint.name}"

    async def begun(self, content: bytes) -> Batch:
        """The batch with this file: one that is there, else a new one."""
        mark = hashlib.sha256(content).hexdigest()

        async def there_or_new() -> Batch:  # looked up at every try: the reply to the one before may have been lost
            if (batch := await self._there(mark)) is not None:
                return batch
            file = await self._client.files.create(file=("questions.jsonl", content), purpose="batch")
            return await self._client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window=_WINDOW,
                metadata={_MARK: mark},
            )

        return await self._patiently(there_or_new)

    async def _there(self, mark: str) -> Batch | None:
        seen, young = 0, time.time() - _YOUNG_SECONDS
        async for batch in self._client.batches.list(limit=100):
            if (batch.metadata or {}).get(_MARK) == mark and batch.status not in _USELESS and batch.created_at > young:
                return batch
            seen += 1
            if seen >= _LISTED:
                break
        return None

    async def ended(self, batch: Batch, stopping: Callable[[], bool], said: Callable[[str], None]) -> Batch:
        """The batch once the server has ended it."""
        pause, told = _POLL[0], 0
        while batch.status not in _OVER:
            if batch.status == "failed":
                raise UserError(
                    f"The server refuses the batch ({self._errors(batch)}).",
                    self._where,
                    "Turn its batches off, then resume the run: it asks the questions one by one.",
                )
            until = time.monotonic() + pause
            while time.monotonic() < until:
                if stopping():
                    said(f"The batch {batch.id} goes on at the server. Resume the run to take its answers.")
                    raise Stopped
                await asyncio.sleep(_GLANCE_SECONDS)
            pause = min(2 * pause, _POLL[1])
            name = batch.id
            batch = await self._patiently(lambda name=name: self._client.batches.retrieve(name))  # type: ignore[misc]
            count = batch.request_counts
            if count is not None and count.total and 10 * count.completed // count.total > told:
                told = 10 * count.completed // count.total
                said(f"The server has answered {count.completed:,} of {count.total:,} questions of the batch.")
        return batch

    async def lines(self, batch: Batch) -> Any:
        """The lines of both of its files, answers and errors."""
        for file in (batch.output_file_id, batch.error_file_id):
            if file:
                content = await self._patiently(lambda file=file: self._client.files.content(file))  # type: ignore[misc]
                for line in content.content.splitlines():
                    yield line

    def _errors(self, batch: Batch) -> str:
        listed = (batch.errors.data if batch.errors else None) or []
        words = " ".join(str(one.message or one.code or "") for one in listed[:3])
        return without_key(words, self._server.key)[:_SHOWN].rstrip(".") or "no explanation"

    async def _patiently(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """The result of a call, which is tried again for as long as what is wrong may pass."""
        patience = self._server.patience
        deadline, pause = time.monotonic() + patience.total, patience.pause
        while True:
            failure: Exception
            try:
                async with asyncio.timeout(patience.once):
                    return await call()
            except openai.APIStatusError as problem:
                if problem.status_code in (404, 405, 501):
                    failure = UserError(
                        f"The server offers no batches (HTTP {problem.status_code}).",
                        self._where,
                        "Turn its batches off, then resume the run.",
                    )
                else:
                    failure = self._server.of_status(problem)
            except (TimeoutError, openai.OpenAIError, httpx2.HTTPError, ValueError) as problem:
                failure = Failed(f"the server gives no usable reply ({type(problem).__name__})")
            if isinstance(failure, UserError):
                raise failure
            if not isinstance(failure, Failed) or failure.final or time.monotonic() + pause > deadline:
                raise UserError(
                    f"The server does not take the batch: {failure}.",
                    self._where,
                    "Resume the run later; or turn the endpoint's batches off.",
                )
            await asyncio.sleep(failure.wait if failure.wait is not None else pause)
            pause = min(2 * pause, patience.longest)


def _read(server: Server, named: Mapping[str, Ask], lines: Sequence[bytes]) -> Iterator[tuple[str, Called]]:
    """Name of a question -> how it ended, for every line that says so; nothing is guessed."""
    for line in lines:
        try:
            document = json.loads(line)
            name, reply, error = document["custom_id"], document.get("response") or {}, document.get("error") or {}
            ask, status = named[name], reply.get("status_code")
            body = json.dumps(reply.get("body")).encode()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if status != 200:
            why = error.get("message") if isinstance(error, dict) else None
            words = f"HTTP {status}" if status else without_key(" ".join(str(why or "no reply").split()), server.key)
            yield name, Called(ask, None, server.endpoint.name, Spent(tries=1), words[:_SHOWN])
            continue
        yield name, _called(server, ask, body)


def _called(server: Server, ask: Ask, body: bytes) -> Called:
    try:
        said = read(body, server.endpoint.model, server.key)
    except Invalid as problem:
        tokens = problem.tokens or requests.most_tokens(ask)
        spent = Spent(0, 1, *tokens, server.endpoint.cost(*tokens))
        return Called(ask, None, server.endpoint.name, spent, problem.reason)
    tokens = server.counted(ask, said)
    spent = Spent(1, 1, *tokens, server.endpoint.cost(*tokens))
    return Called(ask, replace(server.reply(ask, said), cost=Cost(1, 0.0, *tokens)), server.endpoint.name, spent)
