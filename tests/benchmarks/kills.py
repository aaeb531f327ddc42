"""Kills at random moments of a process that decides: how many acknowledged decisions are lost.

    python -m tests.benchmarks.kills [--kills 200] [--seed 0] [--folder DIR] [--json]

kills            acknowledged once `decide` has returned, as the dashboard does: none may be lost
counter-proof    acknowledged before the commit: some must be lost, or the kills prove nothing

Every acknowledgement is on disk before the next decision. The workspace lies in a new folder inside --folder, which
decides what disk is written to. Killing a process does not test what a power failure would do.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from semievol.store.database import open_store
from semievol.store.health import quick_check
from tests.benchmarks.printed import finish, table
from tests.store.kills import Range, random_moment
from tests.store.world import make_world, propagated


def killed(kills: int, seed: int, folder: Path, hasty: bool) -> tuple[int, int, int, float]:
    """Acknowledged, lost, kills that lost something, seconds; in a workspace of its own."""
    store = open_store(folder / ("hasty" if hasty else "careful"))
    propagated(make_world(store))
    chance, began = random.Random(seed), time.monotonic()
    with Range() as shooting:
        ledgers = (folder / f"ledger-{hasty}-{number}" for number in range(kills))
        found = [shooting.kill(store, ledger, random_moment(chance), hasty) for ledger in ledgers]
    assert quick_check(store) == [], "the database is broken"
    losing = sum(one.lost > 0 for one in found)
    return sum(o.acknowledged for o in found), sum(o.lost for o in found), losing, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    lines, figures = [], dict[str, float]()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for name, hasty in (("kills", False), ("counter-proof", True)):
            acknowledged, lost, losing, seconds = killed(chosen.kills, chosen.seed, Path(folder), hasty)
            lines.append((name, chosen.kills, f"{acknowledged:,}", lost, losing, seconds))
            figures |= {f"{name}, acknowledged": acknowledged, f"{name}, lost": lost}
    table(lines, ("", "kills", "acknowledged", "lost", "kills that lost", "s"))
    bound = 1 - 0.05 ** (1 / chosen.kills)
    print(f"none lost in {chosen.kills} kills means less than {bound:.1%} of kills lose something (one-sided 95 %)")
    assert figures["counter-proof, lost"], "the counter-proof lost nothing: these kills prove nothing"
    finish(figures, chosen.json)
    assert not figures["kills, lost"], "acknowledged decisions were lost"


if __name__ == "__main__":
    main()
