"""What a process of a training is told, and what it tells: files in a folder, JSON and arrays.

The process that starts the training writes the `Specification`. The first of its processes tells metrics and progress,
one per line, and every process writes how it ended. Knows nothing of tensors or processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from semievol.engines.chat import Turn
from semievol.engines.models.footprint import Fit
from semievol.errors import UserError
from semievol.method.protocols import TrainingSetup
from semievol.tuning import Tuning

FOLDER = ".partial-processes"
"""In the training's folder; named like a half-written folder, so that one which is left behind is swept away."""
FILE = "specification.json"
MEETING = "meeting"
"""The file in which the processes find each other."""
_ROWS, _HELD_OUT = "rows.npz", "held_out.npz"
_TOLD = "told.jsonl"
_PLAIN = ("model", "dtype", "four_bits", "threads")


@dataclass(frozen=True)
class Specification:
    """One training in several processes.

    model: name of the base, as for `LocalEngine`. dtype: of its weights, a name of torch. four_bits: as `AdaptedModel`
    has it. threads: of each process.
    rows: the examples. order: of all updates, as places in `rows`. The rest is as in `loop.train`.
    """

    model: str
    dtype: str
    four_bits: bool
    threads: int
    rows: Sequence[Turn]
    order: Sequence[int]
    held_out: Sequence[Turn]
    setup: TrainingSetup
    fingerprint: str
    fit: Fit
    budget: int
    too_long: Sequence[str]

    def write(self, folder: Path) -> None:
        values = {name: getattr(self, name) for name in (*_PLAIN, "fingerprint", "budget")}
        values |= {"fit": asdict(self.fit)}
        values |= {"order": list(self.order), "too_long": list(self.too_long)}
        values["setup"] = {
            "settings": self.setup.settings.model_dump(mode="json"),
            "folder": str(self.setup.folder.absolute()),
            "seed": self.setup.seed,
            "start": str(Path(self.setup.start).absolute()) if self.setup.start else None,
        }
        (folder / FILE).write_text(json.dumps(values), encoding="utf-8")
        _save(folder / _ROWS, self.rows)
        _save(folder / _HELD_OUT, self.held_out)

    @classmethod
    def read(cls, folder: Path) -> Specification:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        setup = values["setup"] | {"folder": Path(values["setup"]["folder"])}
        setup["settings"] = Tuning.model_validate(setup["settings"])
        values |= {"rows": _load(folder / _ROWS), "held_out": _load(folder / _HELD_OUT), "fit": Fit(**values["fit"])}
        return cls(**values | {"setup": TrainingSetup(**setup)})


def _save(file: Path, turns: Sequence[Turn]) -> None:
    """Writes them as three arrays, since a billion ids as JSON would take ten times the memory to read."""
    parts = [part for turn in turns for part in (turn.prompt, turn.reply, sorted(turn.left_out))]
    lengths = np.array([len(part) for part in parts], np.int64)
    numbers = np.fromiter(chain.from_iterable(parts), np.int32, count=int(lengths.sum()))
    np.savez(file, lengths=lengths, numbers=numbers)


def _load(file: Path) -> list[Turn]:
    with np.load(file, allow_pickle=False) as saved:
        lengths, numbers = saved["lengths"], saved["numbers"]
    ends = np.cumsum(lengths)
    parts = (numbers[end - length : end].tolist() for end, length in zip(ends, lengths, strict=True))
    threes = zip(parts, parts, parts, strict=True)  # of one iterator
    return [Turn(tuple(prompt), tuple(reply), frozenset(left)).compact() for prompt, reply, left in threes]


class Teller:
    """Writes what the first process tells, a line at a time."""

    def __init__(self, folder: Path) -> None:
        self._stream = (folder / _TOLD).open("a", encoding="utf-8", buffering=1)

    def metric(self, name: str, step: int, value: float) -> None:
        self._stream.write(json.dumps(["metric", name, step, value]) + "\n")

    def progress(self, done: int, total: int) -> None:
        self._stream.write(json.dumps(["progress", done, total]) + "\n")


class Listener:
    """Hands on the lines of a `Teller`, each once."""

    def __init__(
        self, folder: Path, metric: Callable[[str, int, float], None], progress: Callable[[int, int], None]
    ) -> None:
        self._stream = (folder / _TOLD).open("a+", encoding="utf-8")
        self._stream.seek(0)
        self._to: dict[str, Callable[..., None]] = {"metric": metric, "progress": progress}
        self._rest = ""

    def hear(self) -> None:
        """Hands on what was told since the last call; half a line waits for its end."""
        *lines, self._rest = (self._rest + self._stream.read()).split("\n")
        for line in lines:
            kind, *values = json.loads(line)
            self._to[kind](*values)

    def close(self) -> None:
        self._stream.close()


@dataclass(frozen=True)
class Ending:
    """How a process ended, unless it broke. stopped: the words of `Stopped`. error: a UserError. memory: it ran out."""

    stopped: str | None = None
    error: dict[str, str] | None = None
    memory: bool = False

    def write(self, folder: Path, place: int) -> None:
        (folder / _ending(place)).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def of_all(cls, folder: Path, count: int) -> list[Ending]:
        """Those that were written, by place."""
        files = [folder / _ending(place) for place in range(count)]
        found: list[dict[str, Any]] = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]
        return [cls(**one) for one in found]

    @property
    def problem(self) -> UserError | None:
        return UserError(**self.error) if self.error else None


def _ending(place: int) -> str:
    return f"ended-{place}.json"
