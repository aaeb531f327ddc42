"""Studies: `study`, and a study's result as text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from semievol import presets, wording
from semievol.cli.arguments import Outcome, Verb, cluster
from semievol.jobs import launch, studying
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.study import arms


def add(verb: Verb) -> None:
    """The options of this verb."""
    option = verb("study", _study, "compare the method with its baselines on splits that are drawn anew")
    option("project", metavar="PROJECT")
    named = [arm for arm in arms.ARMS if arm not in arms.LEFT_OUT]
    option(
        "--arms",
        default=arms.DEFAULT,
        metavar="A,B,...",
        help=f"what is compared (default: {arms.DEFAULT}). Arms: {', '.join(named)}, without_collaborator_1 (or "
        f"another place in the settings). Groups of arms: {', '.join(arms.GROUPS)}",
    )
    option("--seeds", type=int, default=studying.SEEDS, metavar="N", help="how often the splits are drawn anew")
    option("--preset", choices=presets.PRESETS, help="named settings to start from (default: those of the project)")
    option("--config", type=Path, metavar="F.yaml", help="YAML file with settings that differ from it")
    option("--set", action="append", default=[], metavar="key=value", dest="assignments", help="change one setting")
    cluster(option)


def _study(store: Store, chosen: argparse.Namespace) -> Outcome:
    project = projects.find_project(store, chosen.project)
    config = launch.project_config(project, chosen.preset, chosen.config, chosen.assignments)
    collaborators = [one.name for one in config.propagation.collaborators]
    compared = arms.chosen([name.strip() for name in chosen.arms.split(",") if name.strip()], collaborators)
    seconds = studying.seconds_needed(store, project, config, compared, chosen.seeds)
    run = studying.start(store, project, config, compared, chosen.seeds)
    if seconds:
        print(f"run {run.id}: {wording.about(seconds)}", file=sys.stderr)
    run = launch.follow(store, run.id)
    result = studying.summary(store, run)
    return 0 if run.status == "done" else 1, result, as_text(result)


def as_text(result: dict[str, Any]) -> str:
    """A study's `studying.summary` in lines."""
    lines = [f'Study (run {result["run"]}) of "{result["project"]}": {result["status"]}.']
    lines.append(f"  {result['done']} of {result['total']} results, {wording.plural(result['seeds'], 'seed')}")
    if result["arms"]:
        lines.append(f"\n{'accuracy on test, %':46} mean  95 % interval   se: seeds  records")
    titles = result["titles"]
    for arm, one in result["arms"].items():
        lines.append(f"  {titles[arm]:43}{_numbers(one)}")
    if result["differences"]:
        lines.append(f"\n{'evolved minus, points':46} mean  95 % interval   se: seeds  records  Holm p  ahead on")
    for arm, one in result["differences"].items():
        lines.append(f"  {titles[arm]:43}{_numbers(one)}   {one['p_holm']:6.3f}  {one['wins']} of {one['seeds']}")
    lines += [f"  {titles[arm]}: left out. {reason}" for arm, reason in result["skipped"].items()]
    lines += [f"  {sentence}" for sentence in [result["sentence"], *result["notes"]] if sentence]
    if result["error"]:
        lines.append(f"  {result['error']['what']} {result['error']['remedy']}")
    return "\n".join(lines)


def _numbers(one: dict[str, Any]) -> str:
    mean, low, high, seeds, items = (100 * one[name] for name in ("mean", "low", "high", "se_seeds", "se_items"))
    return f"{mean:6.1f}  {low:6.1f} to {high:5.1f}  {seeds:9.1f}  {items:7.1f}"
