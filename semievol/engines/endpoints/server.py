"""One server: a question put to it until it is answered, or until nothing more can be hoped for.

What a person has to mend (a refused key, an unknown model, an empty account) is a UserError and ends the run. Whatever
else goes wrong is tried again, after growing pauses or the one that the server asks for, until a deadline for all tries
together; then the question has no answer. The openai client itself does not retry: it knows no deadline. No message of
this module holds the key.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import openai

from semievol.endpoints import Endpoint, without_key
from semievol.engines.endpoints import requests, transport
from semievol.engines.endpoints.replies import Invalid, Said, read, reply_of
from semievol.engines.endpoints.requests import Abilities
from semievol.errors import UserError
from semievol.method.protocols import Ask, Called, Reply
from semievol.method.spending import Spent
from semievol.records import Cost

_SHOWN = 200
_MOST_REFUSALS = 8


@dataclass(frozen=True)
class Patience:
    """total: seconds for a question in all its tries. once: for one try. pause, longest: the first pause between two
    tries, and the longest; each is twice the one before, give or take half. tries: at most."""

    total: float = 120.0
    once: float = 60.0
    pause: float = 0.5
    longest: float = 20.0
    tries: int = 8


class Failed(Exception):
    """One try failed. reason: a clause. final: another try would not help. wait: seconds that the server asks for.
    lost: an answer may have been made and lost on the way, so that it may be charged. tokens: those that were."""

    def __init__(
        self,
        reason: str,
        final: bool = False,
        wait: float | None = None,
        lost: bool = False,
        tokens: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.final, self.wait, self.lost, self.tokens = reason, final, wait, lost, tokens


class _Refused(Exception):
    """The server refuses the request itself. words: what it said."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@dataclass
class _Bill:
    """What the tries of one question took."""

    endpoint: Endpoint
    spent: Spent = field(default_factory=Spent)

    def add(self, tokens: tuple[int, int] | None, answered: bool = False) -> None:
        read_, written = tokens or (0, 0)
        cost = self.endpoint.cost(read_, written)
        self.spent += Spent(int(answered), 1, read_, written, cost)


