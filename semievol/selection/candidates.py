"""The candidate table: one line per record, indexed by record id, in the order of the data. Its columns stand here.

The store and the journals in memory hand it out; both build it by `candidate_table` and `calibration_table`. Knows
nothing of databases.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd

from semievol.config import MEASURES, Measure
from semievol.records import Candidate, Decision, Task
from semievol.task.answers import same


@dataclass(frozen=True)
class Column:
    """A column and what it means.

    kind: "flag" (bool), "number" (float64, NaN where absent), "word" (object, None where there is none, never NaN), or
    "plain" (always there).
    """

    name: str
    kind: Literal["flag", "number", "word", "plain"]
    meaning: str


COLUMNS = (
    Column("record_key", "plain", "number of the record in the database"),
    Column("record_id", "plain", "id of the record: the index of the table"),
    Column("question", "plain", "text of the record"),
    Column("answer", "word", "answer of the candidate"),
    Column("flagged", "flag", "whether the record's text could steer the model"),
    Column("agreed", "flag", "whether all collaborators gave the same answer"),
    Column("justified", "flag", "whether self-justify gave the answer"),
    Column("exactness", "plain", "whether the measures are exact, bounds or absent"),
    *(Column(measure, "number", "confidence measure, lower is more confident") for measure in MEASURES),
    Column("similarity", "number", "cosine to the nearest labeled record, in [-1, 1]"),
    Column("gold", "word", "true answer of a calibration record, hidden gold of a pool record"),
    Column("content_hash", "plain", "hash of question and options, which decisions belong to"),
    Column("decision", "word", "action of the standing decision"),
    Column("decided_answer", "word", "answer that the standing decision asserts"),
)
SPENT = Column(
    "spent", "flag", "whether an earlier round was trained on the record, so that evidence does not count it"
)
CALIBRATION = (
    Column("correct", "flag", "whether the candidate's answer counts as the true one"),
    Column("cross_fitted", "flag", "whether models of a fold gave the answer, as the record was not held out"),
)
"""Further columns of the table of calibration records."""
NAMES = tuple(column.name for column in COLUMNS)
_DTYPES = {"flag": "bool", "number": "float64"}
_TYPES = {column.name: _DTYPES[column.kind] for column in COLUMNS if column.kind in _DTYPES}
_WORDS = [column.name for column in COLUMNS if column.kind == "word"]


def typed(raw: pd.DataFrame) -> pd.DataFrame:
    """The table of `COLUMNS`. raw: the same columns, in this order, with types as they come."""
    table = raw.astype(_TYPES).set_index("record_id")
    words = table[_WORDS].astype(object)
    return table.assign(**words.where(words.notna(), None))


def candidate_table(raw: pd.DataFrame, spent: Collection[str]) -> pd.DataFrame:
    """The table of the pool: `COLUMNS` and `SPENT`. raw: see `typed`; spent: content hashes."""
    table = typed(raw)
    return table.assign(**{SPENT.name: table["content_hash"].isin(spent)})


def calibration_table(
    raw: pd.DataFrame, spent: Collection[str], task: Task | None, held: Collection[str]
) -> pd.DataFrame:
    """The table of records with known answers: as `candidate_table`, with `CALIBRATION`, without what is spent.

    held: content hashes of the calibration split; labeled records that are not in it were cross-fitted. Without a task
    no answer counts as the true one.
    """
    table = candidate_table(raw, spent)
    table = table[~table[SPENT.name]]
    pairs = zip(table["answer"], table["gold"], strict=True)
    correct = pd.Series([task is not None and same(task, *pair) for pair in pairs], index=table.index, dtype=bool)
    return table.assign(correct=correct, cross_fitted=~table["content_hash"].isin(held))


def candidate_columns(
    candidate: Candidate, content_hash: str, flagged: bool, decision: Decision | None
) -> dict[str, Any]:
    """Of `COLUMNS` those that a candidate and its standing decision give; an absent measure is None."""
    measures = {name: candidate.confidences.get(name) for name in MEASURES}
    return {
        "answer": candidate.answer,
        "flagged": flagged,
        "agreed": candidate.agreed,
        "justified": candidate.justified,
        "exactness": candidate.exactness,
        **{name: None if value is None or math.isnan(value) else float(value) for name, value in measures.items()},
        "content_hash": content_hash,
        "decision": None if decision is None else decision.action,
        "decided_answer": None if decision is None else decision.answer,
    }


def measures_of(table: pd.DataFrame) -> list[Measure]:
    """The measures that have a value for some candidate: those that a policy may choose from."""
    return [measure for measure in get_args(Measure) if table[measure].notna().any()]
