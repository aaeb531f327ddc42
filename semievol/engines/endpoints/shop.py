"""The part of a server that fine-tunes: it takes files and jobs, tells how a job goes, and names the model.

Knows nothing of money, nor of what is to be done with the model.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import openai
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from semievol.engines.endpoints.errands import Errand, Gone, Runner
from semievol.engines.endpoints.work import Note, Work
from semievol.errors import UserError
from semievol.method.protocols import Listener
from semievol.records import Example

_SUFFIX = "semievol"
_STATUSES = {"completed": "succeeded", "success": "succeeded", "error": "failed", "canceled": "cancelled"}
"""Other servers' words for the statuses of OpenAI."""
_ENDED = ("succeeded", "failed", "cancelled")
_LISTED = 300
_EVENTS = 5_000
_TOLD = 20
"""Messages of a job that are told at most, beside the last one."""
_POLL = (2.0, 30.0)
"""Seconds between two looks at the job, the first and the longest."""
_AWAY_SECONDS = 3600.0
_NAMELESS_SECONDS = 120.0
"""How long a job that has succeeded may take to name its model."""
_NEW_SECONDS = 600.0
"""How long a new model may take to be there for questions."""
_LONGEST_NAME = 200
_LARGEST = 10**15
"""Larger numbers of a server are none."""
_METRICS = {"train_loss": "loss", "valid_loss": "held_out_loss"}
"""What a server calls a number -> what it is called here."""
_OPTIONAL = ("metadata", "suffix", "seed", "method")
JOB = Errand(
    what="fine-tuning job",
    several="fine-tuning jobs",
    later="Resume the run later; the job is found again.",
    never="Choose a model that is fine-tuned on this machine.",
    large="Use fewer examples.",
    goes_on="The fine-tuning goes on at the server. Resume the run to take its model.",
)


class Shop:
    """The part of a server that fine-tunes."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._jobs = runner.client.fine_tuning.jobs

    async def known(self, note: Note) -> FineTuningJob | None:
        """The job that was begun for this note, if there is one: by its name, its training file or its mark."""
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

        for job in await self.runner.patiently(listed, offered=True):
            if self._is_job(job) and status(job) not in _ENDED[1:]:
                mark = job.metadata.get(_SUFFIX) if isinstance(job.metadata, Mapping) else None
                if getattr(job, "training_file", None) == note.file or mark == note.mark:
                    found: FineTuningJob = job
                    return found
        return None

    async def uploaded(self, name: str, examples: Sequence[Example]) -> str:
        """The server's name of a file with these examples."""
        lines = "".join(f"{json.dumps(_line(one), ensure_ascii=False)}\n" for one in examples)
        content = lines.encode("utf-8", "replace")

        async def sent() -> str:
            file = await self.runner.client.files.create(file=(name, content), purpose="fine-tune")
            return self._name(file.id)

        return await self.runner.patiently(sent, offered=True, big=True)

    async def begun(self, note: Note, work: Work) -> FineTuningJob:
        """A new job; where the reply to the request is lost, the job that it made."""
        asked: dict[str, Any] = {
            "model": work.model,
            "training_file": note.file,
            "suffix": _SUFFIX,
            "seed": work.seed % 2**31,
            "metadata": {_SUFFIX: note.mark},
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
                    return self._checked(await self._jobs.create(**asked))
                except (openai.BadRequestError, openai.UnprocessableEntityError) as problem:
                    refused = next((name for name in _OPTIONAL if name in asked and name in str(problem)), None)
                    if refused is None:
                        note.file = note.validation = ""  # whatever is wrong: a file may be gone
                        note.begun = False
                        raise
                    del asked[refused]
                    if refused == "method":  # its older form
                        asked["hyperparameters"] = {"n_epochs": work.epochs}

        return await self.runner.patiently(there_or_new, offered=True)

    async def ended(self, job: FineTuningJob, events: Events) -> FineTuningJob:
        """The job once it has ended, with its model if it has made one; its events are told as they come."""
        pause, named_by, said = _POLL[0], math.inf, {"validating_files", "queued", "running", "pending", *_ENDED}
        while status(job) not in _ENDED or (
            status(job) == "succeeded" and not job.fine_tuned_model and time.monotonic() < named_by
        ):
            if status(job) == "succeeded":
                named_by = min(named_by, time.monotonic() + _NAMELESS_SECONDS)
            if status(job) not in said:
                said.add(status(job))
                self.runner.said(f"The server says of the job: {self.runner.word(status(job))}.")
            await self.runner.pause(pause)
            pause = min(2 * pause, _POLL[1])
            events.take(await self._events(job.id))
            try:
                job = await self._looked(job.id)
            except Gone:
                words = "The server no longer has the fine-tuning job."
                raise UserError(words, self.runner.where, "Resume the run: it begins another one.") from None
        events.take(await self._events(job.id), ended=True)
        return job

    def without_model(self, job: FineTuningJob) -> UserError | None:
        """Why a job has ended without a model that can be asked; None where it has one."""
        again = "Correct what it names, then resume the run: it begins another job."
        if status(job) == "cancelled":
            return UserError("The fine-tuning job was cancelled at the server.", self.runner.where, again)
        if status(job) == "failed":
            error = job.error if isinstance(job.error, str) else getattr(job.error, "message", None)
            why = self.runner.word(error or "no explanation").rstrip(".")
            return UserError(f"The fine-tuning job failed at the server ({why}).", self.runner.where, again)
        try:
            self._name(job.fine_tuned_model)
        except ValueError:
            words = "The fine-tuning job has ended, but the server gives its model no usable name."
            return UserError(words, self.runner.where, "Look the job up at the provider; Resume looks at it again.")
        return None

    async def served(self, model: str) -> None:
        """Waits until a new model is there for questions, where the server can be asked about that."""
        models, until, told = self.runner.client.models, time.monotonic() + _NEW_SECONDS, False
        try:
            await self.runner.once(lambda: models.retrieve(self.runner.server.endpoint.model))
            while time.monotonic() < until:
                try:
                    await self.runner.once(lambda: models.retrieve(model))
                    return
                except openai.NotFoundError:
                    if not told:
                        self.runner.said("The server does not answer as the new model yet. The run waits for it.")
                    told = True
                    await self.runner.pause(
                        _POLL[1] / 3, "Resume the run in some minutes: the new model is on its way."
                    )
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError, ValueError):
            return  # it is found out when the model is asked

    async def _looked(self, name: str) -> FineTuningJob:
        async def look() -> FineTuningJob:
            return self._checked(await self._jobs.retrieve(name))

        return await self.runner.patiently(look, away=_AWAY_SECONDS)

    async def _events(self, name: str) -> list[Any]:
        """The job's events, the oldest first; none where the server gives none just now: they are news only."""

        async def listed() -> list[Any]:
            seen: list[Any] = []
            async for event in self._jobs.list_events(name, limit=100):
                seen.append(event)
                if len(seen) >= _EVENTS:
                    break
            return seen[::-1]

        try:
            return await self.runner.once(listed)
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError, ValueError, AttributeError, TypeError):
            return []

    def _is_job(self, job: Any) -> bool:
        """Whether what a server sent is a job that can be named."""
        try:
            return isinstance(job, FineTuningJob) and isinstance(job.status, str) and bool(self._name(job.id))
        except ValueError:
            return False

    def _checked(self, job: Any) -> FineTuningJob:
        if not self._is_job(job):
            raise ValueError("no job")
        found: FineTuningJob = job
        return found

    def _name(self, name: Any) -> str:
        """A name that a server gave. Raises ValueError for one that is none, and for one that holds the key."""
        if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise ValueError("no name")
        if self.runner.word(name) != " ".join(name.split()):
            raise ValueError("a name with the key")
        return name


