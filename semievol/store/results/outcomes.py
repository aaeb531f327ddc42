"""The outcome of a run: answers to the test set, the evaluation, the adapters."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sqlalchemy import Connection, exists, insert, literal, select, update

from semievol.endpoints import is_endpoint
from semievol.method import comparison
from semievol.records import Task
from semievol.selection.summary import Selection
from semievol.store import schema
from semievol.store.data.records import table
from semievol.store.data.versions import as_task
from semievol.store.database import Store
from semievol.store.decisions.selections import load_selection
from semievol.task.answers import same


def predictions(store: Store, run_id: int) -> pd.DataFrame:
    """Test answers of a run: record_id, model, answer, gold, correct, confidence (probability of the answer, NaN where
    unknown; for free text of its average token), question."""
    p, q = schema.predictions.c, schema.records.c
    query = (
        select(q.record_id, p.model, p.answer, q.answer.label("gold"), p.confidence, q.question)
        .join(schema.records, q.key == p.record_key)
        .where(p.run_id == run_id)
        .order_by(p.model, p.record_key)
    )
    task, rows = _task_of(store, run_id), store.rows(query)
    frame = table(rows, ["record_id", "model", "answer", "gold", "confidence", "question"])
    right = [task is not None and same(task, row.answer, row.gold) for row in rows]
    frame.insert(4, "correct", pd.Series(right, index=frame.index, dtype=bool))
    return frame.astype({"confidence": "float64"})


def _task_of(store: Store, run_id: int) -> Task | None:
    n, v, r = schema.runs.c, schema.versions.c, schema.rounds.c
    query = select(v.task).join(schema.rounds, r.version_id == v.id).join(schema.runs, n.round_id == r.id)
    return as_task(store.value(query.where(n.id == run_id)))


def evaluation(store: Store, run_id: int) -> dict[str, Any] | None:
    """The run's evaluation as `evolve` stored it; None if there is none.

    One of an earlier version of the Studio, which tested fewer rows, is made anew from the stored answers.
    """
    c = schema.evaluations.c
    found: dict[str, Any] | None = store.value(select(c.document).where(c.run_id == run_id))
    if found is None or "warm_up" not in found or "warm_up" in found.get("against", {"warm_up"}):
        return found
    frame, task = predictions(store, run_id), _task_of(store, run_id)
    if task is None or frame.empty:
        return found
    given = {str(row): dict(zip(one["record_id"], one["answer"], strict=True)) for row, one in frame.groupby("model")}
    gold = dict(zip(frame["record_id"], frame["gold"], strict=True))
    return comparison.figures_of(task, gold, {row: given[row] for row in comparison.ROWS if row in given})


def is_evaluated(store: Store, round_id: int) -> bool:
    """Whether a run of the round has an evaluation."""
    evaluated = select(schema.evaluations.c.run_id).join(schema.runs, schema.runs.c.id == schema.evaluations.c.run_id)
    return store.value(evaluated.where(schema.runs.c.round_id == round_id).limit(1)) is not None


def adapters(store: Store, round_id: int) -> dict[str, str]:
    """Stage -> folder of the finished adapter, or address of a model at a server: the round's `warm_up`, and `tune` of
    the newest run that has one."""
    queries = {
        "warm_up": select(schema.rounds.c.warm_up_adapter).where(schema.rounds.c.id == round_id),
        "tune": _newest_tuned(round_id, schema.runs.c.adapter),
    }
    with store.read() as connection:
        found = {stage: connection.execute(query).scalar() for stage, query in queries.items()}
    return {stage: _placed(store, path) for stage, path in found.items() if path is not None}


def came_finished(store: Store, round_id: int) -> bool:
    """Whether the round came with an archive and has a finished run: such a run has no host in this workspace."""
    c = schema.runs.c
    elsewhere = select(c.id).where(c.round_id == round_id, c.status == "done", c.host.is_(None))
    return store.value(elsewhere.limit(1)) is not None


def evolved_adapter(store: Store, round_id: int) -> str | None:
    """The adapter that a next round would start from."""
    return adapters(store, round_id).get("tune")


def run_adapter(store: Store, run_id: int) -> str | None:
    """The evolved adapter that this run made."""
    path = store.value(select(schema.runs.c.adapter).where(schema.runs.c.id == run_id))
    return None if path is None else _placed(store, path)


def trained_on(store: Store, round_id: int) -> Selection | None:
    """The selection that the round's evolved adapter was trained on."""
    with store.read() as connection:
        number = connection.execute(_newest_tuned(round_id, schema.runs.c.selection_used)).scalar()
        return None if number is None else load_selection(connection, round_id, number)


def evaluated_adapter(store: Store, round_id: int, run_id: int) -> str | None:
    """The evolved adapter that a run which only evaluates is about: the round's newest when its evaluation began first,
    so that one which is resumed goes on with the same."""
    path = store.value(_newest_tuned(round_id, schema.runs.c.adapter, for_run=run_id))
    return None if path is None else _placed(store, path)


def copy_answers(connection: Connection, run_id: int, round_id: int) -> None:
    """Copies test answers and selection of the run that made the `evaluated_adapter` to a run that only evaluates; not
    if that run has answers already."""
    p, n = schema.predictions, schema.runs.c
    maker = connection.execute(_newest_tuned(round_id, n.id, for_run=run_id)).scalar()
    begun = connection.execute(select(p.c.run_id).where(p.c.run_id == run_id).limit(1)).first()
    if maker is None or begun is not None:
        return
    copied = [column for column in p.c if column is not p.c.run_id]
    theirs = select(literal(run_id), *copied).where(p.c.run_id == maker)
    connection.execute(insert(p).from_select(["run_id", *(column.name for column in copied)], theirs))
    used = connection.execute(select(n.selection_used).where(n.id == maker)).scalar()
    connection.execute(update(schema.runs).where(n.id == run_id).values(selection_used=used))


def _placed(store: Store, stored: str) -> str:
    """Where a stored adapter is now: its folder, or its address at a server."""
    return stored if is_endpoint(stored) else str(store.located(stored))


def _newest_tuned(round_id: int, column: Any, for_run: int | None = None) -> Any:
    """The query for a column of the newest run with an evolved adapter in this round; ended runs come first. for_run:
    without those whose fine-tuning ended after this run began to evaluate."""
    c = schema.runs.c
    tuned = select(column).where(c.round_id == round_id, c.adapter.is_not(None))
    if for_run is not None:
        mine, theirs = schema.stages.alias(), schema.stages.alias()
        began = select(mine.c.started).where(mine.c.run_id == for_run, mine.c.stage == "evaluate").scalar_subquery()
        late = exists().where(theirs.c.run_id == c.id, theirs.c.stage == "tune", theirs.c.ended > began)
        tuned = tuned.where(~late)
    return tuned.order_by(c.ended.desc().nulls_last(), c.id.desc()).limit(1)
