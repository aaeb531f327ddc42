"""What a command says and where: its outcome on standard output, its progress on standard error.

Either may be closed or full, which undoes nothing that was done. Knows nothing of verbs.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from tqdm import tqdm


def said(text: str, code: int) -> int:
    """Writes the outcome to standard output; the exit code, which says if that failed while the work did not.

    A reader that went away (`| head -0`) wanted no more: that is no failure.
    """
    try:
        try:
            print(text, flush=True)
        except UnicodeEncodeError:  # a terminal of another encoding; JSON stays JSON
            print("".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text), flush=True)
    except OSError as error:
        # Python flushes once more when it ends, which would fail once more.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        why = error.strerror or error
        print(f"semievol: done, but the result could not be written to standard output ({why}).", file=sys.stderr)
        return code if isinstance(error, BrokenPipeError) else code or 1
    return code


class Heard(io.TextIOBase):
    """Standard error that may be closed or full: that nobody reads the progress is no reason to break off."""

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


class Bars:
    """Progress of what takes longer than a second, on standard error: count, rate and time left."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> Bars:
        return self

    def show(self, what: str, done: int, total: int) -> None:
        if self._bar is None or self._bar.desc != what:
            self.close()
            by_bytes = what.startswith("Reading")
            unit = {"unit": "B", "unit_divisor": 1024} if by_bytes else {"unit": " records"}
            self._bar = tqdm(desc=what, total=total, delay=1.0, mininterval=0.5, unit_scale=True, **unit)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __exit__(self, *error: object) -> None:
        self.close()
