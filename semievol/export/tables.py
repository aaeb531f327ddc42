"""Records as rows for a file: a round's candidates, a frozen selection with its passports, examples of a fine-tuning.

Examples come in the forms that other trainers read: chat messages, those of OpenAI's fine-tuning, Alpaca, ShareGPT.
`method.conversations` builds them for the `tune` stage and for these files, so both have the same examples.
Hidden gold is never among the columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from semievol.config import MEASURES
from semievol.engines.models import tokenizer
from semievol.engines.training import checkpoints
from semievol.errors import UserError
from semievol.export.files import Row
from semievol.importing.forms.unfolding import EARLIER
from semievol.method.conversations import tune_examples
from semievol.method.protocols import Plan
from semievol.records import STAGES, Example, Record, pairs_of
from semievol.store.data import projects, versions
from semievol.store.data.records import load_records
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import outcomes, results
from semievol.store.runs import rounds, runs
from semievol.store.runs.rounds import Round

_PAGE = 500


def candidates(store: Store, round_: Round) -> list[Row]:
    """Every pool record: question, options, final answer, agreement, measures, collaborators' answers, decision."""
    records = _records(store, round_)
    talks = any(record.earlier for record in records.values())
    names = [collaborator.name for collaborator in round_.config.propagation.collaborators]
    rows: list[Row] = []
    total = 1
    while len(rows) < total:
        page, total = results.candidates_page(store, round_.id, sort="record", offset=len(rows), limit=_PAGE)
        for record_id, found in page.iterrows():
            record = records[str(record_id)]
            row = _about(record, talks) | {
                name: _plain(found[name]) for name in ("answer", "agreed", "justified", "exactness")
            }
            row |= {measure: _plain(found[measure]) for measure in MEASURES}
            row |= {f"answer of {name}": found["votes"].get(name) for name in names}
            row |= {name: _plain(found[name]) for name in ("similarity", "decision", "decided_answer")}
            rows.append({**row, "content_hash": record.content_hash})
        if page.empty:
            break
    return rows


def selection(store: Store, project: projects.Project, round_: Round, number: int) -> list[Row]:
    """The answers of a frozen selection, each with its passport."""
    records = _records(store, round_)
    talks = any(record.earlier for record in records.values())
    found = _passports(store, project, round_, number)
    return [_about(records[i], talks) | passport for i, passport in found.items()]


def training(store: Store, project: projects.Project, round_: Round, number: int, form: str) -> list[Row]:
    """The labeled records (without calibration) and the accepted answers of a frozen selection, as examples of a
    fine-tuning. Where some were too long to be trained on, a column says which. The passport is JSON text, as a gold
    one has fewer entries: loaders want every row of a column to be of one type. form: one of `FORMS`; OpenAI refuses
    other columns than the messages."""
    if form not in FORMS:
        raise UserError(f'There is no form "{form}" of training data.', "form", f"Choose one of: {', '.join(FORMS)}.")
    found = pairs(store, project, round_, number)
    if form == OPENAI:
        return [FORMS[form](example) for _, example in found]
    passports = _passports(store, project, round_, number)
    too_long = _too_long(store, _runs(store, project, round_, number), number)
    talks = any(record.earlier for record, _ in found)
    gold: Row = {"origin": "gold", "project": project.name, "round": round_.place, "selection": number}
    return [
        FORMS[form](example)
        | _about(record, talks)  # columns from here on are read by the Studio's own import; other trainers ignore them
        | {"answer": example.answer, "origin": example.origin}
        | ({"trained_on": record.id not in too_long} if too_long else {})
        | {"passport": json.dumps(passports.get(record.id, gold | {"content_hash": record.content_hash}))}
        for record, example in found
    ]


def pairs(store: Store, project: projects.Project, round_: Round, number: int) -> list[tuple[Record, Example]]:
    """Gold and accepted answers exactly as `tune` is given them, each example with its record.

    The settings are those of the newest run that tuned on the selection, else of the round's newest run.
    """
    found = _runs(store, project, round_, number)
    config = rounds.with_settings_of(round_, found[0].config) if found else round_.config
    held = rounds.held(store, round_.id)
    records = [r for r in load_records(store, round_.version_id) if r.content_hash not in held]
    plan = Plan(
        task=versions.task_of(store, round_.version_id),
        config=config,
        labeled=[record for record in records if record.split == "labeled"],
        unlabeled=[record for record in records if record.split == "unlabeled"],
    )
    frozen = selections.get_selection(store, round_.id, number)
    return tune_examples(plan, frozen, control_tokens(found, round_) or ())


