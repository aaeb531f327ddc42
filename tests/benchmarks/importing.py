"""Importing a large file by the command line: seconds and peak memory; small edits between splits found among many.

    python -m tests.benchmarks.importing [--rows 1000000] [--json]

rows     a CSV of so many rows (274 bytes each, a million by default) and 500 labeled ones, imported as a new project
         by `python -m semievol import`: seconds, most memory of the process with its readers, rows a second
edits    100,000 records, 2,000 of which stand in another split with a word more: seconds of all checks, found
"""

from __future__ import annotations

import argparse
import csv
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from semievol.importing.build import build_records
from semievol.importing.mapping import Mapping
from semievol.importing.table import Table
from semievol.records import Split, Task
from tests.benchmarks.printed import finish, table
from tests.importing.files import table_of

ROOT = Path(__file__).parents[2]
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "ou") for c in ("n", "rt", "ck", "")]
LABELS = ("negative", "neutral", "positive")
MEGABYTE = 2**20


def sentence(draw: random.Random, words: int = 68) -> str:
    return " ".join(draw.choices(WORDS, k=words))


def write(path: Path, rows: int, seed: int) -> None:
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["id", "question", "label"])
        out.writerows([i, sentence(draw), draw.choice(LABELS)] for i in range(rows))


def imported(rows: int, folder: Path) -> tuple[float, float, int]:
    """Seconds, most megabytes, bytes of the large file."""
    write(folder / "labeled.csv", 500, 1)
    write(folder / "unlabeled.csv", rows, 2)
    command = [sys.executable, "-m", "semievol", "import", "--workspace", str(folder / "home"), "--name", "big"]
    command += ["--labeled", str(folder / "labeled.csv"), "--unlabeled", str(folder / "unlabeled.csv")]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    watched, most = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            family = [watched, *watched.children(recursive=True)]
            most = max(most, sum(one.memory_info().rss for one in family))
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.05)
    assert process.returncode == 0, "the import failed"
    return time.monotonic() - began, most / MEGABYTE, (folder / "unlabeled.csv").stat().st_size


def edits(records: int = 98_000, planted: int = 2_000) -> tuple[float, int]:
    """Seconds of building and checking, records found."""
    draw = random.Random(3)
    pool = [[sentence(draw, 30)] for _ in range(records)]
    labeled = [[f"{text} more", LABELS[i % 3]] for i, (text,) in enumerate(pool[:planted])]
    tables: dict[Split, Table] = {
        "labeled": table_of("labeled", ["question", "answer"], labeled),
        "unlabeled": table_of("unlabeled", ["question"], pool),
    }
    began = time.monotonic()
    found = build_records(tables, Mapping("question", "answer"), Task("classification", LABELS)).findings
    seconds = time.monotonic() - began
    return seconds, next((finding.count for finding in found if finding.kind == "edited_overlap"), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds, most, size = imported(chosen.rows, Path(folder))
    rate = f"{chosen.rows / seconds:,.0f}"
    table([(f"{chosen.rows:,}", size / MEGABYTE, seconds, most, rate)], ("rows", "MB", "s", "most MB", "rows/s"))
    taken, found = edits()
    table([("100,000", taken, f"{found:,} of 2,000")], ("records", "s", "small edits found"))
    ratios = {"seconds, against 60": seconds / 60, "memory, against 1 GB": most / 1024, "edits found": found / 2000}
    finish(ratios, chosen.json)


if __name__ == "__main__":
    main()
