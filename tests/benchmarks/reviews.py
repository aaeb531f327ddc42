"""What forty reviews are worth: the guarantee of a random forty, and the errors that a risk-ordered forty removes.

    python -m tests.benchmarks.reviews --home DIR [--data sample fpb] [--seeds 20] [--tune N] [--json]

A round is propagated once per data set by the command line and stays in `--home`; a repeated command reads it again.
Its hidden gold plays the expert, who is never wrong here. Every seed leaves out a random fifth of the candidates and
applies the default policy to the rest. `--tune N` freezes what then is accepted, for the first N seeds without reviews,
with forty random ones and with the forty most unsure, fine-tunes on each selection and evaluates on the test set: about
a minute each. With --json the last line is one object.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semievol import presets
from semievol.config import Policy
from semievol.evidence import precision, reviews
from semievol.selection.policy import Cut
from semievol.store.data import projects, versions
from semievol.store.database import Store, open_store
from semievol.store.results import results
from semievol.store.runs import rounds
from semievol.task.answers import same
from tests.store.world import freeze

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
NAMES = {"sample": "City service line", "fpb": "fpb"}
REVIEWS = 40
POLICY: Policy = presets.load("studio").policy


def command(home: Path, *arguments: str) -> dict[str, Any]:
    """Runs a verb of the command line; its last line as an object."""
    line = [sys.executable, "-m", "semievol", *arguments, "--workspace", str(home), "--json"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def propagated(data: str, home: Path) -> tuple[Store, int]:
    """Store and round of a data set, imported and propagated if it is not there yet."""
    store = open_store(home)
    if NAMES[data] not in {project.name for project in projects.list_projects(store)}:
        if data == "sample":
            command(home, "sample")
        else:
            files = [f"--{split}={SHARED / data / split}.csv" for split in ("labeled", "unlabeled", "test")]
            command(home, "import", *files, "--name", NAMES[data], "--hide-gold")
    project = projects.find_project(store, NAMES[data])
    for found in rounds.list_rounds(store, project.id):
        if len(results.candidate_frame(store, found.id)):
            return store, found.id
    return store, int(command(home, "run", NAMES[data], "--until", "justify")["round"])


def candidates(store: Store, round_id: int) -> pd.DataFrame:
    """The pool's candidates with `correct`, by hidden gold, and without any decision."""
    frame = results.candidate_frame(store, round_id)
    task = versions.task_of(store, rounds.get_round(store, round_id).version_id)
    frame = frame[frame["gold"].notna()]
    right = [same(task, answer, gold) for answer, gold in zip(frame["answer"], frame["gold"], strict=True)]
    return frame.assign(correct=right, decision=None, decided_answer=None)


def at_random(frame: pd.DataFrame, kept: np.ndarray, seed: int) -> list[str]:
    """The lowest permanent random numbers inside the kept set; every seed gives the records numbers of its own."""
    inside = {str(record_id): f"{seed} {content}" for record_id, content in frame.loc[kept, "content_hash"].items()}
    return reviews.drawing_order(inside)[:REVIEWS]


def most_unsure(frame: pd.DataFrame, kept: np.ndarray, _: int) -> list[str]:
    return list(frame[kept].nlargest(REVIEWS, POLICY.measure).index)


def disputed_first(frame: pd.DataFrame, kept: np.ndarray, _: int) -> list[str]:
    ordered = frame[kept].sort_values(["agreed", POLICY.measure], ascending=[True, False], kind="stable")
    return list(ordered.index[:REVIEWS])


def nearest_the_line(frame: pd.DataFrame, kept: np.ndarray, _: int) -> list[str]:
    """Closest to the threshold, on either side of it."""
    line = Cut(POLICY, frame).lines()["all"]
    return list((frame[POLICY.measure] - line).abs().nsmallest(REVIEWS).index)


def drawn_by_hand(frame: pd.DataFrame, kept: np.ndarray, seed: int) -> list[str]:
    """A simple random sample without permanent numbers, to hold those against."""
    return list(np.random.default_rng(seed).choice(frame.index[kept].to_numpy(), REVIEWS, replace=False))


ORDERS: dict[str, Callable[[pd.DataFrame, np.ndarray, int], list[str]]] = {
    "random": at_random,
    "random, by hand": drawn_by_hand,
    "most unsure first": most_unsure,
    "disputed first": disputed_first,
    "nearest the line": nearest_the_line,
}
EVIDENCE = ("random", "random, by hand")


