"""Finds out whether a server is there, and what it can do, by some short questions."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import httpx2

from semievol.endpoints import Endpoint
from semievol.engines.endpoints import requests, transport
from semievol.engines.endpoints.server import Patience, Server
from semievol.errors import UserError
from semievol.method.protocols import Ask
from semievol.records import Message

REACH_SECONDS = 5.0
_SHOWN_MODELS = 200
_QUESTION = "Which of these is a fruit?\nOptions:\nA. chair\nB. apple\nC. river\nAnswer with the letter only."
_ASK = Ask("trial", "trial", "endpoint", (Message("user", _QUESTION),), ("A", "B", "C"), max_tokens=16)
_PATIENCE = Patience(total=40.0, once=30.0, tries=2)


@dataclass(frozen=True)
class Trial:
    """What a server can do. text: what it answered. top: how many most probable tokens it lists, 0 without
    log-probabilities. constrained: whether it keeps to a JSON schema. models: those that it lists, empty where it lists
    none. seconds: for an answer. batches, jobs: whether it takes batches and fine-tunes. problem: why there was no
    answer."""

    text: str = ""
    top: int = 0
    constrained: bool = False
    models: tuple[str, ...] = ()
    seconds: float = 0.0
    batches: bool = False
    jobs: bool = False
    problem: str = ""


def reach(endpoint: Endpoint, key: str) -> None:
    """Raises UserError where the server cannot be reached, or refuses the key."""
    status, _ = asyncio.run(_listed(endpoint, key))
    if status in (401, 403):
        held = f"the key in {endpoint.key_variable}" if endpoint.key_variable else "a question without a key"
        raise UserError(
            f"The server refuses {held} (HTTP {status}).",
            f"endpoint {endpoint.name}",
            "Correct the variable where the Studio is started, and start it again.",
        )


def tried(endpoint: Endpoint, key: str) -> Trial:
    """Tries the server out. Raises UserError where it cannot be used."""
    return asyncio.run(_tried(endpoint, key))


async def _tried(endpoint: Endpoint, key: str) -> Trial:
    _, models = await _listed(endpoint, key)
    server = Server(endpoint, key, _PATIENCE)
    try:
        began = time.monotonic()
        called = await server.answer(_ASK, lambda cost: True, asyncio.Event())
        seconds = time.monotonic() - began
        if called.reply is None:
            return Trial(models=models, seconds=seconds, problem=called.reason)
        top = server.can.top if called.reply.probabilities or called.reply.token_logprobs else 0
        server.can.top = 0
        constrained = server.can.constrained and await _keeps_to_schema(server)
        batches, jobs = [await _lists(endpoint, key, what) for what in ("batches", "fine_tuning/jobs")]
        return Trial(called.reply.text, top, constrained, models, seconds, batches, jobs)
    finally:
        await server.close()


async def _keeps_to_schema(server: Server) -> bool:
    """Whether the raw reply to a constrained request is JSON with an allowed answer."""
    sent = requests.body(_ASK, server.endpoint.model, server.can)
    text = await server.raw(sent)
    try:
        found: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("answer") in _ASK.allowed


async def _lists(endpoint: Endpoint, key: str, what: str) -> bool:
    """Whether the server has a list of these."""
    try:
        async with asyncio.timeout(REACH_SECONDS), transport.client(endpoint, key) as client:
            reply = await client.get(f"{endpoint.url.rstrip('/')}/{what}?limit=1")
        return reply.status_code == 200 and isinstance(reply.json()["data"], list)
    except (httpx2.HTTPError, TimeoutError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


async def _listed(endpoint: Endpoint, key: str) -> tuple[int, tuple[str, ...]]:
    """HTTP status of the list of models, and the models; no models where the server gives no such list."""
    base = endpoint.url.rstrip("/")
    try:
        async with asyncio.timeout(REACH_SECONDS), transport.client(endpoint, key) as client:
            reply = await client.get(f"{base}/models")
    except (httpx2.HTTPError, TimeoutError, OSError) as problem:
        raise UserError(
            f"The server at {endpoint.origin} cannot be reached ({type(problem).__name__}).",
            f"endpoint {endpoint.name}",
            "Start the server, or correct the URL on the Settings page.",
        ) from None
    try:
        listed = reply.json()["data"]
        models = tuple(str(one["id"])[:200] for one in listed[:_SHOWN_MODELS])
    except (ValueError, KeyError, TypeError, RecursionError):
        models = ()
    return reply.status_code, models
