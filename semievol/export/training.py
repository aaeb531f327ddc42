"""The examples of a fine-tuning in the forms that other trainers read: chat messages, Alpaca, ShareGPT, a table.

`method.conversations` builds them for the `tune` stage and for these files, so both have the same examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from semievol.engines.models import tokenizer
from semievol.errors import UserError
from semievol.export import files, tables
from semievol.export.files import Row
from semievol.method.conversations import tune_examples
from semievol.method.protocols import Frozen, Plan
from semievol.records import STAGES, Example, Record
from semievol.store.data import projects, versions
from semievol.store.data.records import load_records
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.runs import rounds, runs
from semievol.store.runs.rounds import Round


def write(
    store: Store, project: projects.Project, round_: Round, selection: int, out: Path, form: str | None = None
) -> Path:
    """Writes the labeled records (without calibration) and the selection's accepted answers to `out`."""
    form = form or next((part[1:] for part in out.suffixes if part[1:] in FORMS), "chat")
    if form not in FORMS:
        raise UserError(f'There is no form "{form}" of training data.', "form", f"Choose one of: {', '.join(FORMS)}.")
    found = pairs(store, project, round_, selection)
    passports = tables.passports(store, project, round_, selection)
    gold: Row = {"origin": "gold", "project": project.name, "round": round_.number, "selection": selection}
    rows = [
        FORMS[form](example)
        | _plain(record, example)
        | {"passport": passports.get(record.id, gold | {"content_hash": record.content_hash})}
        for record, example in found
    ]
    return files.table(out, rows)


def pairs(store: Store, project: projects.Project, round_: Round, selection: int) -> list[tuple[Record, Example]]:
    """Gold and accepted answers exactly as `tune` is given them, each example with its record.

    The settings are those of the newest run that tuned on the selection, else of the round's newest run.
    """
    found = _runs(store, project, round_, selection)
    config = rounds.with_settings_of(round_, found[0].config) if found else round_.config
    held = rounds.held(store, round_.id)
    records = [r for r in load_records(store, round_.version_id) if r.content_hash not in held]
    plan = Plan(
        task=versions.task_of(store, round_.version_id),
        config=config,
        labeled=[record for record in records if record.split == "labeled"],
        unlabeled=[record for record in records if record.split == "unlabeled"],
    )
    frame = selections.selection_frame(store, round_.id, selection)
    answers, origins = (dict(zip(frame["record_id"], frame[name], strict=True)) for name in ("answer", "origin"))
    return tune_examples(plan, Frozen(selection, None, answers, origins), _control_tokens(found, round_) or ())


def caveat(store: Store, project: projects.Project, round_: Round, selection: int) -> str:
    """A sentence about control tokens left in the training data; empty if they are as in the training."""
    if _control_tokens(_runs(store, project, round_, selection), round_) is not None:
        return ""
    model = PurePath(round_.config.model).name
    return (
        f"The control tokens of {model} are not known, as no run noted them and the model is not on this machine: "
        "in the training data only control tokens in common use are broken up."
    )


def _runs(store: Store, project: projects.Project, round_: Round, selection: int) -> list[runs.Run]:
    """The round's runs: those that tuned on the selection, newest first, then the others."""

    def other(run: runs.Run) -> bool:
        span = STAGES[STAGES.index(run.first) : STAGES.index(run.until) + 1]
        return run.selection_used != selection or "tune" not in span

    return sorted((r for r in runs.list_runs(store, project.id) if r.round_id == round_.id), key=other)


def _control_tokens(found: Sequence[runs.Run], round_: Round) -> Sequence[str] | None:
    """The special tokens of the round's model as text, longest first: as the first of these runs that did noted them,
    else as the model's files have them. None where these are not on this machine."""
    noted = (run.environment.get("control_tokens") for run in found)
    return next(filter(None, noted), None) or tokenizer.control_tokens(round_.config.model)


def _plain(record: Record, example: Example) -> Row:
    """Columns that the Studio's own import reads; other trainers ignore them."""
    return tables.about(record) | {"answer": example.answer, "origin": example.origin}


def _system_and_user(example: Example) -> tuple[str, str]:
    system = "\n".join(turn.content for turn in example.messages if turn.role == "system")
    return system, example.messages[-1].content


def _chat(example: Example) -> Row:
    turns = [{"role": turn.role, "content": turn.content} for turn in example.messages]
    turns.append({"role": "assistant", "content": example.answer})
    return {"messages": turns}


def _alpaca(example: Example) -> Row:
    system, user = _system_and_user(example)
    return {"instruction": user, "input": "", "output": example.answer, "system": system}


def _sharegpt(example: Example) -> Row:
    system, user = _system_and_user(example)
    turns = [{"from": "human", "value": user}, {"from": "gpt", "value": example.answer}]
    return {"conversations": turns, "system": system}


FORMS: dict[str, Callable[[Example], Row]] = {"chat": _chat, "alpaca": _alpaca, "sharegpt": _sharegpt}
