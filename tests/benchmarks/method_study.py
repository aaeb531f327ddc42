"""What the method gains on a data set: every arm over seeds that redraw the splits, with intervals.

    python -m tests.benchmarks.method_study --data sample|fpb|arc [--seeds 10] [--preset studio] [--set key=value]...
        [--labeled N] [--unlabeled N] [--test N] [--also shown ensemble self gold ...] [--rows FILE]

Arms: what a user would pick instead (majority class, the neighbours' vote, a regression on the embedder's vectors);
base, warm-up (plain fine-tuning on the labeled records) and evolved, these two also in the ensemble with vote and
regression. On demand (`--also`): the models with demonstrations, and the arms of `EXTRA`: baselines, ablations, ways to
fine-tune, fewer unlabeled records, a second round, all true labels. Every seed draws labeled, unlabeled and test
records anew from all records of the data set, in the published sizes or in those asked for. As in a project,
calibration records are held out of the labeled ones, and the settings are suited to the data. No setting is chosen on
these test sets. Intervals come from a bootstrap crossed over seeds and test records. Takes minutes an arm; `--rows
FILE` keeps every finished arm, and a repeated command carries out only what is missing. With --json the last line is
one object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from semievol import presets
from semievol.config import Config
from semievol.engines.local import LocalEngine
from semievol.importing.readers.read import read_table
from semievol.jobs.intake import SAMPLE_FOLDER, prepare
from semievol.method import comparison, metrics
from semievol.method.evolve import evolve
from semievol.method.protocols import Plan
from semievol.records import Record, Split, Task
from semievol.study import figures
from semievol.study.journal import MemoryJournal
from semievol.study.redraw import Material
from semievol.study.seed import Seed
from semievol.task.answers import same

SHARED = Path(__file__).parents[3] / "shared" / "data"
_SIMPLER = {
    "majority": "majority class",
    "neighbours": "neighbours' vote",
    "regression": "regression on vectors",
    "tuned_regression": "regression, fine-tuned embedder",
}
_MODELS = {"base": "base", "warm_up": "warm-up", "evolved": "evolved"}
_WAYS = {"": "", "_demonstrations": ", demonstrations", "_averaged": ", averaged", "_ensemble": ", ensemble"}
NAMES = _SIMPLER | {
    f"{arm}{way}": f"{name}{words}"
    for arm, name in _MODELS.items()
    for way, words in _WAYS.items()
    if f"{arm}{way}" in comparison.ROWS
}
"""Rows of an evaluation -> what they are called here."""
EXTRA = {  # asked for by -> name in the table, arm of `semievol.study`
    "matched": ("plain, matched updates", "matched_updates"),
    "self": ("self-training", "self_training"),
    "authors": ("rule of the authors' code", "authors_rule"),
    "all_kept": ("every candidate kept", "without_selection"),
    "cold": ("without warm-up", "without_in_weight"),
    "kl": ("held near the start (KL)", "tuned_with_kl"),
    "rslora": ("rsLoRA of rank 64", "rslora"),
    "dora": ("DoRA", "dora"),
    **{f"unlabeled{share}": (f"unlabeled {share} % of labeled", f"unlabeled_{share}") for share in (50, 100, 200, 300)},
    "round2": ("second round", "evolved_round_2"),
    "gold": ("all true labels", "all_gold"),
    "embedder": ("regression, fine-tuned embedder", "tuned_regression"),
}
"""Arms that cost a fine-tuning of their own; `embedder` is for rows made before the evaluation had that arm. In the
preset `studio` one collaborator is a language model, without demonstrations, and there is no judge: without
collaboration and without in-context are self-training there."""
ARMS = tuple(dict.fromkeys((*NAMES.values(), *(name for name, _ in EXTRA.values()))))
OPTIONAL = ("shown", "ensemble", *EXTRA)
"""What is asked for beside the other arms. `shown`: answers with demonstrations. `ensemble`: those averaged with vote
and regression; new rows always have them, for older ones the method is carried out again."""
_MEMBER = b"\x1f\x8b\x08"
"""How a gzip member begins."""
Row = dict[str, Any]
"""Of a seed: `seed`, `seconds`, `right` (arm -> test record -> whether its answer is right), `pool` (columns of the
pseudo-labels), `of` (`identity`). In a file a row holds some of the arms, and the rows of a seed add up."""
Sizes = Sequence[tuple[Split, int]]


class _Seed(Seed):
    """A seed whose journals count every answer as given by a collaborator, as they did when the first rows of
    `docs/studies` were made; so rows of all times agree."""

    def _journal(self, plan: Plan, name: str) -> MemoryJournal:
        return _Journal(plan, self._folder / name)


class _Journal(MemoryJournal):
    def _ungiven(self, task: Task, records: Sequence[Record]) -> set[int]:
        return set()


@cache
def load(data: str) -> tuple[Task, list[Record], dict[Split, int]]:
    """Task, all records with their true answers, and the published size of each split."""
    folder = SAMPLE_FOLDER if data == "sample" else SHARED / data
    files: dict[Split, Path] = {"labeled": folder / "labeled.csv"}
    files |= {"unlabeled": folder / "unlabeled.csv", "test": folder / "test.csv"}
    imported = prepare({split: read_table(path) for split, path in files.items()}, hide_gold=True)
    gold = dict(imported.gold())
    records = [replace(r, answer=gold.get(r.id, r.answer)) for r in imported.records]
    records = [record for record in records if record.answer is not None]
    return imported.task, records, {split: sum(r.split == split for r in records) for split in files}


def study(
    data: str, config: Config, seed: int, also: Sequence[str], sizes: Sizes, known: Row | None, kept: Path | None
) -> Row:
    """The row of one seed. Carries out the arms that `known` lacks, and appends each to the file as it is finished.

    also: what else is measured, of OPTIONAL. sizes: of the splits, where they are not those of the published files.
    """
    row = known or {"seed": seed, "seconds": 0.0, "right": {}, "pool": {}, "of": identity(data, config, sizes)}
    task, records, published = load(data)
    engine = _engine(config.model, config.precision, config.threads)
    material = Material(task, records, published | dict(sizes))
    with tempfile.TemporaryDirectory() as folder:
        drawn = _Seed(material, config, seed, engine, Path(folder))
        for right, pool, seconds in _carried_out(drawn, material, missing(row, also)):
            found = {**row, "right": right, "pool": pool, "seconds": seconds}
            if kept is not None:
                _append(kept, found)
            row = together(row, found)
    return row


def _carried_out(drawn: Seed, material: Material, what: Sequence[str]) -> Iterator[tuple[Row, Row, float]]:
    """What each part found: right answers by arm, columns of the pseudo-labels, seconds."""
    for part in what:
        began = time.monotonic()
        if part in EXTRA:
            name, arm = EXTRA[part]
            yield {name: dict(drawn.result(arm).right)}, {}, time.monotonic() - began
        else:
            shown = drawn.plan.config.model_copy(update={"evaluate_demonstrations": part == "shown"})
            plan, journal = replace(drawn.plan, config=shown), drawn.main
            evolve(plan, drawn.engine, journal)
            right = {name: _right(plan, journal, row) for row, name in NAMES.items() if journal.predictions(row)}
            right.setdefault(NAMES["evolved_ensemble"], {})  # there is none, and nobody need look again
            yield right, _pool(plan, journal, material), time.monotonic() - began


def missing(row: Row, also: Sequence[str]) -> list[str]:
    """The parts that a row lacks: `method` (the arms that are never left out; with ensembles) or `shown`, then those of
    EXTRA."""
    right = row["right"]
    needed = NAMES["evolved_ensemble" if "ensemble" in also else "evolved"]
    if "shown" in also and NAMES["evolved_demonstrations"] not in right:
        begin = ["shown"]
    else:
        begin = ["method"] if needed not in right else []
    return [*begin, *(one for one in also if one in EXTRA and EXTRA[one][0] not in right)]


def together(row: Row, other: Row) -> Row:
    """The row of both; an arm that both have is taken from the first."""
    added = {"right": {**other["right"], **row["right"]}, "pool": row["pool"] or other["pool"]}
    return {**row, **added, "seconds": row["seconds"] + other["seconds"]}


def identity(data: str, config: Config, sizes: Sizes = ()) -> dict[str, Any]:
    """What a kept row must agree in to be used again: data set, settings, sizes (the seed is the row's own)."""
    settled = config.model_dump(mode="json", exclude={"seed", "evaluate_demonstrations"})
    return {"data": data, "settings": settled, "sizes": sorted([one, n] for one, n in sizes)}


def alike(kept: dict[str, Any] | str, asked: dict[str, Any]) -> bool:
    """Whether a row of this identity is one of the other. A setting that came after the row must stand at its default,
    which leaves the method as it was. kept: a text in the first rows."""
    if isinstance(kept, str):
        data, settled, _, sizes = json.loads(kept)
        kept = {"data": data, "settings": settled, "sizes": sizes}
    try:
        then = Config.model_validate(kept["settings"])
    except ValidationError:  # of a setting that is no more
        return False
    settled = then.model_dump(mode="json", exclude={"seed", "evaluate_demonstrations"})
    return {**asked, "settings": settled, "data": kept["data"], "sizes": kept["sizes"]} == asked


def kept_rows(file: Path | None) -> list[Row]:
    """Whole rows of a file; what was cut off while it was written is left out."""
    rows: list[Row] = []
    if file is None or not file.exists():
        return rows
    content = file.read_bytes()
    lines = _members(content) if file.suffix == ".gz" else content.splitlines()
    for line in (part for whole in lines for part in whole.splitlines()):
        with suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def _members(content: bytes) -> Iterator[bytes]:
    """What the gzip members of a file hold, without those that are damaged."""
    place = content.find(_MEMBER)
    while place >= 0:
        unpacking = zlib.decompressobj(wbits=31)
        try:
            found = unpacking.decompress(content[place:])
        except zlib.error:
            found = b""
        if unpacking.eof:
            yield found
        ended = len(content) - len(unpacking.unused_data) if unpacking.eof else place + 1
        place = content.find(_MEMBER, ended)


def _append(file: Path, row: Row) -> None:
    """In one write, so that rows of several processes never mix."""
    line = (json.dumps(row) + "\n").encode()
    with file.open("ab", buffering=0) as end:
        end.write(gzip.compress(line) if file.suffix == ".gz" else b"\n" + line)


@cache
def _engine(model: str, precision: str, threads: int) -> LocalEngine:
    return LocalEngine(model, precision, threads)


def _right(plan: Plan, journal: MemoryJournal, arm: str) -> dict[str, bool]:
    said = {response.record_id: response.answer for response in journal.predictions(arm)}
    return {record.id: same(plan.task, said[record.id], record.answer) for record in plan.test}


def _pool(plan: Plan, journal: MemoryJournal, material: Material) -> dict[str, list[Any]]:
    pool, truth = journal.considered().pool, material.truth
    assert journal.frozen is not None
    return {
        "doubt": pool["answer_nll"].tolist(),
        "right": [same(plan.task, answer, truth[i]) for i, answer in zip(pool.index, pool["answer"], strict=True)],
        "accepted": [i in journal.frozen.answers for i in pool.index],
        "agreed": pool["agreed"].tolist(),
    }


def rows_of(
    data: str,
    config: Config,
    seeds: Sequence[int],
    processes: int,
    kept: Path | None,
    also: Sequence[str] = (),
    sizes: Sizes = (),
) -> Iterator[Row]:
    """One row a seed, as they come; first those that `kept` holds whole."""
    asked, known = identity(data, config, sizes), dict[int, Row]()
    for row in kept_rows(kept):
        if alike(row["of"], asked) and row["seed"] in seeds:
            known[row["seed"]] = together(known[row["seed"]], row) if row["seed"] in known else row
    waiting = [seed for seed in seeds if seed not in known or missing(known[seed], also)]
    yield from (row for seed, row in known.items() if seed not in waiting)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent) as pool:
        tasks = [pool.submit(study, data, config, seed, also, sizes, known.get(seed), kept) for seed in waiting]
        for done in as_completed(tasks):
            yield done.result()


