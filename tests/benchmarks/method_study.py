"""What the method gains on a data set: every arm over seeds that redraw the splits, mean and spread.

    python -m tests.benchmarks.method_study --data sample|fpb|arc [--seeds 10] [--preset studio] [--set key=value]...

Arms: base zero-shot, base with 3 demonstrations, warm-up (plain fine-tuning on the labeled records), self-training (one
collaborator without demonstrations), evolved, and all true labels. Every seed draws labeled, unlabeled and test records
anew from all records of the data set, in the published sizes. No setting is chosen on these test sets. Takes minutes a
seed; with --json the last line is one object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from semievol import config as settings
from semievol.config import Collaborator, Config
from semievol.engines.local import LocalEngine
from semievol.jobs.intake import SAMPLE_FOLDER, draft
from semievol.method import metrics
from semievol.method.evolve import evolve
from semievol.method.judging import candidate_frames
from semievol.method.protocols import Engine, Frozen, Plan
from semievol.method.questions import ask_of
from semievol.method.tasks import same
from semievol.records import Demonstration, Record, Split, Task
from tests.fakes import MemoryJournal

SHARED = Path(__file__).parents[3] / "shared" / "data"
ARMS = ("base", "base, 3 demonstrations", "warm-up", "self-training", "evolved", "all true labels")


class FolderJournal(MemoryJournal):
    """A journal in memory whose adapters lie in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def folder(self, stage: str) -> Path:
        return self._folder / stage


def load(data: str) -> tuple[Task, list[Record], dict[Split, int]]:
    """Task, all records with their true answers, and the published size of each split."""
    folder = SAMPLE_FOLDER if data == "sample" else SHARED / data
    files: dict[Split, Path] = {"labeled": folder / "labeled.csv"}
    files |= {"unlabeled": folder / "unlabeled.csv", "test": folder / "test.csv"}
    imported = draft(files, hide_gold=True)
    gold = imported.imported.hidden_gold
    records = [replace(r, answer=gold.get(r.id, r.answer)) for r in imported.imported.records]
    records = [record for record in records if record.answer is not None]
    return imported.task, records, {split: sum(r.split == split for r in records) for split in files}


def redraw(records: Sequence[Record], sizes: dict[Split, int], seed: int) -> dict[Split, list[Record]]:
    """Splits of the given sizes, drawn anew; records of equal content stay together in the first split drawn."""
    order = np.random.default_rng(seed).permutation(len(records))
    drawn: dict[Split, list[Record]] = {split: [] for split in sizes}
    home: dict[str, Split] = {}
    waiting = [split for split, size in sizes.items() for _ in range(size)]
    for position, split in zip(order, waiting, strict=True):
        record = records[position]
        split = home.setdefault(record.content_hash, split)
        drawn[split].append(replace(record, split=split))
    return drawn


def study(plan: Plan, engine: Engine, truth: dict[str, str], folder: Path) -> dict[str, Any]:
    """Test accuracy of every arm and the quality of the pseudo-labels, for one seed."""
    journal = FolderJournal(folder / "studio")
    evolve(plan, engine, journal)
    found = {"base": journal.evaluation["base"]["accuracy"], "warm-up": journal.evaluation["warm_up"]["accuracy"]}
    found |= {"evolved": journal.evaluation["evolved"]["accuracy"], "p_value": journal.evaluation["p_value"]}
    found["base, 3 demonstrations"] = _with_demonstrations(plan, engine)
    found["self-training"] = _self_training(plan, engine, journal, folder / "self")
    found["all true labels"] = _all_gold(plan, engine, journal, truth, folder / "gold")
    return found | _pseudo_labels(plan, journal, truth)


def _with_demonstrations(plan: Plan, engine: Engine) -> float:
    who = Collaborator(name="base with demonstrations", model="base")
    near = engine.neighbours(plan.labeled, plan.test, 3, plan.config.propagation.embedder)
    shown: dict[str, Sequence[Demonstration]] = {r.id: n for r, n in zip(plan.test, near, strict=True)}
    asks = [ask_of(plan, engine, "evaluate", record, who, {"base": "base"}, shown) for record in plan.test]
    replies = engine.answer(asks)
    return float(np.mean([same(plan.task, p.text, r.answer) for p, r in zip(replies, plan.test, strict=True)]))


