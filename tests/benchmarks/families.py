"""Every family of tests.model_families: the engine's numbers against plain rows in float64, and all seven stages.

    python -m tests.benchmarks.families [--only NAME ...] [--json]

packs      whether sequences are packed; else rows are padded
answers    largest difference of a probability of an allowed answer
writes     largest difference of the log-probability of a generated token, nats
learns     difference of the loss of fine-tuning, nats a token
lora, full a whole run by LoRA and by all weights: largest difference of a probability between the adapter and the model
           that it leaves (merged, or the folder itself)
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from transformers.utils import logging

from semievol.engines.local import LocalEngine
from tests import family_checks
from tests.benchmarks.printed import finish, table
from tests.model_families import FAMILIES, make

CLOSE = 1e-4


def row(name: str, home: Path) -> list[Any]:
    """The table's line of a family; a check that fails raises."""
    folder = make(home / "model", name)
    engine, plain = LocalEngine(str(folder), threads=1), family_checks.Plain(folder, name)
    found: list[Any] = [name, FAMILIES[name].kind, "yes" if engine.base.packs else "no"]
    found += [check(engine, plain) for check in (family_checks.answers, family_checks.writes, family_checks.learns)]
    for how in ("lora", "full"):
        adapters = family_checks.whole_run(engine, folder, how, home / how).adapters
        found.append(family_checks.carried(engine, folder, Path(adapters["tune"]), home / f"merged-{how}"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    logging.disable_progress_bar()
    rows = []
    for name in chosen.only:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(row(name, Path(scratch)))
    names = ("answers", "writes", "learns", "lora", "full")
    table([[*one[:3], *(f"{value:.0e}" for value in one[3:])] for one in rows], ("family", "kind", "packs", *names))
    finish(
        {f"{what}, of {CLOSE}": max(one[3 + i] for one in rows) / CLOSE for i, what in enumerate(names)}, chosen.json
    )


if __name__ == "__main__":
    main()