def _end_with_parent() -> None:
    """A process of the pool ends when the command that started it is killed, instead of working on for nobody."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def crossed(rows: Sequence[Row], arm: str, other: str = "") -> metrics.Crossed:
    """Accuracy of an arm, or its lead over another, on the same records."""
    by_seed = [{row["seed"]: row["right"][name] for row in rows} for name in (arm, other) if name]
    return figures.crossed(*by_seed)


def told(found: metrics.Crossed, each: Sequence[float]) -> str:
    mean, low, high = (f"{100 * value:6.1f}" for value in (found.mean, found.low, found.high))
    seeds, items = (f"{100 * value:.1f}" for value in (found.se_seeds, found.se_items))
    spread = f"{100 * np.std(each, ddof=1):5.1f}" if len(each) > 1 else "    -"
    return f"{mean}  [{low},{high}]  sd {spread}   se {seeds} seeds, {items} records"


def arms_of(rows: Sequence[Row]) -> list[str]:
    """The arms that every row has, in the order of the table."""
    return [arm for arm in ARMS if all(row["right"].get(arm) for row in rows)]


def share(row: Row, arm: str) -> float:
    return figures.share(row["right"][arm])


def report(rows: Sequence[Row]) -> dict[str, Any]:
    """The printed tables; returns their figures."""
    numbers: dict[str, Any] = {}
    print("accuracy on test, %                                mean   [95 % interval]   over seeds")
    arms = arms_of(rows)
    for arm in arms:
        found = crossed(rows, arm)
        numbers[arm] = found.mean
        print(f"{arm:46}{told(found, [share(row, arm) for row in rows])}")
    others = ("warm-up", NAMES["regression"], *(name for name, _ in EXTRA.values()))
    pairs = [("evolved", other) for other in others]
    pairs += [(NAMES["evolved_ensemble"], other) for other in ("evolved", NAMES["warm_up_ensemble"], *others)]
    for one, other in (pair for pair in pairs if set(pair) <= set(arms)):
        gains = [share(row, one) - share(row, other) for row in rows]
        found = crossed(rows, one, other)
        numbers[f"{one} - {other}"] = [found.mean, found.low, found.high]
        wins = f"better on {sum(gain > 0 for gain in gains)} of {len(gains)}"
        print(f"{f'{one} - {other}':46}{told(found, gains)}   {wins}")
    print("\npseudo-labels, %             mean    sd over seeds")
    pools = [{name: np.array(column) for name, column in row["pool"].items()} for row in rows]
    quality = {
        "right of all": [pool["right"].mean() for pool in pools],
        "right of accepted": [pool["right"][pool["accepted"]].mean() for pool in pools],
        "accepted": [pool["accepted"].mean() for pool in pools],
        "agreed": [pool["agreed"].mean() for pool in pools],
        "risk-coverage area": [metrics.risk_coverage(pool["doubt"], pool["right"]).area for pool in pools],
        "Brier score": [metrics.brier(np.exp(-pool["doubt"]), pool["right"]) for pool in pools],
    }
    for name, values in quality.items():
        numbers[name] = float(np.mean(values))
        print(f"{name:24}{100 * np.mean(values):9.1f}{100 * np.std(values):9.1f}")
    curve = metrics.reliability(
        np.exp(-np.concatenate([pool["doubt"] for pool in pools])), np.concatenate([pool["right"] for pool in pools])
    )
    print("\nreliability, %: stated   right   a calibrated model's 95 % band   records")
    for line in zip(curve.confidence, curve.accuracy, curve.null_low, curve.null_high, curve.count, strict=True):
        stated, right, low, high = (100 * value for value in line[:4])
        print(f"{stated:22.1f}{right:8.1f}{low:15.1f} to {high:5.1f}{line[4]:20}")
    print(f"expected calibration error {100 * curve.ece:.1f}; of a calibrated model {100 * curve.null_ece:.1f}")
    return numbers | {"ece": curve.ece, "null_ece": curve.null_ece}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("sample", "fpb", "arc"), default="sample")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--preset", choices=presets.PRESETS, default="studio")
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="seeds at a time, one thread each")
    parser.add_argument("--also", nargs="+", choices=OPTIONAL, default=[], help="more arms, which cost time")
    for split in ("labeled", "unlabeled", "test"):
        parser.add_argument(f"--{split}", type=int, help=f"{split} records, where not those of the published file")
    parser.add_argument("--rows", type=Path, help="file that keeps finished arms: .jsonl, .jsonl.gz")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    config: Config = presets.load(chosen.preset, None, [*chosen.assignments, "threads=1"])
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    rows: list[Row] = []
    splits: tuple[Split, ...] = ("labeled", "unlabeled", "test")
    sizes = [(split, size) for split in splits if (size := getattr(chosen, split)) is not None]
    for row in rows_of(chosen.data, config, seeds, chosen.processes, chosen.rows, chosen.also, sizes):
        rows.append(row)
        arms = "  ".join(f"{arm} {100 * share(row, arm):.1f}" for arm in arms_of([row]))
        print(f"seed {row['seed']} ({row['seconds']:.0f} s)  {arms}", flush=True)
    print(f"\n{chosen.data}: {load(chosen.data)[2] | dict(sizes)}, {len(rows)} seeds\n")
    found = report(sorted(rows, key=lambda row: row["seed"]))
    if chosen.json:
        print(json.dumps({"data": chosen.data, "seeds": list(seeds), "figures": found}))


if __name__ == "__main__":
    main()
