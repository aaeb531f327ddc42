"""Runs: `run`, `stop`, `status`, `compare`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semievol import config as settings
from semievol import presets, terminal
from semievol.cli import study
from semievol.cli.arguments import Outcome, Verb, cluster, identifier
from semievol.errors import UserError
from semievol.jobs import launch, money, planning, studying
from semievol.jobs.summary import summary
from semievol.method import ledger
from semievol.method.spending import Spent
from semievol.records import STAGES
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.results.rounds_ledger import known_rounds
from semievol.store.runs import claims, progress, rounds, runs
from semievol.store.schema import ACTIVE, NOT_ENDED


def add(verb: Verb) -> None:
    """The options of these verbs."""
    option = verb("run", _run, "propagate, select, fine-tune, evaluate")
    option("project", nargs="?", metavar="PROJECT")
    option("--preset", choices=presets.PRESETS, help="named settings to start from (default: the project's own)")
    option("--config", type=Path, metavar="F.yaml", help="YAML file with settings that differ from it")
    option("--set", action="append", default=[], metavar="key=value", dest="assignments", help="change one setting")
    cluster(option)
    option("--round", type=identifier, metavar="ID", help="work in this round")
    option("--parent", type=identifier, metavar="ID", help="open a round that starts from the model of this one")
    option("--from", choices=STAGES, dest="first", help="first stage (default: warm_up)")
    option("--until", choices=STAGES, help="last stage, which is run, too (default: evaluate)")
    option("--selection", type=identifier, metavar="N", help="number of the frozen selection to fine-tune on")
    option("--resume", type=identifier, metavar="RUN", help="continue this stopped or failed run")
    option = verb("stop", _stop, "stop a run at its next safe point; what is finished is kept")
    option("run", type=identifier, metavar="RUN")
    option = verb("status", _status, "list projects, or show the runs of a project, or one run")
    option("subject", nargs="?", metavar="PROJECT | RUN")
    option = verb("compare", _compare, "show the results of several runs")
    option("runs", type=identifier, nargs="+", metavar="RUN")


def _run(store: Store, chosen: argparse.Namespace) -> Outcome:
    if chosen.resume is None:
        chosen.first, chosen.until = chosen.first or "warm_up", chosen.until or "evaluate"
        run = _start(store, chosen)
    else:
        run = _resumed(store, chosen)
    try:
        advice = [*_advice(store, chosen), *_expected(store, run)]
        print(terminal.harmless("".join(f"{line}\n" for line in advice)), end="", file=sys.stderr, flush=True)
    except KeyboardInterrupt:  # from here on `follow` does this
        launch.stop(store, run.id)
        raise
    run = launch.follow(store, run.id)
    result, text = _told(store, run)
    return 0 if run.status == "done" else 1, result | ({"advice": advice} if advice else {}), text


def _advice(store: Store, chosen: argparse.Namespace) -> list[str]:
    """What is said before a first round with few labeled records; nothing before any other run."""
    if chosen.resume is not None or chosen.first != "warm_up" or chosen.round is not None or chosen.parent is not None:
        return []
    project = projects.find_project(store, chosen.project)
    config = launch.project_config(project, chosen.preset, chosen.config, chosen.assignments)
    found = planning.small_budget(store, project, config)
    return [f"{found.heading}:", found.recommended, *found.reasons] if found else []


def _expected(store: Store, run: runs.Run) -> list[str]:
    """What the run will take at its endpoints, if it asks any; nothing for one that is resumed."""
    asks = run.study is None and (run.config.is_far or run.covers("respond") or run.covers("justify"))
    if not asks or run.spent is not None:
        return []
    round_ = rounds.get_round(store, run.round_id)
    stages, later = progress.steps(run.first, run.until), round_.parent_id is not None
    found = money.expected(store, round_.version_id, run.config, run.round_id, stages, later)
    return [one.sentence for one in found]


def _resumed(store: Store, chosen: argparse.Namespace) -> runs.Run:
    given = [chosen.project, chosen.preset, chosen.config, chosen.round, chosen.parent, chosen.selection]
    given += [chosen.first, chosen.until]
    others = [one for one in chosen.assignments if not one.startswith("budget=")]
    if any(value is not None for value in given) or others:
        raise UserError(
            "A resumed run keeps its own settings, but for its budget.",
            "--resume",
            "Give the run's number alone, or with --set budget=…",
        )
    budget = presets.load("studio", None, chosen.assignments).budget if chosen.assignments else None
    return launch.resume(store, chosen.resume, budget)


def _start(store: Store, chosen: argparse.Namespace) -> runs.Run:
    if chosen.project is None:
        raise UserError("No project was named.", "run", "Give a project, or --resume RUN.")
    if STAGES.index(chosen.first) > STAGES.index(chosen.until):
        raise UserError(f"--from {chosen.first} comes after --until {chosen.until}.", "run", "Swap them.")
    if chosen.round is not None and chosen.parent is not None:
        raise UserError("An existing round already has its parent.", "--parent", "Give --round or --parent.")
    project = projects.find_project(store, chosen.project)
    if chosen.round is None:
        config = launch.project_config(project, chosen.preset, chosen.config, chosen.assignments)
    else:
        config = _in_round(store, chosen)
    return launch.start(
        store,
        project,
        config,
        chosen.first,
        chosen.until,
        selection=chosen.selection,
        round_id=chosen.round,
        parent_id=chosen.parent,
    )


def _in_round(store: Store, chosen: argparse.Namespace) -> settings.Config:
    """The round's own settings, overlaid by the options. Raises UserError where they would make another round."""
    round_ = rounds.get_round(store, chosen.round)
    if chosen.preset is None and chosen.config is None:
        config = launch.placed(presets.overlaid(round_.config.model_dump(mode="json"), chosen.assignments))
    else:
        config = launch.placed(presets.load(chosen.preset or "studio", chosen.config, chosen.assignments))
    for name in rounds.IDENTITY:
        if getattr(config, name) != getattr(round_.config, name):
            what = f"Round {round_.id} was propagated with another value of this setting."
            raise UserError(what, name, "Leave --round out to open a round of its own, or leave the setting out.")
    return config


