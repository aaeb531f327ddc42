"""One process of a training, started by `launching` instead of the real one: it stops after four updates, then goes on.

Before that, it trains an adapter. All in one process, since loading the libraries takes most of the time. Only the
first process wishes to stop.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from semievol.engines.training import process, together
from semievol.engines.training.specification import Ending, Specification
from semievol.method.protocols import Stopped


class AfterFour(threading.Event):
    asked = 0

    def is_set(self) -> bool:
        self.asked += 1
        return together.first() and self.asked == 4


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    work = Specification.read(folder)
    device = process.meet(work, folder)
    setup = replace(work.setup, folder=work.setup.folder.parent / "lora")
    setup = replace(setup, settings=setup.settings.model_copy(update={"method": "lora"}))
    process.train(replace(work, setup=setup), folder, device, threading.Event())
    try:
        process.train(work, folder, device, AfterFour())
    except Stopped as words:
        (folder.parent / f"stopped-{together.place()}").write_text(str(words))
    process.train(work, folder, device, threading.Event())
    Ending().write(folder, together.place())
    os._exit(0)
