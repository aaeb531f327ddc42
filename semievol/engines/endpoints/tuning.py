"""Fine-tuning at a server: examples are handed over as a file, a job is followed, and a model comes out of it.

In the form of OpenAI's fine-tuning API (https://platform.openai.com/docs/api-reference/fine-tuning), which other
providers offer, too. What was handed over is noted in a file of the run before a job is begun. So a run that was
stopped or killed finds its job by the training file, and no job is begun, or paid for, twice.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import openai
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from semievol.endpoints import Endpoint
from semievol.engines.endpoints import requests, transport
from semievol.engines.endpoints.errands import LARGEST, Errand, Gone, Runner
from semievol.engines.endpoints.server import Server
from semievol.errors import UserError
from semievol.method.spending import Spent
from semievol.records import Example

NOTE = "job.json"
"""The file in the folder of the training that notes what was handed over."""
_SUFFIX = "semievol"
_ENDED = ("succeeded", "failed", "cancelled")
_LISTED = 300
_EVENTS = 5_000
_TOLD = 20
"""Messages of a job that are told at most."""
_POLL = (2.0, 30.0)
"""Seconds between two looks at the job, the first and the longest."""
_AWAY_SECONDS = 3600.0
_METRICS = {"train_loss": "loss", "valid_loss": "held_out_loss"}
"""What a server calls a number -> what it is called here."""
_OPTIONAL = ("metadata", "suffix", "seed", "method")
_JOB = Errand(
    what="fine-tuning job",
    several="fine-tuning jobs",
    later="Resume the run later; the job is found again.",
    never="Choose a model that is fine-tuned on this machine.",
    large="Use fewer examples.",
    goes_on="The fine-tuning goes on at the server. Resume the run to take its model.",
)


@dataclass(frozen=True)
class Work:
    """What a job is to do. model: the server's name of the model that it starts from. epochs: whole ones."""

    model: str
    examples: Sequence[Example]
    held_out: Sequence[Example]
    epochs: int
    seed: int

    def fingerprint(self, endpoint: Endpoint) -> str:
        """SHA-256 over everything that the model depends on; a job with another one is never taken."""
        turns = [
            [[[m.role, m.content] for m in one.messages] + [one.answer] for one in part]
            for part in (self.examples, self.held_out)
        ]
        parts = [endpoint.url, self.model, turns, self.epochs, self.seed]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def most_tokens(self) -> int:
        """The most that the job can read in all epochs: a token is at least one byte of the text."""
        return self.epochs * sum(
            len(text.encode("utf-8", "replace")) + requests.OVERHEAD
            for one in self.examples
            for text in (*(turn.content for turn in one.messages), one.answer)
        )


@dataclass
class _Note:
    """What was handed over. file, validation: of the examples. begun: whether a job was asked for. model: of the job
    that has ended."""

    fingerprint: str
    file: str = ""
    validation: str = ""
    begun: bool = False
    job: str = ""
    model: str = ""
    trained_tokens: int | None = None

    @classmethod
    def read(cls, place: Path, fingerprint: str) -> _Note:
        """The note of this work; an empty one where there is none, or one of other work."""
        try:
            found = cls(**json.loads(place.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return cls(fingerprint)
        return found if found.fingerprint == fingerprint else cls(fingerprint)

    def save(self, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self)), "utf-8")
        temporary.replace(place)