class Server:
    """An endpoint's server. Used within one event loop.

    key: as the environment has it. patience: how long a question may take. tuned: whether its model was fine-tuned
    there.
    """

    def __init__(self, endpoint: Endpoint, key: str, patience: Patience | None = None, tuned: bool = False) -> None:
        self.endpoint, self.patience = endpoint, patience or Patience()
        self.can = Abilities()
        self.room = asyncio.Semaphore(endpoint.concurrency)
        self.key, self.tuned = key, tuned
        self._first, self._tried = asyncio.Lock(), False
        self._not_before = 0.0
        self._client = transport.openai_client(endpoint, key, transport.client(endpoint, key))

    async def close(self) -> None:
        await self._client.close()

    def most(self, ask: Ask) -> float:
        """The most that one more request for this ask can cost."""
        return self.endpoint.cost(*requests.most_tokens(ask))

    async def answer(self, ask: Ask, may_spend: Callable[[float], bool], stopping: asyncio.Event) -> Called:
        """How the question ended; never raises for what another question may be spared.

        may_spend: asked before every further try whether it may cost so much. stopping: no further try where it is set.
        """
        async with self.room:
            async with self._first:  # the first question finds out what the server can; the others wait for that
                if not self._tried:
                    try:
                        return await self._answered(ask, may_spend, stopping)
                    finally:
                        self._tried = True
            return await self._answered(ask, may_spend, stopping)

    async def raw(self, sent: dict[str, Any]) -> str:
        """The text that one request brings as it is; empty where it fails."""
        try:
            return read(await self._sent(sent, self.patience.once), self.endpoint.model, self.key).text
        except (Failed, Invalid, _Refused):
            return ""

    async def _answered(self, ask: Ask, may_spend: Callable[[float], bool], stopping: asyncio.Event) -> Called:
        patience, bill = self.patience, _Bill(self.endpoint)
        deadline, pause, tries = time.monotonic() + patience.total, patience.pause, 0
        while True:
            tries += 1
            try:
                began = time.monotonic()
                said = await self._try(ask, min(patience.once, deadline - began))
                counted = self.counted(ask, said)
                if self._asks_anew(ask, said):
                    bill.add(counted)
                    continue
                bill.add(counted, answered=True)
                reply = replace(self.reply(ask, said), cost=Cost(1, time.monotonic() - began, *counted))
                return Called(ask, reply, self.endpoint.name, bill.spent)
            except Failed as failed:
                bill.add(failed.tokens or (requests.most_tokens(ask) if failed.lost else None))
                wait = pause * random.uniform(0.5, 1.5) if failed.wait is None else failed.wait
                wait = max(wait, self._not_before - time.monotonic())
                given_up = failed.final or tries >= patience.tries or time.monotonic() + wait >= deadline
                if given_up or stopping.is_set() or not may_spend(self.most(ask)):
                    return Called(ask, None, self.endpoint.name, bill.spent, failed.reason)
                if failed.wait is not None:  # it holds for all questions to this server
                    self._not_before = max(self._not_before, time.monotonic() + wait)
                pause = min(2 * pause, patience.longest)
                await _pause(wait, stopping)

    async def _try(self, ask: Ask, seconds: float) -> Said:
        """One request, or several where the server refuses a parameter and the question is put without it."""
        for _ in range(_MOST_REFUSALS):
            sent = requests.body(ask, self.endpoint.model, self.can)
            try:
                return read(await self._sent(sent, max(seconds, 0.01)), self.endpoint.model, self.key)
            except _Refused as refused:
                if not self.can.refused(refused.words, sent):
                    raise Failed(f"the server refuses the question ({refused.words})", final=True) from None
            except Invalid as problem:
                raise Failed(problem.reason, problem.final, lost=True, tokens=problem.tokens) from None
        raise Failed("the server refuses every form of the question", final=True)

    async def _sent(self, sent: dict[str, Any], seconds: float) -> bytes:
        """The bytes of the reply. Raises _Refused where the request is wrong, Failed for what may pass, UserError for
        what a person has to mend. These are raised outside of the handlers, as the client's own errors hold all that
        the server said, and would go along."""
        failure: Exception
        try:
            async with asyncio.timeout(seconds):
                reply = await self._client.chat.completions.with_raw_response.create(**sent)
                return reply.http_response.content
        except openai.APIStatusError as problem:
            failure = self.of_status(problem)
        except (TimeoutError, openai.APITimeoutError):
            failure = Failed("no reply in time", lost=True)
        except openai.APIConnectionError as problem:
            refused = isinstance(problem.__cause__, httpx2.ConnectError)
            failure = Failed("the server cannot be reached" if refused else "the connection broke", lost=not refused)
        except transport.TooLarge:
            failure = Failed("the reply is larger than any answer", lost=True)
        except (httpx2.HTTPError, httpx2.InvalidURL, openai.OpenAIError) as problem:
            failure = Failed(f"the request failed ({type(problem).__name__})", lost=True)
        raise failure

    def of_status(self, problem: openai.APIStatusError) -> Exception:
        """What a reply with an error status means; a UserError where every other question would be refused as well."""
        status, where = problem.status_code, f"endpoint {self.endpoint.name}"
        said = self._words(problem)
        if status in (401, 403):
            held = f"in {self.endpoint.key_variable}" if self.endpoint.key_variable else "(none was sent)"
            return UserError(
                f"The server refuses the key {held} (HTTP {status}: {said}).",
                where,
                "Correct the variable where the Studio is started, start it again, then resume.",
            )
        if status == 404:
            new = "A model that was fine-tuned a moment ago may not be there yet: resume the run in some minutes."
            return UserError(
                f'The server has no model "{self.endpoint.model}" at this URL (HTTP 404: {said}).',
                where,
                new if self.tuned else "Test the endpoint on the Settings page, and correct its URL or its model.",
            )
        if 300 <= status < 400:
            return UserError(
                f"The server sends elsewhere (HTTP {status}), where the key must not go.",
                where,
                "Give the final URL on the Settings page.",
            )
        if status == 402 or "insufficient_quota" in said:
            return UserError(
                f"The account at the server is used up (HTTP {status}: {said}).", where, "Top it up, then resume."
            )
        if status in (400, 422):
            return _Refused(said)
        passing = status >= 500 or status in (408, 409, 425, 429)
        return Failed(f"HTTP {status}", final=not passing, wait=_wanted_wait(problem.response))

    def _words(self, problem: openai.APIStatusError) -> str:
        """What the server said, without the key and not longer than a line."""
        body = problem.body
        found = body.get("message") or body.get("detail") or body.get("error") if isinstance(body, dict) else body
        code = body.get("code") if isinstance(body, dict) else None
        words = " ".join(str(found or "").split())
        words = f"{code}: {words}" if code and str(code) not in words else words
        return without_key(words, self.key)[:_SHOWN] or "no explanation"

    def counted(self, ask: Ask, said: Said) -> tuple[int, int]:
        """Tokens of question and answer, as the server counts them, else about as many as they have."""
        if said.input_tokens is not None and said.output_tokens is not None:
            return said.input_tokens, said.output_tokens
        read_ = requests.likely_tokens([turn.content for turn in ask.messages])
        return read_, len(said.tokens) or requests.likely_tokens([said.text])

    def _asks_anew(self, ask: Ask, said: Said) -> bool:
        """Whether the first reply showed that the server gives no log-probabilities, and that the question was
        therefore put in the wrong way: at temperature 0, though the server has to draw."""
        known, self.can.sure = self.can.sure or not self.can.top, True
        if known or (said.tokens and (not ask.allowed or all(token.top for token in said.tokens))):
            return False
        self.can.top = 0
        return bool(ask.allowed and ask.temperature)

    def reply(self, ask: Ask, said: Said) -> Reply:
        """What the method gets of this reply; no log-probabilities of a server that was not asked for them."""
        return reply_of(ask, said if self.can.top or not ask.allowed else replace(said, tokens=()))


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    """Waits, but not longer than until somebody asks to stop."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await stopping.wait()
    except TimeoutError:
        pass


def _wanted_wait(response: httpx2.Response) -> float | None:
    """Seconds that `Retry-After` asks for; None where it is missing or a date."""
    try:
        return max(0.0, float(response.headers.get("retry-after", "")))
    except ValueError:
        return None
