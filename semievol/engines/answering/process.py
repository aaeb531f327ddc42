"""A process that answers for one device: `python -m semievol.engines.answering.process`, started by `sharing`.

The first line of its input says what it holds; every further line is a list of questions, and for each it prints a line
with their answers. It ends when its input does, also in the middle of a computation: then whoever asked is gone.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading

from semievol.engines.answering import shards
from semievol.engines.local import LocalEngine


def main() -> None:
    """Answers until the input ends."""
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True, name="listen").start()
    engine = LocalEngine(**json.loads(lines.get()), later=True)
    while True:
        print(shards.answered(engine, lines.get()), file=answers, flush=True)


def _listen(lines: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