async def tuned(
    server: Server,
    work: Work,
    place: Path,
    allow: Callable[[float], bool],
    metric: Callable[[str, int, float], None],
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
    said: Callable[[str], None],
) -> tuple[str, Spent] | None:
    """The server's name of the fine-tuned model, and what it took; nothing where that is known already. None where the
    budget does not allow it.

    place: folder for the note. allow: asked once, before a job is begun, whether it may cost so much. metric, progress:
    are told the numbers that the server gives. said: is told in sentences how it goes.
    Raises Stopped when `stopping()` is true; the job then goes on. Raises UserError where the server has no such jobs,
    refuses this one, or ended it without a model.
    """
    file = place / NOTE
    note = _Note.read(file, work.fingerprint(server.endpoint))
    if note.model:
        return note.model, Spent()
    async with transport.client(server.endpoint, server.key, LARGEST) as http:
        client = transport.openai_client(server.endpoint, server.key, http)
        counter = _Counter(Runner(server, client, stopping, said, _JOB))
        job = await counter.known(note)
        most = server.endpoint.training_cost(work.most_tokens())
        if not allow(most) and job is None:
            return None
        if job is None:
            if not note.file:
                note.file = await counter.uploaded("training.jsonl", work.examples)
                note.validation = await counter.uploaded("held-out.jsonl", work.held_out) if work.held_out else ""
            note.begun = True
            note.save(file)
            job = await counter.begun(note, work)
            name, count = counter.runner.word(job.id), len(work.examples)
            said(f"Handed over to {server.endpoint.name} as the fine-tuning job {name}: {count:,} examples.")
        note.job = job.id
        note.save(file)
        job = await counter.ended(job, metric, progress)
    model, tokens = job.fine_tuned_model, job.trained_tokens
    if job.status != "succeeded" or not isinstance(model, str) or not model.strip():
        file.unlink(missing_ok=True)  # a resumed run begins another job
        raise counter.no_model(job)
    note.model = model
    note.trained_tokens = tokens if isinstance(tokens, int) and tokens >= 0 else None
    note.save(file)
    counted = work.epochs * _likely(work.examples) if note.trained_tokens is None else note.trained_tokens
    return model, Spent(trained_tokens=counted, cost=server.endpoint.training_cost(counted))


class _Counter:
    """The part of a server that fine-tunes."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._jobs = runner.client.fine_tuning.jobs

    async def known(self, note: _Note) -> FineTuningJob | None:
        """The job that was begun with the noted file, if there is one."""
        if note.job:
            try:
                return await self._looked(note.job)
            except Gone:
                return None
        if not note.begun:
            return None

        async def listed() -> list[Any]:
            seen: list[Any] = []
            async for job in self._jobs.list(limit=100):
                seen.append(job)
                if len(seen) >= _LISTED:
                    break
            return seen

        mine = [one for one in await self.runner.patiently(listed, offered=True) if _is_job(one)]
        return next((one for one in mine if one.training_file == note.file and one.status not in _ENDED[1:]), None)

    async def uploaded(self, name: str, examples: Sequence[Example]) -> str:
        """The server's name of a file with these examples."""
        content = "".join(f"{json.dumps(_line(one), ensure_ascii=False)}\n" for one in examples).encode()

        async def sent() -> str:
            file = await self.runner.client.files.create(file=(name, content), purpose="fine-tune")
            if not isinstance(file.id, str) or not file.id:
                raise ValueError("no file")
            return file.id

        return await self.runner.patiently(sent, offered=True, big=True)

    async def begun(self, note: _Note, work: Work) -> FineTuningJob:
        """A new job; where the reply to the request is lost, the job that it made."""
        asked: dict[str, Any] = {
            "model": work.model,
            "training_file": note.file,
            "suffix": _SUFFIX,
            "seed": work.seed % 2**31,
            "metadata": {_SUFFIX: note.fingerprint},
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": work.epochs}}},
        }
        if note.validation:
            asked["validation_file"] = note.validation
        tried = False

        async def there_or_new() -> FineTuningJob:
            nonlocal tried
            if tried and (found := await self.known(note)) is not None:
                return found
            tried = True
            while True:
                try:
                    return _checked(await self._jobs.create(**asked))
                except (openai.BadRequestError, openai.UnprocessableEntityError) as problem:
                    refused = next((name for name in _OPTIONAL if name in asked and name in str(problem)), None)
                    if refused is None:
                        raise
                    del asked[refused]
                    if refused == "method":  # its older form
                        asked["hyperparameters"] = {"n_epochs": work.epochs}

        return await self.runner.patiently(there_or_new, offered=True)

    async def ended(
        self, job: FineTuningJob, metric: Callable[[str, int, float], None], progress: Callable[[int, int], None]
    ) -> FineTuningJob:
        """The job once it has ended; its numbers and words are told as they come."""
        events, pause = _Events(self.runner, metric, progress), _POLL[0]
        while job.status not in _ENDED:
            await self.runner.pause(pause)
            pause = min(2 * pause, _POLL[1])
            events.take(await self._events(job.id))
            try:
                job = await self._looked(job.id)
            except Gone:
                words = "The server no longer has the fine-tuning job."
                raise UserError(words, self.runner.where, "Resume the run: it begins another one.") from None
        events.take(await self._events(job.id))
        return job

    def no_model(self, job: FineTuningJob) -> UserError:
        """Why a job has ended without a model."""
        if job.status == "cancelled":
            words = "The fine-tuning job was cancelled at the server."
        else:
            why = self.runner.word(getattr(job.error, "message", None) or "no explanation").rstrip(".")
            words = f"The fine-tuning job failed at the server ({why})."
        return UserError(words, self.runner.where, "Correct what it names, then resume the run: it begins another job.")

    async def _looked(self, name: str) -> FineTuningJob:
        async def look() -> FineTuningJob:
            return _checked(await self._jobs.retrieve(name))

        return await self.runner.patiently(look, away=_AWAY_SECONDS)

    async def _events(self, name: str) -> list[Any]:
        """The job's events, the oldest first; none where the server lists none."""

        async def listed() -> list[Any]:
            seen: list[Any] = []
            try:
                async for event in self._jobs.list_events(name, limit=100):
                    seen.append(event)
                    if len(seen) >= _EVENTS:
                        break
            except openai.NotFoundError:
                return []
            return seen[::-1]

        return await self.runner.patiently(listed, away=_AWAY_SECONDS)


