"""Shares the questions of one call among several devices: this process answers for the first, and one process that is
started here for each of the others. Each holds the whole model.

A process that is lost costs nothing but time: this one answers its part, and another is started for the next call.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from semievol.engines.answering import shards
from semievol.method.protocols import Ask, Reply

MODULE = "semievol.engines.answering.process"
FEWEST = 4
"""Questions for a device. Fewer are answered here before another process would have read them."""
_LOST_AT_MOST = 5
"""How many processes may be lost before the rest is answered without them."""
_log = logging.getLogger(__name__)


class Sharing:
    """The processes beside this one.

    model, precision: as `LocalEngine` takes them. devices: how many, with this process's own. threads: of all together.
    """

    def __init__(self, model: str, precision: str, devices: int, threads: int) -> None:
        self._threads, self._of_each = threads, max(1, threads // devices)
        self._held = json.dumps({"model": model, "precision": precision, "threads": self._of_each})
        self._devices = devices
        self._others: list[subprocess.Popen[str] | None] = [None] * (devices - 1)
        self._lost = 0

    def answer(self, asks: Sequence[Ask], own: Callable[[Sequence[Ask]], list[Reply]]) -> list[Reply]:
        """The answers, in the order of the questions. own: answers in this process.

        Raises what `own` raises, in whichever process.
        """
        if len(asks) < FEWEST * self._devices or self._lost > _LOST_AT_MOST:
            return own(asks)
        mine, *theirs = shards.dealt(asks, self._devices)
        try:
            given = [self._give(place, [asks[i] for i in part]) for place, part in enumerate(theirs)]
            torch.set_num_threads(self._of_each)
            replies = dict(zip(mine, own([asks[i] for i in mine]), strict=True))
            for place, part in enumerate(theirs):
                found = self._take(place) if given[place] else None
                if found is None:
                    found = own([asks[i] for i in part])
                replies |= zip(part, found, strict=True)
        except BaseException:
            self.end()  # one may still be answering; its answers belong to no later question
            raise
        finally:
            torch.set_num_threads(self._threads)
        return [replies[i] for i in range(len(asks))]

    def end(self) -> None:
        """Ends the processes, which gives their devices' memory back. A later call starts them again."""
        for place, process in enumerate(self._others):
            if process is not None:
                self._end(place, process)

    def _give(self, place: int, asks: Sequence[Ask]) -> bool:
        """Hands questions to a process, started if need be; whether it took them."""
        process = self._others[place]
        if process is None:
            process = self._others[place] = _start(place + 1)
            self._say(process, self._held)
        return self._say(process, shards.asked(asks)) or self._lose(place, process)

    def _take(self, place: int) -> list[Reply] | None:
        """The answers of a process; None if it was lost."""
        process = self._others[place]
        assert process is not None
        assert process.stdout is not None
        try:
            return shards.replies(process.stdout.readline())
        except ValueError:  # it ended, in the middle of a line perhaps
            self._lose(place, process)
            return None

    def _say(self, process: subprocess.Popen[str], line: str) -> bool:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            return True
        return False

    def _lose(self, place: int, process: subprocess.Popen[str]) -> bool:
        self._end(place, process)
        self._lost += 1
        _log.warning("a process that answers was lost (exit code %s); its part is answered here", process.returncode)
        return False

    def _end(self, place: int, process: subprocess.Popen[str]) -> None:
        self._others[place] = None
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # what it did not read
                stream.close()


def _start(place: int) -> subprocess.Popen[str]:
    """A process for the `place`-th of the devices that this process may use, counted from 0."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    device = visible.split(",")[place] if visible else str(place)
    return subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env=os.environ | ({"CUDA_VISIBLE_DEVICES": device} if torch.cuda.is_available() else {}),
        encoding="utf-8",
    )
