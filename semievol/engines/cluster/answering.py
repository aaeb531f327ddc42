"""Shares the questions of one call among actors of a Ray cluster, each of which holds the whole model.

An actor that is lost is started again, elsewhere if its node is gone, and asked again. Plain actors and not Ray Data:
a run saves answers chunk by chunk, and a pool of Ray Data would load its models anew for every chunk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from semievol.engines.answering import shards
from semievol.engines.cluster.joining import NODE, Cluster
from semievol.errors import UserError
from semievol.method.protocols import Ask, Reply

TRIES = 3
"""How often one actor may be lost before the run ends."""


class Actors:
    """Answers in the place of `answering.sharing.Sharing`.

    model, precision: as `LocalEngine` takes them.
    """

    def __init__(self, model: str, precision: str, cluster: Cluster) -> None:
        self._held = json.dumps({"model": model, "precision": precision, "threads": cluster.threads})
        self._cluster = cluster
        self._actors: list[Any] = []

    def answer(self, asks: Sequence[Ask], own: Callable[[Sequence[Ask]], list[Reply]]) -> list[Reply]:
        """The answers, in the order of the questions. own: not used; the actors' devices are the fast ones.

        Raises UserError as `LocalEngine` does, and where an actor was lost again and again.
        """
        import ray

        if not self._actors:
            kind = ray.remote(import_module(NODE).Answerer)
            options = self._cluster.resources | {"max_restarts": TRIES, "max_task_retries": TRIES}
            self._actors = [kind.options(**options).remote(self._held) for _ in range(self._cluster.workers)]
        parts = [part for part in shards.dealt(asks, len(self._actors)) if part]
        asked = [shards.asked([asks[i] for i in part]) for part in parts]
        try:
            found = ray.get([actor.answer.remote(one) for actor, one in zip(self._actors, asked, strict=False)])
        except ray.exceptions.RayActorError as error:
            self.end()
            raise UserError(
                f"A worker of the cluster was lost more than {TRIES} times.",
                "cluster",
                "Look at its nodes (ray status) and their memory, then press Resume: what was answered is kept.",
            ) from error
        replies: dict[int, Reply] = {}
        for part, line in zip(parts, found, strict=True):
            replies |= zip(part, shards.replies(line), strict=True)
        return [replies[i] for i in range(len(asks))]

    def end(self) -> None:
        """Ends the actors, which gives their GPUs back. A later call starts others."""
        import ray

        for actor in self._actors:
            ray.kill(actor)
        self._actors = []
