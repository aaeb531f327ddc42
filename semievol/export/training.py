"""The examples that fine-tuning uses, in the forms that other trainers read: chat messages, Alpaca, ShareGPT, a table.

The prompts are those of `method.prompts`, so that a model trained elsewhere is asked the same here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from semievol.config import Config
from semievol.errors import UserError
from semievol.export import files, tables
from semievol.export.files import Row
from semievol.records import Example, Record, Task
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.runs import rounds, runs
from semievol.store.runs.rounds import Round
from semievol.task.prompts import neutralise, render


def write(
    store: Store,
    project: projects.Project,
    round_: Round,
    selection: int,
    out: Path,
    form: str | None = None,
    overwrite: bool = False,
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
    return files.table(out, rows, overwrite)


def examples(store: Store, project: projects.Project, round_: Round, selection: int) -> list[Example]:
    """Gold and accepted answers as `tune` sees them with the settings of the round's newest run."""
    return [example for _, example in pairs(store, project, round_, selection)]


def pairs(store: Store, project: projects.Project, round_: Round, selection: int) -> list[tuple[Record, Example]]:
    """As `examples`, each with its record."""
    task, held = projects.task_of(store, round_.version_id), rounds.held(store, round_.id)
    config = next((run.config for run in runs.list_runs(store, project.id) if run.round_id == round_.id), round_.config)
    records = [r for r in projects.load_records(store, round_.version_id) if r.content_hash not in held]
    frame = selections.selection_frame(store, round_.id, selection)
    accepted = dict(zip(frame["record_id"], zip(frame["answer"], frame["origin"], strict=True), strict=True))
    found = []
    for record in records:
        if record.split == "labeled" and record.answer is not None:
            if config.tune_on == "gold_and_pseudo":
                found.append((record, _example(task, config, record, record.answer, "gold")))
        elif record.split == "unlabeled" and record.id in accepted:
            found.append((record, _example(task, config, record, *accepted[record.id])))
    return found


def _example(task: Task, config: Config, record: Record, answer: str, origin: str) -> Example:
    turns = render(task, record, rule_first=config.rule_first)
    return Example(record.id, turns, neutralise(answer), origin)  # type: ignore[arg-type]


def _plain(record: Record, example: Example) -> Row:
    """What our own import reads back; other trainers pass over these columns."""
    row: Row = {"record_id": record.id, "source_id": record.source_id, "question": record.question}
    return row | {"options": list(record.options), "answer": example.answer, "origin": example.origin}


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
