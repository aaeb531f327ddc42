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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from openai.types import Batch

from semievol.endpoints import tuned_of, without_key
from semievol.engines.endpoints import requests, transport
from semievol.engines.endpoints.desk import OVER, Desk, documents
from semievol.engines.endpoints.errands import LARGEST
from semievol.engines.endpoints.replies import Invalid, read
from semievol.engines.endpoints.server import Server
from semievol.errors import UserError
from semievol.method.protocols import Ask, Called, Stopped
from semievol.method.spending import Spent
from semievol.records import Cost
from semievol.wording import plural

MOST = 2_000
"""Questions of a batch. Servers take more, but what is lost with a batch grows with it."""
_OF_A_TOKEN = 1_700
"""Bytes of a reply for each token, with twenty alternatives."""
_SHOWN = 200
_TRIED_ALONE = 5
Allow = Callable[[Ask, float], bool]


def full(asks: Sequence[Ask]) -> bool:
    """Whether no further question fits: by their number, and by the size of the replies."""
    return len(asks) >= MOST or sum(ask.max_tokens for ask in asks) * _OF_A_TOKEN > LARGEST // 2


async def put(
    server: Server,
    asks: Sequence[Ask],
    allow: Allow,
    came: Callable[[Iterable[Called]], None],
    stopping: Callable[[], bool],
    said: Callable[[str], None],
) -> None:
    """Puts the questions, and waits until each has ended.

    allow: asked whether one more try of a question may cost so much. came: is given how questions ended, each once, as
    soon as that is known. said: is told in sentences how far the batch is.
    Raises Stopped when `stopping()` is true; the batch then goes on at the server, and the same questions find it.
    Raises UserError where the server takes no batch, or answers no question.
    """
    left = {_name(ask): ask for ask in asks}

    def ended(found: Mapping[str, Called]) -> None:
        came([called for name, called in found.items() if left.pop(name, None) is not None])

    async with transport.client(server.endpoint, server.key, LARGEST) as http:
        desk = Desk(server, transport.openai_client(server.endpoint, server.key, http), stopping, said)
        awaited: list[Batch] = []
        there: set[str] = set()
        for batch in await desk.young():
            mine = set(await desk.names(batch)) & left.keys() - there
            if mine and batch.status in OVER:
                found = _read(server, left, await desk.lines(batch))
                ended({name: called for name, called in found.items() if name in mine and called.reply is not None})
            elif mine:
                awaited.append(batch)
                there |= mine
                said(f"Already in the batch {desk.word(batch.id)}: {plural(len(mine), 'question')}.")
        await _try_alone(server, {name: ask for name, ask in left.items() if name not in there}, allow, ended, stopping)
        if rest := {name: ask for name, ask in left.items() if name not in there}:
            batch = await desk.begun(_file(server, rest))
            awaited.append(batch)
            name = desk.word(batch.id)
            said(f"Handed over to {server.endpoint.name} as the batch {name}: {plural(len(rest), 'question')}.")
        for batch in awaited:
            ended(_read(server, left, await desk.lines(await desk.ended(batch))))
    lost = Called(asks[0], None, server.endpoint.name, Spent(), "the batch ended without it")
    ended({name: lost._replace(ask=ask) for name, ask in left.items()})


def _name(ask: Ask) -> str:
    """Names a question within all batches. It does not depend on what the server turned out to understand. Two models
    that were fine-tuned at one server are told apart, though both are the warm-up of some round."""
    tuned = [tuned_of(ask.model)] if tuned_of(ask.model) else []
    parts = json.dumps([ask.record_id, ask.collaborator, ask.input_hash, *tuned])
    return hashlib.sha256(parts.encode()).hexdigest()[:40]


def _file(server: Server, named: Mapping[str, Ask]) -> bytes:
    def line(name: str, ask: Ask) -> str:
        body = requests.body(ask, server.endpoint.model, server.can)
        return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body})

    return "".join(f"{line(name, ask)}\n" for name, ask in named.items()).encode()


async def _try_alone(
    server: Server,
    named: Mapping[str, Ask],
    allow: Allow,
    ended: Callable[[Mapping[str, Called]], None],
    stopping: Callable[[], bool],
) -> None:
    """Puts the first question alone, which shows what the server can do; where it is not answered, the next."""
    for number, (name, ask) in enumerate(named.items(), 1):
        if server.can.sure:
            return
        if stopping():
            raise Stopped
        called = await server.answer(ask, lambda cost, ask=ask: allow(ask, cost), asyncio.Event())  # type: ignore[misc]
        ended({name: called})
        if called.reply is not None:
            return
        if number >= _TRIED_ALONE:
            raise UserError(
                f"The server answered none of the first {number} questions; the last time: {called.reason}.",
                f"endpoint {server.endpoint.name}",
                "Test the endpoint on the Settings page, then resume the run.",
            )


def _read(server: Server, named: Mapping[str, Ask], lines: Sequence[bytes]) -> dict[str, Called]:
    """Name -> how a question ended, of those that the lines speak of. The first answer counts; nothing is guessed."""
    found: dict[str, Called] = {}
    for document in documents(lines):
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