def _self_training(plan: Plan, engine: Engine, journal: MemoryJournal, folder: Path) -> float:
    """The same warm-up answers alone and without demonstrations; same share kept, same fine-tuning."""
    alone = Collaborator(name="warm-up alone", demonstrations=False)
    propagation = plan.config.propagation.model_copy(update={"collaborators": (alone,), "justify": False})
    config = plan.config.model_copy(update={"propagation": propagation})
    own = FolderJournal(folder)
    own.adapters["warm_up"] = journal.adapters["warm_up"]
    own.near = journal.near
    evolve(replace(plan, config=config), engine, own, first="respond")
    return float(own.evaluation["evolved"]["accuracy"])


def _all_gold(plan: Plan, engine: Engine, journal: MemoryJournal, truth: dict[str, str], folder: Path) -> float:
    own = FolderJournal(folder)
    own.adapters["warm_up"] = journal.adapters["warm_up"]
    own.frozen = Frozen(1, None, {record.id: truth[record.id] for record in plan.unlabeled})
    evolve(plan, engine, own, first="tune")
    return float(own.evaluation["evolved"]["accuracy"])


def _pseudo_labels(plan: Plan, journal: MemoryJournal, truth: dict[str, str]) -> dict[str, float]:
    pool, _ = candidate_frames(plan, journal)
    assert journal.frozen is not None
    right = np.array([same(plan.task, answer, truth[i]) for i, answer in pool["answer"].items()])
    kept = np.array([i in journal.frozen.answers for i in pool.index])
    doubt = pool["answer_nll"].to_numpy()
    return {
        "pseudo all": float(right.mean()),
        "pseudo accepted": float(right[kept].mean()) if kept.any() else float("nan"),
        "accepted share": float(kept.mean()),
        "agreed share": float(pool["agreed"].mean()),
        "risk-coverage area": float(metrics.risk_coverage(doubt, right).area),
        "error rate": float(1 - right.mean()),
        "brier": float(np.mean((np.exp(-doubt) - right) ** 2)),
    }


def _mean_and_interval(values: Sequence[float]) -> str:
    """Mean, standard deviation over seeds and the 95 % t interval of the mean."""
    array = np.array(values)
    if len(array) < 2:
        return f"{array.mean():.3f}"
    half = stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return f"{array.mean():.3f}  sd {array.std(ddof=1):.3f}  [{array.mean() - half:.3f}, {array.mean() + half:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("sample", "fpb", "arc"), default="sample")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--preset", choices=settings.PRESETS, default="studio")
    parser.add_argument("--set", action="append", default=[], dest="assignments")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    config: Config = settings.load(chosen.preset, None, chosen.assignments)
    task, records, sizes = load(chosen.data)
    truth = {record.id: record.answer or "" for record in records}
    engine = LocalEngine(config.model, config.precision, config.threads)
    rows = []
    for seed in range(chosen.first_seed, chosen.first_seed + chosen.seeds):
        began = time.monotonic()
        splits = redraw(records, sizes, seed)
        plan = Plan(
            task=task,
            config=config.model_copy(update={"seed": seed}),
            labeled=splits["labeled"],
            unlabeled=[replace(record, answer=None) for record in splits["unlabeled"]],
            test=splits["test"],
        )
        with tempfile.TemporaryDirectory() as folder:
            row = study(plan, engine, truth, Path(folder))
        rows.append(row)
        told = "  ".join(f"{name} {value:.3f}" for name, value in row.items())
        print(f"seed {seed} ({time.monotonic() - began:.0f} s)  {told}", flush=True)
    print(f"\n{chosen.data}: {sizes}, {len(rows)} seeds\n")
    for name in (*ARMS, *(key for key in rows[0] if key not in ARMS)):
        print(f"{name:26}{_mean_and_interval([row[name] for row in rows])}")
    for other in ("warm-up", "self-training"):
        gains = [row["evolved"] - row[other] for row in rows]
        print(f"evolved - {other:16}{_mean_and_interval(gains)}  better on {sum(g > 0 for g in gains)} of {len(gains)}")
    if chosen.json:
        print(json.dumps({"data": chosen.data, "sizes": sizes, "seeds": rows}))


if __name__ == "__main__":
    main()