class Events:
    """Tells a job's events, each once. told: messages that were told before a resume."""

    def __init__(self, runner: Runner, listener: Listener, told: int) -> None:
        self._runner, self._listener = runner, listener
        self._seen: set[str] = set()
        self._before, self._messages = told, 0
        self._last = ""
        self.told = told

    def take(self, events: Sequence[Any], ended: bool = False) -> None:
        """ended: these are the last ones; the last message is then told, however many there were."""
        for event in events:
            if isinstance(event, FineTuningJobEvent) and isinstance(event.id, str) and event.id not in self._seen:
                self._seen.add(event.id)
                if isinstance(event.data, Mapping) and event.type == "metrics":
                    self._numbers(event.data)
                elif isinstance(event.message, str) and event.message.strip():
                    self._message(event.message)
        if ended and self._last:
            self._tell(self._last)

    def _message(self, message: str) -> None:
        self._messages += 1
        if self._messages <= self._before:
            return
        self._last = message
        if self.told < _TOLD:
            self._tell(message)

    def _tell(self, message: str) -> None:
        self._runner.said(f"The server says: {self._runner.word(message)}")
        self.told, self._last = self._messages, ""

    def _numbers(self, data: Mapping[str, Any]) -> None:
        step, total = whole(data.get("step")), whole(data.get("total_steps"))
        if step is None or step >= 2**31:
            return
        for theirs, ours in _METRICS.items():
            value = data.get(theirs)
            if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST:
                self._listener.metric(ours, step, float(value))
        if total is not None and 0 < step < total < 2**31:  # a stage that reaches its total counts as done
            self._listener.progress(step, total)


def status(job: FineTuningJob) -> str:
    """The job's status in OpenAI's words."""
    status = str(job.status).casefold()
    return _STATUSES.get(status, status)


def whole(number: Any) -> int | None:
    """A whole number from 0 that a server gave; None where it is none."""
    if isinstance(number, bool) or not isinstance(number, int):
        return None
    return number if 0 <= number <= _LARGEST else None


def _line(example: Example) -> dict[str, Any]:
    """An example in the chat form, as the export of training data has it."""
    turns = [{"role": turn.role, "content": turn.content} for turn in example.messages]
    return {"messages": [*turns, {"role": "assistant", "content": example.answer}]}