class _Events:
    """Tells a job's events, each once."""

    def __init__(
        self, runner: Runner, metric: Callable[[str, int, float], None], progress: Callable[[int, int], None]
    ) -> None:
        self._runner, self._metric, self._progress = runner, metric, progress
        self._seen: set[str] = set()
        self._told = 0

    def take(self, events: Sequence[Any]) -> None:
        for event in events:
            if isinstance(event, FineTuningJobEvent) and isinstance(event.id, str) and event.id not in self._seen:
                self._seen.add(event.id)
                if isinstance(event.data, Mapping) and event.type == "metrics":
                    self._numbers(event.data)
                elif self._told < _TOLD and event.message:
                    self._told += 1
                    self._runner.said(f"The server says: {self._runner.word(event.message)}")

    def _numbers(self, data: Mapping[str, Any]) -> None:
        step, total = data.get("step"), data.get("total_steps")
        if not isinstance(step, int) or isinstance(step, bool) or step < 0:
            return
        for theirs, ours in _METRICS.items():
            value = data.get(theirs)
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                self._metric(ours, step, float(value))
        if isinstance(total, int) and 0 < step < total:  # a stage that reaches its total counts as done
            self._progress(step, total)


def _line(example: Example) -> dict[str, Any]:
    """An example in the chat form, as the export of training data has it."""
    turns = [{"role": turn.role, "content": turn.content} for turn in example.messages]
    return {"messages": [*turns, {"role": "assistant", "content": example.answer}]}


def _likely(examples: Sequence[Example]) -> int:
    """Tokens of the examples, where nobody counts."""
    return sum(requests.likely_tokens([*(turn.content for turn in one.messages), one.answer]) for one in examples)


def _is_job(job: Any) -> bool:
    """Whether what a server sent is a job that can be named."""
    return isinstance(job, FineTuningJob) and all(isinstance(one, str) and one for one in (job.id, job.status))


def _checked(job: Any) -> FineTuningJob:
    if not _is_job(job):
        raise ValueError("no job")
    found: FineTuningJob = job
    return found
