"""The results of a run as one plain dict, for the command line's `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict
from typing import Any

from semievol.jobs import planning
from semievol.method import spending
from semievol.method.comparison import ARMS, ROWS
from semievol.method.conclusions import ahead, better_in_ensemble, outcome
from semievol.method.paired_tests import against_every_row
from semievol.records import STAGES
from semievol.selection.summary import pseudo_accuracy
from semievol.store.data import projects, versions
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import label_errors, outcomes, results
from semievol.store.runs import progress, rounds, runs

_INTERVAL = {"accuracy", "low", "high"}


def summary(store: Store, run_id: int) -> dict[str, Any]:
    """Keys as in docs/design.md, Command line, for `run --json`; None for what did not run."""
    run = runs.get_run(store, run_id)
    project = projects.find_project(store, run.project_id)
    evaluation = outcomes.evaluation(store, run_id) or {}
    later_round = rounds.get_round(store, run.round_id).parent_id is not None
    worked = runs.worked(store, run)
    return {
        "project": project.name,
        "project_id": project.id,
        "run": run.id,
        "round": run.round_id,
        "status": run.status,
        "seconds": None if worked is None else round(worked, 2),
        "stages": _stages(store, run_id),
        "outcome": outcome(evaluation, later_round) or None,
        "evaluate": {row: _part(evaluation.get(row), _INTERVAL) for row in ROWS if row in ARMS or row in evaluation},
        "scores": {
            row: _part(evaluation[row], evaluation[row].keys() - _INTERVAL) for row in ROWS if row in evaluation
        },
        "against": {one.row: asdict(one) for one in against_every_row(evaluation)},
        "p_value": evaluation.get("p_value"),
        "ahead": ahead(evaluation) or None,
        "better_in_ensemble": better_in_ensemble(evaluation) or None,
        **_candidates(store, run),
        "label_errors": _label_errors(store, run.round_id),
        "endpoints": {name: asdict(one) for name, one in spending.read(run.spent).items()} or None,
        "unanswered": planning.unanswered(store, rounds.get_round(store, run.round_id)) or None,
        "weights": (rounds.weights(store, run.round_id) or {}).get("everybody"),
        "notes": notes(store, run_id),
        "error": run.error,
    }


def notes(store: Store, run_id: int) -> list[str]:
    """The run's events as sentences, each one once: a resumed run repeats those of its earlier attempts. What ended the
    run is its error, not a note."""
    sentences = (
        f"{event.stage}: {event.text}" if event.stage else event.text for event in progress.events(store, run_id)
    )
    error = runs.get_run(store, run_id).error
    return [one for one in dict.fromkeys(sentences) if error is None or one != error["what"]]


def _stages(store: Store, run_id: int) -> dict[str, dict[str, float] | None]:
    timed: dict[str, dict[str, float] | None] = dict.fromkeys(STAGES)
    for stage in progress.stages(store, run_id):
        if stage.seconds is not None:
            seconds = max(stage.seconds, 1e-9)
            timed[stage.stage] = {"seconds": round(seconds, 3), "items_per_second": round(stage.done / seconds, 3)}
    return timed


def _part(row: dict[str, Any] | None, keys: Set[str]) -> dict[str, float | None] | None:
    return None if row is None else {key: value for key, value in row.items() if key in keys}


def _candidates(store: Store, run: runs.Run) -> dict[str, Any]:
    """Counts of the round's candidates and, with hidden gold, how many of them are right."""
    frame = results.candidate_frame(store, run.round_id)
    found: dict[str, Any] = {"candidates": None, "agreed": None, "accepted": None, "pseudo_accuracy": None}
    if frame.empty:
        return found
    found |= {"candidates": len(frame), "agreed": int(frame["agreed"].sum())}
    number = run.selection_used
    accepted: Mapping[str, str] = {}
    if number is not None:
        accepted = selections.get_selection(store, run.round_id, number).answers
        found["accepted"] = len(accepted)
    task = versions.task_of(store, rounds.get_round(store, run.round_id).version_id)
    shares = pseudo_accuracy(task, frame, accepted)
    return found | {"pseudo_accuracy": shares and dict(zip(("all", "accepted"), shares, strict=True))}


def _label_errors(store: Store, round_id: int) -> dict[str, Any] | None:
    """How many known records were judged by models that never saw them, and those whose label looks wrong."""
    found = label_errors.judged(store, round_id)
    if not found.records:
        return None
    listed = [
        {"record": one.record.id, "row": one.record.row, "source_id": one.record.source_id, "label": one.label}
        | {"likelier": one.likelier, "probabilities": dict(one.spread), "question": one.record.question}
        for one in found.suspects
    ]
    return {"judged": found.records, "suspects": listed}
