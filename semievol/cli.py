"""The command line: what the pages do, without a browser.

Every verb takes `--json`; the last line on standard output is then one JSON object. Exit codes: 0 fine, 1 the run
failed, 2 the user's mistake, explained in one sentence on standard error.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, get_args

from semievol import config as settings
from semievol import installed, terminal
from semievol.errors import UserError
from semievol.export import FORMS, backup, export, restoring
from semievol.export.files import table as write_table
from semievol.importing import import_report
from semievol.importing.readers.overrides import QUOTES, per_file
from semievol.jobs import external_review, intake, launch, models
from semievol.jobs.summary import summary
from semievol.records import STAGES, Kind, Split
from semievol.store.data import projects
from semievol.store.database import Store, open_store
from semievol.store.runs import claims, rounds, runs
from semievol.store.schema import ACTIVE, NOT_ENDED

log = logging.getLogger("semievol")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses `arguments`, carries out the verb, returns the exit code."""
    with redirect_stderr(terminal.OptionalStream(sys.stderr)):
        return _carry_out(arguments)


def _carry_out(arguments: Sequence[str] | None) -> int:
    try:
        chosen = _parser().parse_args(arguments)
        store = open_store(chosen.workspace)
        code, result, words = chosen.verb(store, chosen)
    except UserError as mistake:
        print(f"semievol: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("semievol: interrupted; what was not finished is not stored.", file=sys.stderr)
        return 1
    except Exception:
        log.exception("something broke")
        print("semievol: an unexpected error occurred; the details are above.", file=sys.stderr)
        return 1
    text = json.dumps(result, ensure_ascii=False, allow_nan=False) if chosen.json else words
    return terminal.write_result(text, int(code))


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as a `UserError` instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}.", "", f"See `{self.prog} --help`.")


def _id(text: str) -> int:
    """The id of a round, run or selection."""
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise argparse.ArgumentTypeError(f'"{text}" is not an id of a round, run or selection')
    return int(text)


