"""Fine-tuning at a server: examples are handed over as a file, a job is followed, and a model comes out of it.

In the form of OpenAI's fine-tuning API (https://platform.openai.com/docs/api-reference/fine-tuning), which other
providers offer, too. What was handed over is noted in a file of the run before a job is begun. So a run that was
stopped or killed and then resumed finds its job, also by the training file alone, and begins no second one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from semievol.engines.endpoints import transport
from semievol.engines.endpoints.errands import LARGEST, Runner
from semievol.engines.endpoints.server import Server
from semievol.engines.endpoints.shop import JOB, Events, Shop, status, whole
from semievol.engines.endpoints.work import NOTE, Note, Work
from semievol.errors import UserError
from semievol.method.protocols import Listener
from semievol.method.spending import Spent


class Tuned(NamedTuple):
    """How a fine-tuning ended. model: the server's name of it; empty where there is none. spent: what the books do not
    have yet. problem: why there is no model. over: the job will never have one, so a resumed run begins another."""

    model: str
    spent: Spent
    problem: UserError | None = None
    over: bool = False


async def tuned(
    server: Server,
    work: Work,
    place: Path,
    allow: Callable[[float], bool],
    listener: Listener,
) -> Tuned | float:
    """How the fine-tuning ended, or the most that it could cost where the budget does not allow that.

    place: folder for the note. allow: asked once, before a job is begun, whether it may cost so much.
    Raises Stopped when somebody asks to stop; the job then goes on. Raises UserError where the server has no such jobs
    or refuses this one.
    """
    file = place / NOTE
    note = Note.read(file, work.fingerprint(server.endpoint))
    if note.model:
        return Tuned(note.model, _left(server, note, note.tokens))
    async with transport.client(server.endpoint, server.key, LARGEST) as http:
        client = transport.openai_client(server.endpoint, server.key, http)
        shop = Shop(Runner(server, client, listener.stopping, listener.said, JOB))
        job = await shop.known(note)
        most = server.endpoint.training_cost(work.most_tokens())
        if not allow(most) and job is None:
            return most
        if job is None:
            if note.job:  # it is gone, and so may its files be
                note = Note(note.fingerprint)
            if not note.file:
                note.file = await shop.uploaded("training.jsonl", work.examples)
                note.validation = await shop.uploaded("held-out.jsonl", work.held_out) if work.held_out else ""
            note.begun = True
            note.save(file)
            try:
                job = await shop.begun(note, work)
            finally:
                note.save(file)
            name, number = shop.runner.word(job.id), len(work.examples)
            listener.said(f"Handed over to {server.endpoint.name} as the fine-tuning job {name}: {number:,} examples.")
        note.job = job.id
        note.save(file)
        events = Events(shop.runner, listener, note.told)
        try:
            job = await shop.ended(job, events)
        finally:
            note.told = events.told
            note.save(file)
        tokens = whole(job.trained_tokens)
        if problem := shop.without_model(job):
            return Tuned("", _left(server, note, tokens or 0), problem, over=status(job) != "succeeded")
        note.model, note.tokens = str(job.fine_tuned_model), work.likely_tokens() if tokens is None else tokens
        note.save(file)
    return Tuned(note.model, _left(server, note, note.tokens))


def counted(place: Path, over: bool) -> None:
    """Notes that the run's books have what the fine-tuning in this folder took. Killed before this and after they were
    saved, a run counts it twice. over: as in `Tuned`."""
    file = place / NOTE
    if over:
        file.unlink()
        return
    note = Note.there(file)
    note.counted = True
    note.save(file)


async def served(server: Server, model: str, listener: Listener) -> None:
    """Waits until a new model is there for questions; see `Shop.served`."""
    async with transport.client(server.endpoint, server.key) as http:
        client = transport.openai_client(server.endpoint, server.key, http)
        await Shop(Runner(server, client, listener.stopping, listener.said, JOB)).served(model)


def _left(server: Server, note: Note, tokens: int) -> Spent:
    """What a job took that the books do not have."""
    if note.counted:
        return Spent()
    return Spent(trained_tokens=tokens, cost=server.endpoint.training_cost(tokens))