def left(whole: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The candidates without a random fifth."""
    return whole[np.random.default_rng([seed, 1]).permutation(len(whole)) < 0.8 * len(whole)].copy()


def judged(whole: pd.DataFrame, seed: int) -> list[dict[str, Any]]:
    """What every order comes to for one seed: errors found among the kept, right ones won back, and the guarantee."""
    frame = left(whole, seed)
    kept = Cut(POLICY, frame).mask
    inside, wrong = pd.Series(kept, index=frame.index), ~frame["correct"]
    truth = int((inside & wrong).sum())
    lines = []
    for order, chosen in ((name, draw(frame, kept, seed)) for name, draw in ORDERS.items()):
        found = int((inside & wrong)[chosen].sum())
        line = {"order": order, "kept": int(kept.sum()), "wrong": truth, "found": found}
        line |= {"won back": int((~inside)[chosen].sum())}
        if order in EVIDENCE:
            told = precision.guarantee(REVIEWS, found, int(kept.sum()))
            line |= {"covers": told.wrong_at_most >= truth, "bound": told.share}
            line |= {"remaining holds": told.wrong_at_most - found >= truth - found}
        lines.append(line)
    return lines


def report(data: str, table: pd.DataFrame) -> dict[str, Any]:
    """The printed table; returns its figures."""
    kept, wrong = table["kept"].mean(), table["wrong"].mean()
    print(f"\n{data}: {kept:.0f} kept, {wrong:.1f} of them wrong ({100 * wrong / kept:.1f} %), {REVIEWS} reviews")
    print(f"{'order':20}errors removed   of all errors   dropped ones won   bound covers   bound of share wrong")
    figures: dict[str, Any] = {"kept": kept, "wrong": wrong}
    for order, lines in table.groupby("order", sort=False):
        error = lines["found"].std(ddof=1) / np.sqrt(len(lines))
        share = 100 * (lines["found"] / lines["wrong"]).mean()
        text = f"{order:20}{lines['found'].mean():8.2f} ({error:.2f}){share:13.1f} %{lines['won back'].mean():19.1f}"
        figures[str(order)] = {"found": lines["found"].mean(), "share of errors": share}
        if order in EVIDENCE:
            covers, bound = lines["covers"].astype(float).mean(), lines["bound"].mean()
            text += f"{100 * covers:13.1f} %{100 * bound:15.1f} %"
            figures[str(order)] |= {"covers": covers, "bound": bound}
        print(text)
    return figures


def tuned(data: str, home: Path, seed: int, order: str | None) -> float:
    """Test accuracy of the model evolved from one seed's candidates as one order corrects them (None: not), per cent.

    What the default policy and the corrections come to is frozen as a selection, and tuned on by the command line with
    one thread.
    """
    store, round_id = propagated(data, home)
    frame = left(candidates(store, round_id), seed)
    for record_id in ORDERS[order](frame, Cut(POLICY, frame).mask, seed) if order else []:
        right = frame.at[record_id, "correct"]
        frame.at[record_id, "decision"] = "accept" if right else "edit"
        frame.at[record_id, "decided_answer"] = None if right else str(frame.at[record_id, "gold"])
    frozen = freeze(store, round_id, POLICY, *Cut(POLICY, frame).accepted())
    span = ("--round", str(round_id), "--from", "tune", "--selection", str(frozen.number), "--set", "threads=1")
    done = command(home, "run", NAMES[data], *span)
    return 100 * float(done["evaluate"]["evolved"]["accuracy"])


def gains(data: str, home: Path, seeds: int) -> dict[str, list[float]]:
    """Test accuracies of every arm, seed by seed, and their paired differences, printed as they come."""
    arms: dict[str, str | None] = {"no reviews": None, "random": "random", "by risk": "most unsure first"}
    found: dict[str, list[float]] = {arm: [] for arm in arms}
    print(f"\n{data}: % right on test after fine-tuning\nseed{''.join(f'{arm:>14}' for arm in arms)}")
    for seed in range(seeds):
        for arm, order in arms.items():
            found[arm].append(tuned(data, home, seed, order))
        print(f"{seed:4}{''.join(f'{found[arm][-1]:14.1f}' for arm in arms)}", flush=True)
    print(f"mean{''.join(f'{np.mean(found[arm]):14.1f}' for arm in arms)}")
    for arm, other in (("random", "no reviews"), ("by risk", "no reviews"), ("by risk", "random")):
        difference = np.subtract(found[arm], found[other])
        error = difference.std(ddof=1) / np.sqrt(seeds) if seeds > 1 else math.nan
        better = f"better on {(difference > 0).sum()} of {seeds}, worse on {(difference < 0).sum()}"
        print(f"{arm} - {other}: {difference.mean():+.2f} points (standard error {error:.2f}), {better}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="workspace that keeps the propagated rounds")
    parser.add_argument("--data", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--tune", type=int, default=0, metavar="N", help="fine-tune with the decisions of N seeds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    for data in options.data:
        if data != "sample" and not (SHARED / data).is_dir():
            print(f"{data}: skipped, there is no {SHARED / data}")
            continue
        frame = candidates(*propagated(data, options.home))
        lines = [line for seed in range(options.seeds) for line in judged(frame, seed)]
        figures[data] = report(data, pd.DataFrame(lines))
        if options.tune:
            figures[data]["tuned"] = gains(data, options.home, options.tune)
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
