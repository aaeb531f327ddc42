"""What a server is asked to do over hours, such as a batch or a fine-tuning: calls that outlast its absences.

Knows neither batches nor fine-tuning; `desk` and `tuning` build on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx2
import openai

from semievol.endpoints import without_key
from semievol.engines.endpoints import transport
from semievol.engines.endpoints.server import Failed, Server
from semievol.errors import UserError
from semievol.method.protocols import Stopped

LARGEST = 512 * 2**20
"""Bytes of a file that a server hands out."""
_GLANCE_SECONDS = 0.3
_SHOWN = 200
Result = TypeVar("Result")


class Gone(Exception):
    """The server no longer has this file, batch or job."""


@dataclass(frozen=True)
class Errand:
    """The words for one kind of errand. what, several: in the singular and the plural. later: what to do where the
    server cannot be asked. never: what to do where it offers none. large: what to do where a file is too large.
    goes_on: what is said when somebody stops."""

    what: str
    several: str
    later: str
    never: str
    large: str
    goes_on: str


class Runner:
    """Calls a server on an errand. stopping: whether somebody asks to stop. said: is told in sentences how it goes."""

    def __init__(
        self,
        server: Server,
        client: openai.AsyncOpenAI,
        stopping: Callable[[], bool],
        said: Callable[[str], None],
        errand: Errand,
    ) -> None:
        self.server, self.client, self.said, self.errand = server, client, said, errand
        self._stopping = stopping
        self.where = f"endpoint {server.endpoint.name}"

    def word(self, text: object) -> str:
        """What the server says, without the key, in a line."""
        return without_key(" ".join(str(text).split()), self.server.key)[:_SHOWN]

    async def pause(self, seconds: float, goes_on: str = "") -> None:
        """Waits. Raises Stopped when somebody asks to stop; what was handed over goes on. goes_on: what is said then,
        where it is not what the errand says."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._stopping():
                self.said(goes_on or self.errand.goes_on)
                raise Stopped
            await asyncio.sleep(min(_GLANCE_SECONDS, seconds))

    async def once(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """The result of a call that is not tried again; raises what it raises, and TimeoutError."""
        async with asyncio.timeout(self.server.patience.once):
            return await call()

    async def patiently(
        self, call: Callable[[], Awaitable[Result]], offered: bool = False, big: bool = False, away: float = 0.0
    ) -> Result:
        """The result of a call, which is tried again for as long as what is wrong may pass.

        offered: a status 404 means that the server has no such thing; else that this one is gone, which raises `Gone`.
        big: a file, which takes as long as it comes in. away: seconds that the server may be away, where that is more
        than for a question. Raises UserError for what does not pass.
        """
        patience = self.server.patience
        deadline, pause = time.monotonic() + max(patience.total, away), patience.pause
        while True:
            failure: Exception
            try:
                async with asyncio.timeout(None if big else patience.once):
                    return await call()
            except openai.APIStatusError as problem:
                if problem.status_code not in (404, 405, 501):
                    failure = self.server.of_status(problem)
                elif offered:
                    words = f"The server offers no {self.errand.several} (HTTP {problem.status_code})."
                    failure = UserError(words, self.where, self.errand.never)
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
                    failure = UserError(words, self.where, self.errand.large)
            if isinstance(failure, UserError | Gone):
                raise failure
            wait = failure.wait if isinstance(failure, Failed) and failure.wait is not None else pause
            if not isinstance(failure, Failed) or failure.final or time.monotonic() + wait > deadline:
                words = f"The server cannot be asked about the {self.errand.what}: {failure}."
                raise UserError(words, self.where, self.errand.later)
            await self.pause(wait)
            pause = min(2 * pause, patience.longest)
