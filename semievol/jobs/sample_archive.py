"""`python -m semievol.jobs.sample_archive`: runs the bundled sample with the code as it stands and writes its archive.

Everything happens in a temporary workspace: all stages up to the candidates, cross-fitting of the labeled records, some
reviews by a made-up reviewer, who answers with the hidden gold, then the selection, the fine-tuning and the evaluation.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from semievol import presets
from semievol.config import Config
from semievol.errors import UserError
from semievol.evidence.reviews import drawing_order
from semievol.export import archive
from semievol.jobs import intake, launch
from semievol.method import crossfit
from semievol.records import GOLD_REVIEWER
from semievol.selection.policy import Cut
from semievol.store.data import records, versions
from semievol.store.data.projects import Project, project_folder
from semievol.store.database import Store, open_store
from semievol.store.decisions import decisions, reviews
from semievol.store.results import outcomes, results
from semievol.store.runs import rounds, runs
from semievol.store.runs.rounds import Round
from semievol.task.answers import same

NOTE = "Answered from the hidden gold, to show what a review looks like."
RANDOM_REVIEW, BY_HAND = 20, 12
"""Answers of the random review, and decisions on the candidates that the model is least sure of."""
SHIPPED = tuple(
    f"{training}.{setting}"
    for training in ("tune", "propagation.warm_up")
    for setting in ("method=lora", "lora.rank=8", "lora.alpha=16", "store_dtype=bf16")
)
LARGEST_ADAPTERS = 12e6
"""Bytes that both adapters may take together."""


def main(arguments: list[str] | None = None) -> int:
    """Makes the archive; 0 when it went well, 2 when something has to be done first."""
    parser = argparse.ArgumentParser(prog="python -m semievol.jobs.sample_archive", description=__doc__)
    parser.add_argument("--out", type=Path, default=intake.SAMPLE_ARCHIVE)
    parser.add_argument("--preset", choices=presets.PRESETS, default="studio")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="key=value",
        dest="assignments",
        help=f"beside what makes adapters small enough to ship: {', '.join(SHIPPED)}",
    )
    chosen = parser.parse_args(arguments)
    try:
        config = presets.load(chosen.preset, None, [*SHIPPED, *chosen.assignments])
        with tempfile.TemporaryDirectory(prefix="semievol-sample-", ignore_cleanup_errors=True) as home:
            size = make(open_store(Path(home)), config, chosen.out)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Written: {chosen.out} ({size / 1e6:.1f} MB)")
    return 0


def make(store: Store, config: Config, out: Path) -> int:
    """Runs the sample in this empty workspace and writes the archive; returns its size in bytes."""
    project = intake.plain_sample(store)
    propagated = _finished(store, launch.start(store, project, config, until=launch.PROPAGATE.until))
    round_ = rounds.get_round(store, propagated.round_id)
    _cross_fit(store, project, round_, config)
    _review_at_random(store, round_)
    _review_by_hand(store, round_)
    _finished(store, launch.start(store, project, config, "select", "evaluate", round_id=round_.id))
    folders = outcomes.adapters(store, round_.id).values()
    weight = sum(file.stat().st_size for folder in folders for file in Path(folder).iterdir())
    if weight > LARGEST_ADAPTERS:
        raise UserError(
            f"The adapters take {weight / 1e6:.1f} MB, {LARGEST_ADAPTERS / 1e6:.0f} may be shipped.",
            "lora.rank",
            "Set a lower rank for tune and propagation.warm_up.",
        )
    archive.write(store, project, out, overwrite=True)
    return out.stat().st_size


def _finished(store: Store, run: runs.Run) -> runs.Run:
    """The run once it is done, its progress printed on standard error."""
    run = launch.follow(store, run.id)
    if run.status != "done":
        error = run.error or {"what": f"The run was {run.status}.", "where": "", "remedy": "Start again."}
        raise UserError(**error)
    return run


def _cross_fit(store: Store, project: Project, round_: Round, config: Config) -> None:
    """Cross-fits the labeled records, so that the sample opens with an estimate of precision.

    The folds' adapters are removed: they have answered all they are for, and together are larger than the archive.
    """
    folds = config.model_copy(update={"cross_fit": crossfit.FOLDS})
    _finished(store, launch.start(store, project, folds, until=launch.PROPAGATE.until, round_id=round_.id))
    for folder in (project_folder(store, project.id) / "rounds" / str(round_.id)).glob("*-without-fold-*"):
        shutil.rmtree(folder)


def _review_at_random(store: Store, round_: Round) -> None:
    """A random review of what the policy keeps, every question answered."""
    gold = records.hidden_gold(store, round_.version_id)
    pool, calibration = results.candidate_frame(store, round_.id), results.calibration_frame(store, round_.id)
    cut = Cut(round_.config.policy, pool, calibration)
    kept = pool[cut.mask]
    order = drawing_order(dict(zip(kept.index, kept["content_hash"], strict=True)))
    size = min(RANDOM_REVIEW, len(order))
    if not size:
        return
    review = reviews.begin(store, round_.id, cut.policy, order, "fixed", size, reviewer=GOLD_REVIEWER)
    while (question := review.sample.next_question()) is not None:
        record_id, again = question
        action = "accept" if review.sample.agrees(record_id, gold[record_id]) else "edit"
        reviews.answer(store, review, record_id, action, gold[record_id], again, GOLD_REVIEWER)
        review = reviews.get(store, review.id)
    reviews.end(store, review.id)


def _review_by_hand(store: Store, round_: Round) -> None:
    """Decisions on the candidates of which the model is least sure, as an expert makes them one by one."""
    gold, task = records.hidden_gold(store, round_.version_id), versions.task_of(store, round_.version_id)
    pool = results.candidate_frame(store, round_.id)
    pool = pool[pool["decision"].isna()]
    unsure = pool.sort_values(round_.config.policy.measure, ascending=False, kind="stable").head(BY_HAND)
    for record_id, shown in zip(unsure.index, unsure["answer"], strict=True):
        right = same(task, shown, gold[record_id])
        decisions.decide(
            store,
            round_.project_id,
            round_.id,
            record_id,
            action="accept" if right else "edit",
            answer_shown=shown,
            answer=None if right else gold[record_id],
            reviewer=GOLD_REVIEWER,
            note=NOTE,
        )


if __name__ == "__main__":
    sys.exit(main())
