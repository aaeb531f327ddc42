"""The part of a server that takes batches: which it has, a new one, its end, its files. Knows nothing of answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import openai
from openai.types import Batch

from semievol.engines.endpoints.errands import Errand, Gone, Runner
from semievol.engines.endpoints.server import Server
from semievol.errors import UserError

OVER = ("completed", "expired", "cancelled")
"""Statuses of a batch that has ended and may have answers."""
_MARK = "semievol"
_WINDOW = "24h"
_YOUNG_SECONDS = 48 * 3600.0
"""A batch of this age has ended, and its files may be gone."""
_LISTED = 300
_POLL = (1.0, 30.0)
"""Seconds between two looks at the batch, the first and the longest."""
_AWAY_SECONDS = 3600.0
"""How long a server may be away while its batch is waited for."""
_BATCH = Errand(
    what="batch",
    several="batches",
    later="Resume the run later; or turn the endpoint's batches off, and it asks the questions one by one.",
    never="Turn the endpoint's batches off, then resume the run.",
    large="Lower max_answer_tokens, or turn the endpoint's batches off.",
    goes_on="What was handed over goes on at the server. Resume the run to take its answers.",
)


class Desk(Runner):
    """The part of a server that takes batches."""

    def __init__(
        self, server: Server, client: openai.AsyncOpenAI, stopping: Callable[[], bool], said: Callable[[str], None]
    ) -> None:
        super().__init__(server, client, stopping, said, _BATCH)
        self._names: dict[str, list[str]] = {}

    async def young(self) -> list[Batch]:
        """The batches of ours that may hold answers, the newest first."""

        async def listed() -> list[Batch]:
            seen: list[Any] = []
            async for batch in self.client.batches.list(limit=100):
                seen.append(batch)
                if len(seen) >= _LISTED:
                    break
            return [one for one in seen if _is_batch(one)]

        after = time.time() - _YOUNG_SECONDS
        return [
            one
            for one in await self.patiently(listed, offered=True)
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
        file = await self.patiently(
            lambda: self.client.files.create(file=("questions.jsonl", content), purpose="batch"),
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
            made = await self.client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window=_WINDOW,
                metadata={_MARK: "questions"},
            )
            return _checked(made)

        return await self.patiently(there_or_new, offered=True)

    async def ended(self, batch: Batch) -> Batch:
        """The batch once the server has ended it."""
        pause, told, name = _POLL[0], 0, batch.id

        async def looked() -> Batch:
            return _checked(await self.client.batches.retrieve(name))

        while batch.status not in OVER:
            if batch.status == "failed":
                words = [getattr(one, "message", None) for one in getattr(batch.errors, "data", None) or []]
                why = self.word(" ".join(str(one) for one in words[:3] if one)).rstrip(".") or "no explanation"
                raise UserError(f"The server refuses the batch ({why}).", self.where, _BATCH.later)
            await self.pause(pause)
            pause = min(2 * pause, _POLL[1])
            batch = await self.patiently(looked, away=_AWAY_SECONDS)
            done, total = (getattr(batch.request_counts, name, None) for name in ("completed", "total"))
            if isinstance(done, int) and isinstance(total, int) and total > 0 and 10 * done // total > told:
                told = 10 * done // total
                self.said(f"The server has answered {done:,} of {total:,} questions of the batch.")
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
            content = await self.patiently(lambda: self.client.files.content(file), away=_AWAY_SECONDS, big=True)
        except Gone:
            return []
        return content.content.splitlines()


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
