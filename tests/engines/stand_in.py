"""A process that `launching` starts instead of the real one. The fingerprint of its specification says what it does."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

folder, place = Path(sys.argv[1]), int(os.environ["RANK"])
how = json.loads((folder / "specification.json").read_text())["fingerprint"]
(folder.parent / f"pid-{place}").write_text(str(os.getpid()))


def ended(**values: object) -> None:
    (folder / f"ended-{place}.json").write_text(json.dumps(values))


if place == 0:
    with (folder / "told.jsonl").open("a") as stream:
        stream.write('["metric", "loss", 1, NaN]\n["progress", 1, 9]\n')
if how == "killed" and place == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if how == "refused" and place == 1:
    ended(error={"what": "Not a number.", "where": "learning_rate", "remedy": "Lower it."})
    sys.exit(1)
if how == "memory" and place == 1:
    ended(memory=True)
    sys.exit(1)
if how == "stopped" and place == 1:  # the real one is told by the first at the same update
    ended(stopped="after step 1")
elif how != "finished":
    word = os.read(0, 5)
    if not word:
        (folder.parent / f"abandoned-{place}").touch()
    ended(stopped="after step 1" if word else None)