def _parser() -> argparse.ArgumentParser:
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--workspace", type=Path, help="folder of the workspace (default: $SEMIEVOL_HOME or ~/.semievol)"
    )
    shared.add_argument("--json", action="store_true", help="print the result as one JSON object on the last line")
    parser = _Parser(prog="python -m semievol", description="Semi-supervised fine-tuning of language models.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, parents=[shared], help=text, description=text)
        added.set_defaults(verb=function)
        return added

    verb("sample", _sample, "create the bundled sample project")
    option = verb("import", _import, "make a project from files or from an archive").add_argument
    option("--archive", type=Path, metavar="F", help="archive of a whole project, instead of files")
    option("--labeled", type=Path, help="file with known answers")
    option("--unlabeled", type=Path, help="file without answers")
    option("--test", type=Path, help="file with known answers, used only to test models")
    option("--name", help="name of the project; optional for an archive")
    option("--task", choices=get_args(Kind), help="kind of task; inferred if left out")
    option("--map", metavar="question=COL,answer=COL,options=COL", help="role of each column; inferred if left out")
    each = "for all files that have one, or for one file: labeled=%s; may be given several times"
    for name, values, what in (
        ("--sheet", "NAME", f"sheet of a workbook, {each % 'NAME'}"),
        ("--encoding", "NAME", f"encoding of a text file, {each % 'cp1252'}"),
        ("--delimiter", "CHAR", f'"tab" or a character, {each % "tab"}'),
        ("--quotes", "|".join(QUOTES), f"what quotation marks mean in a text file, {each % 'literal'}"),
    ):
        option(name, action="append", default=[], metavar=values, help=what)
    known = f"whether the first row holds names of columns, {each % 'no'}"
    option("--header", action="append", default=[], nargs="?", const="yes", metavar="yes|no", help=known)
    option("--no-header", action="append_const", const="no", dest="header", help="the first row is a record")
    option("--labels", default="", metavar="NAME,NAME", help="the labels; names of labels that are numbers, in order")
    option("--instruction", default="", metavar="TEXT", help="what is asked of every record (system message)")
    option("--hide-gold", action="store_true", help="keep answers of the unlabeled file, for measuring only")
    option("--count-from", type=int, choices=(0, 1), help="number of the first option in numeric answers; inferred")
    option("--rejected", type=Path, metavar="FILE", help="write every rejected row with its reason to this file")
    option("--strict", action="store_true", help="stop with an error if a finding needs a decision")
    option("--accept", action="append", default=[], metavar="FINDING", help="confirm a finding that --strict refuses")
    option = verb("instruct", _instruct, "set the instruction of a project, as a new dataset version").add_argument
    option("project", metavar="PROJECT")
    option("instruction", metavar="TEXT", help="what is asked of every record; empty for none")
    option = verb("run", _run, "propagate, select, fine-tune, evaluate").add_argument
    option("project", nargs="?", metavar="PROJECT")
    option("--preset", choices=settings.PRESETS, help="named settings to start from (default: studio)")
    option("--config", type=Path, metavar="F.yaml", help="YAML file with settings that differ from it")
    option("--set", action="append", default=[], metavar="key=value", dest="assignments", help="change one setting")
    option("--round", type=_id, metavar="ID", help="work in this round")
    option("--parent", type=_id, metavar="ID", help="open a round that starts from the model of this one")
    option("--from", choices=STAGES, default="warm_up", dest="first", help="first stage")
    option("--until", choices=STAGES, default="evaluate", help="last stage (it is run, too)")
    option("--selection", type=_id, metavar="N", help="number of the frozen selection to fine-tune on")
    option("--resume", type=_id, metavar="RUN", help="continue this stopped or failed run")
    option = verb("stop", _stop, "stop a run at its next safe point; what is finished is kept").add_argument
    option("run", type=_id, metavar="RUN")
    option = verb("status", _status, "list projects, or show the runs of a project, or one run").add_argument
    option("subject", nargs="?", metavar="PROJECT | RUN")
    option = verb("export", _export, "write results to a file or folder").add_argument
    option("project", metavar="PROJECT")
    option("--what", choices=FORMS, required=True)
    option("--out", type=Path, required=True)
    option = verb("decisions", _decisions, "import what a team decided in another tool").add_argument
    option("what", choices=("import",))
    option("project", metavar="PROJECT")
    option("file", type=Path, metavar="FILE", help="JSON export of Label Studio, Argilla or Prodigy")
    option("--by", required=True, metavar="NAME", help="who signs the decisions")
    option("--round", type=_id, metavar="ID", help="the round that was reviewed (default: the newest)")
    option("--replace", action="store_true", help="also overrule decisions that were made here")
    option("--dry-run", action="store_true", help="only say what would be stored")
    option = verb("backup", _backup, "write the whole workspace to one file").add_argument
    option("--out", type=Path, required=True, metavar="F", help=f"a new file, ending in {backup.ENDING}")
    option = verb("restore", _restore, "put a backup in the place of this workspace").add_argument
    option("file", type=Path, metavar="F")
    option("--replace", action="store_true", help="also if there are projects; they are kept beside the new ones")
    option = verb("models", _models, "list the known models, or check some").add_argument
    option("what", nargs="?", choices=("list", "check"), default="list")
    option("names", nargs="*", metavar="NAME", help="models to check (only with `check`)")
    option = verb("compare", _compare, "show the results of several runs").add_argument
    option("runs", type=_id, nargs="+", metavar="RUN")
    return parser


_Outcome = tuple[int, Any, str]
"""Of a verb: the exit code, the result for `--json`, and the same as text."""


def _sample(store: Store, chosen: argparse.Namespace) -> _Outcome:
    project = intake.open_sample(store, lambda sentence: print(sentence, file=sys.stderr))
    return 0, {"project": project.name, "id": project.id}, f'The sample project is ready: "{project.name}".'


def _import(store: Store, chosen: argparse.Namespace) -> _Outcome:
    if chosen.archive is not None:
        return _restored(store, chosen)
    for option in ("labeled", "unlabeled", "name"):
        if getattr(chosen, option) is None:
            raise UserError(
                f"--{option} is missing.", "import", "Give --labeled, --unlabeled and --name, or --archive."
            )
    files: dict[Split, Path] = {"labeled": chosen.labeled, "unlabeled": chosen.unlabeled}
    if chosen.test:
        files["test"] = chosen.test
    names = {split: path.name for split, path in files.items()}
    read_as = per_file(names, chosen.sheet, chosen.encoding, chosen.delimiter, chosen.quotes, chosen.header)
    make_imported = partial(
        intake.prepare,
        kind=chosen.task,
        mapping=chosen.map,
        hide_gold=chosen.hide_gold,
        strict=chosen.strict,
        base=chosen.count_from,
        instruction=chosen.instruction,
        labels=chosen.labels,
        confirmed=chosen.accept,
    )
    with terminal.Bars() as bars:
        project, imported = intake.import_files(store, chosen.name, files, make_imported, bars.show, read_as)
    if chosen.rejected is not None:
        write_table(chosen.rejected, [{"split": split, **asdict(r)} for split, r in imported.rejected()])
    lines = [f'Project "{project.name}" ({imported.task.kind}).', *import_report.sentences(imported)]
    return 0, {"project": project.name, "id": project.id} | import_report.as_dict(imported), "\n".join(lines)


def _restored(store: Store, chosen: argparse.Namespace) -> _Outcome:
    given = [chosen.labeled, chosen.unlabeled, chosen.test, chosen.task, chosen.map, chosen.count_from, chosen.rejected]
    given += [*chosen.sheet, *chosen.encoding, *chosen.delimiter, *chosen.quotes, *chosen.header, *chosen.accept]
    given += [chosen.labels or None]
    if any(value is not None for value in given) or chosen.hide_gold or chosen.strict:
        raise UserError("An archive is imported as it is.", "--archive", "Give only --name with it.")
    with terminal.Bars() as bars:
        project = restoring.restore(store, chosen.archive, chosen.name, bars.show)
    found = {"rounds": len(rounds.list_rounds(store, project.id)), "runs": len(runs.list_runs(store, project.id))}
    words = f'Project "{project.name}": rounds {found["rounds"]}, runs {found["runs"]}.'
    task = None if project.task is None else project.task.kind
    result = {"project": project.name, "id": project.id, "task": task, "counts": project.counts}
    return 0, result | found, words


def _instruct(store: Store, chosen: argparse.Namespace) -> _Outcome:
    project = intake.instruct(store, projects.find_project(store, chosen.project), chosen.instruction)
    words = f"The instruction was saved as version {project.version_number} of {project.name}."
    result = {"project": project.name, "id": project.id, "version": project.version_number}
    return 0, result | {"instruction": chosen.instruction.strip()}, words


def _run(store: Store, chosen: argparse.Namespace) -> _Outcome:
    run = _start(store, chosen) if chosen.resume is None else _resumed(store, chosen)
    run = launch.follow(store, run.id)
    result = summary(store, run.id)
    return 0 if run.status == "done" else 1, result, _as_text(result)


def _resumed(store: Store, chosen: argparse.Namespace) -> runs.Run:
    given = [chosen.project, chosen.preset, chosen.config, chosen.round, chosen.parent, chosen.selection]
    if any(value is not None for value in given) or chosen.assignments:
        raise UserError("A resumed run keeps its own settings.", "--resume", "Give the run's number alone.")
    return launch.resume(store, chosen.resume)


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
        config = settings.overlaid(round_.config.model_dump(mode="json"), chosen.assignments)
    else:
        config = settings.load(chosen.preset or "studio", chosen.config, chosen.assignments)
    for name in rounds.IDENTITY:
        if getattr(config, name) != getattr(round_.config, name):
            what = f"Round {round_.id} was propagated with another value of this setting."
            raise UserError(what, name, "Leave --round out to open a round of its own, or leave the setting out.")
    return config


def _as_text(result: dict[str, Any]) -> str:
    """A run's `summary` in lines."""
    lines = [f'Run {result["run"]} of "{result["project"]}": {result["status"]} in {result["seconds"]} s.']
    if result["outcome"]:
        lines.append(f"  {result['outcome']}")
    if result["candidates"] is not None:
        lines.append(f"  {result['candidates']:,} candidates, {result['agreed']:,} agreed")
    if result["weights"]:
        lines.append("  weights: " + ", ".join(f"{name} {weight:.0%}" for name, weight in result["weights"].items()))
    if result["accepted"] is not None:
        lines.append(f"  {result['accepted']:,} accepted")
    for arm, found in result["evaluate"].items():
        if found is not None:
            lines.append(f"  {arm}: {found['accuracy']:.1%} ({found['low']:.1%} to {found['high']:.1%})")
    if result["ahead"]:
        lines.append(f"  {result['ahead']}")
    lines += [f"  {note}" for note in result["notes"]]
    if result["error"]:
        lines.append(f"  {result['error']['what']} {result['error']['remedy']}")
    return "\n".join(lines)


def _stop(store: Store, chosen: argparse.Namespace) -> _Outcome:
    claims.settle(store)  # a run whose worker died has ended
    before = runs.get_run(store, chosen.run)
    if before.status not in NOT_ENDED:
        raise UserError(f"Run {before.id} is {before.status}.", "stop", "Only a queued or running run can be stopped.")
    launch.stop(store, before.id)
    after = runs.get_run(store, before.id)
    done = "It stops at the next safe point; what is finished is kept." if after.status in ACTIVE else ""
    result = {"run": after.id, "before": before.status, "status": after.status}
    return 0, result, f"Run {after.id} is {after.status}. {done}".strip()


def _status(store: Store, chosen: argparse.Namespace) -> _Outcome:
    launch.ensure_worker(store)
    if chosen.subject is None:
        listed = [{"project": p.name, "id": p.id, "counts": p.counts} for p in projects.list_projects(store)]
        return 0, {"projects": listed}, "\n".join(f"{p['id']}: {p['project']}" for p in listed) or "No projects yet."
    if chosen.subject.isdecimal() and int(chosen.subject) in [run.id for run in runs.list_runs(store)]:
        run = runs.get_run(store, int(chosen.subject))  # a number is a run's if there is such a run, else a project's
        result = summary(store, run.id)
        return 0, result | {"pid": run.pid, "attempt": run.attempt}, _as_text(result)
    project = projects.find_project(store, chosen.subject)
    listed_runs = [
        {"run": r.id, "round": r.round_id, "status": r.status, "first": r.first, "until": r.until, "pid": r.pid}
        for r in runs.list_runs(store, project.id)
    ]
    found_rounds = [{"round": r.id, "number": r.number} for r in rounds.list_rounds(store, project.id)]
    about = {"project": project.name, "id": project.id, "counts": project.counts}
    words = [f"run {r['run']}: {r['status']} ({r['first']} to {r['until']})" for r in listed_runs]
    return 0, about | {"rounds": found_rounds, "runs": listed_runs}, "\n".join(words) or "No runs yet."


def _export(store: Store, chosen: argparse.Namespace) -> _Outcome:
    project = projects.find_project(store, chosen.project)
    notes: list[str] = []
    with terminal.Bars() as bars:
        written = export(store, project, chosen.what, chosen.out, watch=bars.show, notes=notes)
    result = {"project": project.name, "what": chosen.what, "out": str(written)}
    return 0, result | ({"left_out": notes} if notes else {}), "\n".join([f"Written: {written}", *notes])


def _decisions(store: Store, chosen: argparse.Namespace) -> _Outcome:
    project = projects.find_project(store, chosen.project)
    with terminal.Bars() as bars:
        result, lines = external_review.from_file(
            store, project, chosen.file, chosen.by, chosen.round, chosen.replace, chosen.dry_run, bars.show
        )
    return 0, {"project": project.name} | result, "\n".join(lines)


def _backup(store: Store, chosen: argparse.Namespace) -> _Outcome:
    with terminal.Bars() as bars:
        out = backup.write(store, chosen.out, watch=bars.show)
    return 0, {"out": str(out), "bytes": out.stat().st_size}, f"Written: {out}"


def _restore(store: Store, chosen: argparse.Namespace) -> _Outcome:
    with terminal.Bars() as bars:
        kept = backup.restore(store, chosen.file, chosen.replace, bars.show)
    names = [project.name for project in projects.list_projects(store, archived=True)]
    words = f"The workspace has these projects now: {', '.join(names) or 'none'}."
    result = {"projects": names, "kept": None if kept is None else str(kept)}
    return 0, result, words + (f" What was there is kept in {kept}." if kept else "")


def _models(store: Store, chosen: argparse.Namespace) -> _Outcome:
    if chosen.what == "list":
        if chosen.names:
            raise UserError("A list takes no names.", "models list", "Write `models check NAME`.")
        found = models.known(store)
    else:
        if not chosen.names:
            raise UserError("No model was named.", "models check", "Write `models check NAME`; `models` lists them.")
        with terminal.Bars() as bars:
            found = [models.prepare(name, bars.show) for name in chosen.names]
    lines = [models_line(one) for one in found]
    if advice := installed.advice():
        lines.append(advice)
    return 0, {"models": [asdict(one) for one in found]}, "\n".join(lines)


def models_line(one: models.Known) -> str:
    """A model in a line: what it is, and what it needs."""
    size = f"{one.parameters / 1e6:,.0f} M parameters" if one.parameters else ""
    reads = f"{one.context:,} tokens of context" if one.context else ""
    needs = f"a run needs about {one.memory / 2**30:.1f} GB" if one.memory else ""
    parts = [one.state, one.title, one.architecture, size, reads, one.licence, needs, one.note]
    return f"{one.name}: " + ", ".join(part for part in parts if part)


def _compare(store: Store, chosen: argparse.Namespace) -> _Outcome:
    found = [summary(store, run_id) for run_id in chosen.runs]
    return 0, {"runs": found}, "\n".join(_as_text(one) for one in found)
