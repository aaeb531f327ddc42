"""The part of a server that takes batches: which it has, a new one, its end, its files. Knows nothing of answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import httpx2
import openai
from openai.types import Batch

from semievol.endpoints import without_key
from semievol.engines.endpoints import transport
from semievol.engines.endpoints.server import Failed, Server
from semievol.errors import UserError
from semievol.method.protocols import Stopped

LARGEST = 512 * 2**20
"""Bytes of the file with the replies."""
OVER = ("completed", "expired", "cancelled")
"""Statuses of a batch that has ended and may have answers."""
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
_SHOWN = 200
_TURN_OFF = "Resume the run later; or turn the endpoint's batches off, and it asks the questions one by one."
Result = TypeVar("Result")


class Desk:
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
            self._names[batch.id] = [str(one.get("custom_id")) for one in documents(lines)]
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

        while batch.status not in OVER:
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
        except Gone:
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
                    failure = Gone()
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
            if isinstance(failure, UserError | Gone):
                raise failure
            if not isinstance(failure, Failed) or failure.final or time.monotonic() + pause > deadline:
                raise UserError(f"The server cannot be asked about the batch: {failure}.", self._where, _TURN_OFF)
            await self._pause(failure.wait if failure.wait is not None else pause)
            pause = min(2 * pause, patience.longest)


class Gone(Exception):
    """The server no longer has this file or batch."""


def _is_batch(batch: Any) -> bool:
    """Whether what a server sent is a batch that can be named."""
    return isinstance(batch, Batch) and all(isinstance(one, str) and one for one in (batch.id, batch.status))


def _checked(batch: Any) -> Batch:
    if not _is_batch(batch):
        raise ValueError("no batch")
    found: Batch = batch
    return found


def documents(lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield document