def caveat(store: Store, project: projects.Project, round_: Round, number: int) -> str:
    """A sentence about control tokens left in the training data; empty if they are as in the training."""
    if control_tokens(_runs(store, project, round_, number), round_) is not None:
        return ""
    model = PurePath(round_.config.model).name
    return (
        f"The control tokens of {model} are not known, as no run noted them and the model is not on this machine: "
        "in the training data only control tokens in common use are broken up."
    )


def _about(record: Record, talks: bool = False) -> Row:
    """The first columns of every table of records. talks: whether some of them have earlier turns."""
    row = {"record_id": record.id, "source_id": record.source_id, "question": record.question}
    return row | {"options": list(record.options)} | ({EARLIER: pairs_of(record.earlier)} if talks else {})


def _passports(store: Store, project: projects.Project, round_: Round, number: int) -> dict[str, Row]:
    """Record id -> the passport of an accepted answer: how sure it is, by whom, from what, under which policy."""
    rows, behind = selections.passports(store, round_.id, number), results.backgrounds(store, round_.id)
    frozen = next(s for s in selections.selections(store, round_.id) if s["number"] == number)
    found: dict[str, Row] = {}
    for row in rows:
        record_id, content_hash = row.pop("record_id"), row.pop("content_hash")
        del row["question"]
        row |= behind.get(record_id, {"votes": {}, "demonstrations": []})
        row |= {"project": project.name, "round": round_.place, "selection": number, "frozen": frozen["created"]}
        found[record_id] = row | {"policy": frozen["policy"], "content_hash": content_hash}
    return found


def _plain(value: Any) -> Any:
    """A cell of a frame as plain Python; None for what is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _records(store: Store, round_: Round) -> dict[str, Record]:
    return {record.id: record for record in load_records(store, round_.version_id, "unlabeled")}


def _runs(store: Store, project: projects.Project, round_: Round, number: int) -> list[runs.Run]:
    """The round's runs: those that tuned on the selection, newest first, then the others."""

    def other(run: runs.Run) -> bool:
        span = STAGES[STAGES.index(run.first) : STAGES.index(run.until) + 1]
        return run.selection_used != number or "tune" not in span

    return sorted((r for r in runs.list_runs(store, project.id) if r.round_id == round_.id), key=other)


def _too_long(store: Store, found: Sequence[runs.Run], number: int) -> frozenset[str]:
    """Ids of records that the newest run that tuned on the selection could not train on, as its adapter notes them."""
    tuned = (outcomes.run_adapter(store, run.id) for run in found if run.selection_used == number)
    adapter = next(filter(None, tuned), None)
    try:
        return frozenset(checkpoints.about(Path(adapter)).get(checkpoints.TOO_LONG, ()) if adapter else ())
    except (OSError, ValueError):
        return frozenset()  # the adapter was deleted


def control_tokens(found: Sequence[runs.Run], round_: Round) -> Sequence[str] | None:
    """The special tokens of the round's model as text, longest first: as the first of these runs that did noted them,
    else as the model's files have them; none of a model at a server. None where the files are not on this machine."""
    if round_.config.is_far:
        return ()
    noted = (run.environment.get("control_tokens") for run in found)
    return next(filter(None, noted), None) or tokenizer.control_tokens(round_.config.model)


def _system_and_user(example: Example) -> tuple[str, str]:
    system = "\n".join(turn.content for turn in example.messages if turn.role == "system")
    return system, example.messages[-1].content


def _chat(example: Example) -> Row:
    turns = [{"role": turn.role, "content": turn.content} for turn in example.messages]
    turns.append({"role": "assistant", "content": example.answer})
    return {"messages": turns}


def _alpaca(example: Example) -> Row:
    system, user = _system_and_user(example)
    said = [turn for turn in example.messages[:-1] if turn.role != "system"]
    history = [[one.content, other.content] for one, other in zip(said[::2], said[1::2], strict=False)]
    return {"instruction": user, "input": "", "output": example.answer, "system": system, "history": history}


def _sharegpt(example: Example) -> Row:
    names = {"user": "human", "assistant": "gpt"}
    turns = [{"from": names[turn.role], "value": turn.content} for turn in example.messages if turn.role in names]
    turns.append({"from": "gpt", "value": example.answer})
    return {"conversations": turns, "system": _system_and_user(example)[0]}


OPENAI = "openai"
FORMS: dict[str, Callable[[Example], Row]] = {"chat": _chat, OPENAI: _chat, "alpaca": _alpaca, "sharegpt": _sharegpt}
