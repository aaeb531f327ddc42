"""Output of a command: its result on standard output, its progress on standard error.

Either stream may be closed or full; the work is done all the same. Knows nothing of verbs.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from contextlib import AbstractContextManager, suppress
from typing import Any, TextIO

from tqdm import tqdm

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def write_result(text: str, code: int) -> int:
    """Writes the result to standard output and returns the exit code: `code`, or 1 if only the writing failed.

    A reader that closes the pipe (`| head -0`) is no failure: it wanted no more.
    """
    text = harmless(text)
    try:
        try:
            print(text, flush=True)
        except UnicodeEncodeError:  # the terminal has another encoding; escaped JSON is still JSON
            print("".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text), flush=True)
    except OSError as error:
        # Python flushes standard output again at its end, and would fail again.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        why = error.strerror or error
        print(f"semievol: done, but the result could not be written to standard output ({why}).", file=sys.stderr)
        return code if isinstance(error, BrokenPipeError) else code or 1
    return code


def harmless(text: str) -> str:
    """The text with its control characters, but for ends of lines and tabs, escaped: data must not steer a terminal."""
    return _CONTROL.sub(lambda found: json.dumps(found.group())[1:-1], text)


class OptionalStream(io.TextIOBase):
    """A stream that may be closed or full: what cannot be written is dropped, and the work goes on."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None
        return len(text)

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("standard error is closed")
        return self._stream.fileno()


_UNITS: dict[str, dict[str, Any]] = {"Reading": {"unit": "B", "unit_divisor": 1024}}
_UNITS |= {word: {"unit": " steps"} for word in ("Loading", "Merging", "Writing the weights")}
"""What is counted, by the word with which the progress begins; else records."""


class Bars(AbstractContextManager["Bars"]):
    """Progress bars on standard error, for work of more than a second: count, rate and time left."""

    def __init__(self) -> None:
        self._bar: Any = None

    def show(self, what: str, done: int, total: int) -> None:
        if self._bar is None or self._bar.desc != what:
            self.__exit__()
            counted = next((unit for word, unit in _UNITS.items() if what.startswith(word)), {"unit": " records"})
            self._bar = tqdm(desc=what, total=total, delay=1.0, mininterval=0.5, unit_scale=True, **counted)
        self._bar.update(done - self._bar.n)

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()
