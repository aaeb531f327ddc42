"""Questions that are handed over together: the server answers the batch within a day, often for half of the price.

A batch is a file of the requests that single questions would be, in the form of OpenAI's Batch API
(https://platform.openai.com/docs/guides/batch). In it every question has a name that follows from the question alone.
A run that was stopped or killed finds its questions by these names in the batches that the server has, so that nothing
is put, or paid for, twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
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
"""Bytes of the file with the replies."""
_OF_A_TOKEN = 1_700
"""Bytes of a reply for each token, with twenty alternatives."""
_MARK = "semievol"
_WINDOW = "24h"
_YOUNG_SECONDS = 48 * 3600.0
"""A batch of this age has ended, and its files may be gone."""
_LISTED = 300
_POLL = (1.0, 30.0)
"""Seconds between two looks at the batch, the first and the longest."""
_GLANCE_SECONDS = 0.3
_AWAY_SECONDS = 3600.0
"""How long a server may be away while its batch is waited for."""
_OVER = ("completed", "expired", "cancelled")
_SHOWN = 200
_TRIED_ALONE = 5
_TURN_OFF = "Resume the run later; or turn the endpoint's batches off, and it asks the questions one by one."
Result = TypeVar("Result")
Allow = Callable[[Ask, float], bool]


def full(asks: Sequence[Ask]) -> bool:
    """Whether no further question fits: by their number, and by the size of the replies."""
    return len(asks) >= MOST or sum(ask.max_tokens for ask in asks) * _OF_A_TOKEN > LARGEST // 2


async def answered(
    server: Server,
    asks: Sequence[Ask],
    allow: Allow,
    stopping: Callable[[], bool],
    said: Callable[[str], None],
) -> list[Called]:
    """How each question ended, in order.

    allow: asked whether one more try of a question may cost so much. said: is told in sentences how far the batch is.
    Raises Stopped when `stopping()` is true; the batch then goes on at the server, and the same questions find it.
    Raises UserError where the server takes no batch, or answers no question.
    """
    named = {_name(ask): ask for ask in asks}
    async with transport.client(server.endpoint, server.key, LARGEST) as http:
        desk = _Desk(server, transport.openai_client(server.endpoint, server.key, http), stopping, said)
        found: dict[str, Called] = {}
        awaited: list[Batch] = []
        there: set[str] = set()
        for batch in await desk.young():
            mine = set(await desk.names(batch)) & named.keys() - found.keys() - there
            if not mine:
                continue
            if batch.status in _OVER:
                found |= _replies(server, {name: named[name] for name in mine}, await desk.lines(batch))
            else:
                awaited.append(batch)
                there |= mine
                said(f"{plural(len(mine), 'question')} are in the batch {desk.word(batch.id)} already.")
        rest = {name: ask for name, ask in named.items() if name not in found.keys() | there}
        found |= await _tried_alone(server, rest, allow, stopping)
        if rest := {name: ask for name, ask in rest.items() if name not in found}:
            batch = await desk.begun(_file(server, rest))
            awaited.append(batch)
            said(
                f"{plural(len(rest), 'question')} to {server.endpoint.name} were handed over as the batch "
                f"{desk.word(batch.id)}."
            )
        for batch in awaited:
            batch = await desk.ended(batch)
            for name, called in _read(server, named, await desk.lines(batch)).items():
                if name not in found or found[name].reply is None:
                    found[name] = called
            for name in set(await desk.names(batch)) & named.keys() - found.keys():
                reason = f"the batch ended without it ({desk.word(batch.status)})"
                found[name] = Called(named[name], None, server.endpoint.name, Spent(), reason)
    return [found[_name(ask)] for ask in asks]


def _name(ask: Ask) -> str:
    """Names a question within all batches. It does not depend on what the server turned out to understand."""
    parts = json.dumps([ask.record_id, ask.collaborator, ask.input_hash])
    return hashlib.sha256(parts.encode()).hexdigest()[:40]


def _file(server: Server, named: Mapping[str, Ask]) -> bytes:
    def line(name: str, ask: Ask) -> str:
        body = requests.body(ask, server.endpoint.model, server.can)
        return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body})

    return "".join(f"{line(name, ask)}\n" for name, ask in named.items()).encode()


async def _tried_alone(
    server: Server, named: Mapping[str, Ask], allow: Allow, stopping: Callable[[], bool]
) -> dict[str, Called]:
    """Puts the first question alone, which shows what the server can do; where it is not answered, the next."""
    found: dict[str, Called] = {}
    for name, ask in named.items():
        if server.can.sure:
            break
        if stopping():
            raise Stopped
        found[name] = await server.answer(ask, lambda cost, ask=ask: allow(ask, cost), asyncio.Event())  # type: ignore[misc]
        if found[name].reply is None and len(found) >= _TRIED_ALONE:
            raise UserError(
                f"The server answered none of the first {len(found)} questions; the last time: {found[name].reason}.",
                f"endpoint {server.endpoint.name}",
                "Test the endpoint on the Settings page, then resume the run.",
            )
        if found[name].reply is not None:
            break
    return found


class _Desk:
    """The part of a server that takes batches."""

    def __init__(
        self, server: Server, client: openai.AsyncOpenAI, stopping: Callable[[], bool], said: Callable[[str], None]
    ) -> None:
        self._server, self._client = server, client
        self._stopping, self._said = stopping, said
        self._where = f"endpoint {server.endpoint.name}"
        self._names: dict[str, list[str]] = {}

    def word(self, text: object) -> str:
        """What the server says, without the key, in a line."""
        return without_key(" ".join(str(text).split()), self._server.key)[:_SHOWN]

    async def young(self) -> list[Batch]:
        """The batches of ours that may hold answers, the newest first."""

        async def listed() -> list[Batch]:
            seen: list[Any] = []
            async for batch in self._client.batches.list(limit=100):
                seen.append(batch)
                if len(seen) >= _LISTED:
                    break
            return [one for one in seen if _is_batch(one)]

        after = time.time() - _YOUNG_SECONDS
        return [
            one
            for one in await self._patiently(listed, offered=True)
            if isinstance(one.metadata, dict)
            and _MARK in one.metadata
            and one.status not in ("failed", "cancelling")
            and isinstance(one.created_at, int | float)
            and one.created_at > after
        ]

    async def names(self, batch: Batch) -> list[str]:
        """The names of the questions in a batch; none where its file is gone."""
        if batch.id not in self._names:
            lines = await self._content(batch.input_file_id)
            self._names[batch.id] = [str(one.get("custom_id")) for one in _documents(lines)]
        return self._names[batch.id]

    async def begun(self, content: bytes) -> Batch:
        """A new batch with this file."""
        file = await self._patiently(
            lambda: self._client.files.create(file=("questions.jsonl", content), purpose="batch"),
            offered=True,
            big=True,
        )
        tried = False

        async def there_or_new() -> Batch:
            nonlocal tried
            if tried:  # the reply to the try before may have been lost, though the batch is there
                for batch in await self.young():
                    if batch.input_file_id == file.id:
                        return batch
            tried = True
            made = await self._client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window=_WINDOW,
                metadata={_MARK: "questions"},
            )
            return _checked(made)

        return await self._patiently(there_or_new, offered=True)

    async def ended(self, batch: Batch) -> Batch:
        """The batch once the server has ended it."""
        pause, told, name = _POLL[0], 0, batch.id

        async def looked() -> Batch:
            return _checked(await self._client.batches.retrieve(name))

        while batch.status not in _OVER:
            if batch.status == "failed":
                words = [getattr(one, "message", None) for one in getattr(batch.errors, "data", None) or []]
                why = self.word(" ".join(str(one) for one in words[:3] if one)).rstrip(".") or "no explanation"
                raise UserError(f"The server refuses the batch ({why}).", self._where, _TURN_OFF)
            await self._pause(pause)
            pause = min(2 * pause, _POLL[1])
            batch = await self._patiently(looked, away=_AWAY_SECONDS)
            done, total = (getattr(batch.request_counts, name, None) for name in ("completed", "total"))
            if isinstance(done, int) and isinstance(total, int) and total > 0 and 10 * done // total > told:
                told = 10 * done // total
                self._said(f"The server has answered {done:,} of {total:,} questions of the batch.")
        return batch

    async def lines(self, batch: Batch) -> list[bytes]:
        """The lines of both of its files, answers first."""
        found: list[bytes] = []
        for file in (batch.output_file_id, batch.error_file_id):
            if file:
                found += await self._content(file)
        return found

    async def _content(self, file: str) -> list[bytes]:
        try:
            content = await self._patiently(lambda: self._client.files.content(file), away=_AWAY_SECONDS, big=True)
        except _Gone:
            return []
        return content.content.splitlines()

    async def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._stopping():
                self._said("What was handed over goes on at the server. Resume the run to take its answers.")
                raise Stopped
            await asyncio.sleep(min(_GLANCE_SECONDS, seconds))

    async def _patiently(
        self, call: Callable[[], Awaitable[Result]], offered: bool = False, big: bool = False, away: float = 0.0
    ) -> Result:
        """The result of a call, which is tried again for as long as what is wrong may pass.

        offered: a status 404 means that the server has no such thing; else that this one is gone. big: a file, which
        takes as long as it comes in. away: seconds that the server may be away, where that is more than for a question.
        """
        patience = self._server.patience
        deadline, pause = time.monotonic() + max(patience.total, away), patience.pause
        while True:
            failure: Exception
            try:
                async with asyncio.timeout(None if big else patience.once):
                    return await call()
            except openai.APIStatusError as problem:
                if problem.status_code not in (404, 405, 501):
                    failure = self._server.of_status(problem)
                elif offered:
                    words = f"The server offers no batches (HTTP {problem.status_code})."
                    failure = UserError(words, self._where, "Turn the endpoint's batches off, then resume the run.")
                else:
                    failure = _Gone()
            except (
                TimeoutError,
                openai.OpenAIError,
                httpx2.HTTPError,
                ValueError,
                AttributeError,
                TypeError,
            ) as problem:
                failure = Failed(f"it gives no usable reply ({type(problem).__name__})")
                if isinstance(problem, transport.TooLarge) or isinstance(problem.__cause__, transport.TooLarge):
                    words = f"The file with the answers has more than {LARGEST // 2**20:,} MB."
                    how = "Lower max_answer_tokens, or turn the endpoint's batches off."
                    failure = UserError(words, self._where, how)
            if isinstance(failure, UserError | _Gone):
                raise failure
            if not isinstance(failure, Failed) or failure.final or time.monotonic() + pause > deadline:
                raise UserError(f"The server cannot be asked about the batch: {failure}.", self._where, _TURN_OFF)
            await self._pause(failure.wait if failure.wait is not None else pause)
            pause = min(2 * pause, patience.longest)


class _Gone(Exception):
    """The server no longer has this file or batch."""


def _is_batch(batch: Any) -> bool:
    """Whether what a server sent is a batch that can be named."""
    return isinstance(batch, Batch) and all(isinstance(one, str) and one for one in (batch.id, batch.status))


def _checked(batch: Any) -> Batch:
    if not _is_batch(batch):
        raise ValueError("no batch")
    found: Batch = batch
    return found


def _documents(lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield document


def _replies(server: Server, named: Mapping[str, Ask], lines: Sequence[bytes]) -> dict[str, Called]:
    """Name -> answer, of the questions that were answered; the others may be put again."""
    return {name: called for name, called in _read(server, named, lines).items() if called.reply is not None}


def _read(server: Server, named: Mapping[str, Ask], lines: Sequence[bytes]) -> dict[str, Called]:
    """Name -> how a question ended, of those that the lines speak of. The first answer counts; nothing is guessed."""
    found: dict[str, Called] = {}
    for document in _documents(lines):
        name, reply, error = document.get("custom_id"), document.get("response"), document.get("error")
        if not isinstance(name, str) or name not in named or (name in found and found[name].reply is not None):
            continue
        reply = reply if isinstance(reply, dict) else {}
        status, body = reply.get("status_code"), reply.get("body")
        if status == 200:
            found[name] = _called(server, named[name], json.dumps(body).encode())
            continue
        inner = body.get("error") if isinstance(body, dict) else None
        words = next((one["message"] for one in (inner, error) if isinstance(one, dict) and one.get("message")), "")
        why = " ".join(f"{f'HTTP {status}' if status else 'no reply'} {words}".split())
        reason = without_key(why, server.key)[:_SHOWN]
        found[name] = Called(named[name], None, server.endpoint.name, Spent(tries=1), reason)
    return found


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