def _stop(store: Store, chosen: argparse.Namespace) -> Outcome:
    claims.settle(store)  # a run whose worker died has ended
    before = runs.get_run(store, chosen.run)
    if before.status not in NOT_ENDED:
        raise UserError(f"Run {before.id} is {before.status}.", "stop", "Only a queued or running run can be stopped.")
    launch.stop(store, before.id)
    after = runs.get_run(store, before.id)
    done = "It stops at the next safe point; what is finished is kept." if after.status in ACTIVE else ""
    result = {"run": after.id, "before": before.status, "status": after.status}
    return 0, result, f"Run {after.id} is {after.status}. {done}".strip()


def _status(store: Store, chosen: argparse.Namespace) -> Outcome:
    launch.ensure_worker(store)
    if chosen.subject is None:
        listed = [{"project": p.name, "id": p.id, "counts": p.counts} for p in projects.list_projects(store)]
        return 0, {"projects": listed}, "\n".join(f"{p['id']}: {p['project']}" for p in listed) or "No projects yet."
    known = [run.id for run in [*runs.list_runs(store), *runs.list_studies(store)]]
    if chosen.subject.isdecimal() and int(chosen.subject) in known:
        run = runs.get_run(store, int(chosen.subject))  # a number is a run's if there is such a run, else a project's
        result, text = _told(store, run)
        return 0, result | {"pid": run.pid, "attempt": run.attempt}, text
    project = projects.find_project(store, chosen.subject)
    listed_runs = [
        {"run": r.id, "round": r.round_id, "status": r.status, "first": r.first, "until": r.until, "pid": r.pid}
        for r in runs.list_runs(store, project.id)
    ]
    opened = rounds.list_rounds(store, project.id)
    counts = rounds.counting(opened)
    found_rounds = [{"round": r.id, "number": r.number, "counting": r == counts} for r in opened]
    lines = ledger.lines(known_rounds(store, project.id))
    about = {"project": project.name, "id": project.id, "counts": project.counts}
    listed_studies = [{"run": r.id, "status": r.status, "pid": r.pid} for r in runs.list_studies(store, project.id)]
    words = [f"run {r['run']}: {r['status']} ({r['first']} to {r['until']})" for r in listed_runs]
    words += [f"run {r['run']}: {r['status']} (study)" for r in listed_studies]
    words += [line.sentence for line in lines]
    about |= {"rounds": found_rounds, "ledger": [asdict(line) for line in lines]}
    return 0, about | {"runs": listed_runs, "studies": listed_studies}, "\n".join(words) or "No runs yet."


def _compare(store: Store, chosen: argparse.Namespace) -> Outcome:
    found = [_told(store, runs.get_run(store, run_id)) for run_id in chosen.runs]
    return 0, {"runs": [result for result, _ in found]}, "\n".join(text for _, text in found)


def _told(store: Store, run: runs.Run) -> tuple[dict[str, Any], str]:
    """The summary of a run or a study, and the same as text."""
    if run.study is not None:
        found = studying.summary(store, run)
        return found, study.as_text(found)
    result = summary(store, run.id)
    return result, _as_text(result)


def _as_text(result: dict[str, Any]) -> str:
    """A run's `summary` in lines."""
    took = "" if result["seconds"] is None else f" in {result['seconds']} s"
    lines = [f'Run {result["run"]} of "{result["project"]}": {result["status"]}{took}.']
    if result["outcome"]:
        lines.append(f"  {result['outcome']}")
    if result["candidates"] is not None:
        lines.append(f"  {result['candidates']:,} candidates, {result['agreed']:,} agreed")
    for name, spent in (result["endpoints"] or {}).items():
        lines.append(f"  {money.spent_line(name, Spent(**spent), priced=False)}")
    if result["weights"]:
        lines.append("  weights: " + ", ".join(f"{name} {weight:.0%}" for name, weight in result["weights"].items()))
    if result["accepted"] is not None:
        lines.append(f"  {result['accepted']:,} accepted")
    for arm, found in result["evaluate"].items():
        if found is not None:
            lines.append(f"  {arm}: {found['accuracy']:.1%} ({found['low']:.1%} to {found['high']:.1%})")
    lines += [f"  {sentence}" for key in ("ahead", "better_in_ensemble") if (sentence := result[key])]
    if result["label_errors"] and (count := len(result["label_errors"]["suspects"])):
        look = "1 label looks" if count == 1 else f"{count:,} labels look"
        lines.append(f"  {look} wrong; the Data page and --json list them")
    lines += [f"  {note}" for note in result["notes"]]
    if result["error"]:
        lines.append(f"  {result['error']['what']} {result['error']['remedy']}")
    return "\n".join(lines)
