"""What runs on the nodes of a cluster: an actor that answers, and a process of a training."""

from __future__ import annotations

import json
from pathlib import Path

from semievol.engines.answering import shards
from semievol.engines.cluster.joining import STOP
from semievol.engines.local import LocalEngine
from semievol.engines.training import process, together


class Answerer:
    """An actor that answers. held: arguments of its `LocalEngine`, as JSON."""

    def __init__(self, held: str) -> None:
        self._engine = LocalEngine(**json.loads(held), later=True)

    def answer(self, asked: str) -> str:
        """See `shards.answered`."""
        return shards.answered(self._engine, asked)


class _Wish:
    """Whether somebody wishes to stop, said by a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / STOP

    def is_set(self) -> bool:
        return self._file.exists()


def train(told: dict[str, str]) -> None:
    """One process of the training in told["folder"]; Ray Train has brought it together with the others."""
    from ray.train.torch import get_device

    folder = Path(told["folder"])
    ending = process.carried_out(folder, lambda _: get_device(), _Wish(folder))
    ending.write(folder, together.place())
