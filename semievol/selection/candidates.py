"""The candidate table: one line per record, indexed by record id, in the order of the data; and what its columns mean.

The store and the tests' journal in memory build it by `candidate_table` and `calibration_table`. Knows nothing of
databases.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, Literal, get_args

import pandas as pd

from semievol.config import MEASURES, Measure
from semievol.records import Candidate, Decision, Task
from semievol.task.answers import same

COLUMNS: dict[str, Literal["flag", "number", "word", "plain"]] = {
    "record_key": "plain",  # number of the record in the database
    "record_id": "plain",  # id of the record: the index of the table
    "question": "plain",  # text of the record
    "answer": "word",  # answer of the candidate
    "flagged": "flag",  # whether the record's text could steer the model
    "agreed": "flag",  # whether all collaborators gave the same answer
    "justified": "flag",  # whether self-justify gave the answer
    "exactness": "plain",  # whether the measures are exact, bounds or absent
    **dict.fromkeys(MEASURES, "number"),  # confidence measures, lower is more confident
    "similarity": "number",  # cosine to the nearest labeled record, in [-1, 1]
    "gold": "word",  # true answer of a calibration record, hidden gold of a pool record
    "content_hash": "plain",  # hash of question and options, which decisions belong to
    "decision": "word",  # action of the standing decision
    "decided_answer": "word",  # answer that the standing decision asserts
}
"""Name -> kind: "flag" (bool), "number" (float64, NaN where absent), "word" (object, None where there is none, never
NaN), or "plain" (always there)."""
_DTYPES = {"flag": "bool", "number": "float64", "word": "object"}


def candidate_table(
    rows: Sequence[Sequence[Any]], spent: Collection[str], ungiven: Collection[int] = ()
) -> pd.DataFrame:
    """The table of the pool: `COLUMNS` and the flags `given` and `spent`.

    rows: a line per candidate, values in the order of `COLUMNS`, None where there is none. spent: content hashes of
    records that an earlier round was trained on, so that evidence does not count them. ungiven: record keys of
    candidates whose answer no collaborator gave.
    """
    values = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    columns = zip(COLUMNS.items(), values, strict=True)
    table = pd.DataFrame({name: pd.Series(cells, dtype=_DTYPES.get(kind)) for (name, kind), cells in columns})
    flags = {"given": ~table["record_key"].isin(ungiven), "spent": table["content_hash"].isin(spent)}
    return table.set_index("record_id").assign(**{name: flag.to_numpy(dtype=bool) for name, flag in flags.items()})


def calibration_table(
    rows: Sequence[Sequence[Any]],
    spent: Collection[str],
    task: Task | None,
    held: Collection[str],
    ungiven: Collection[int] = (),
) -> pd.DataFrame:
    """The table of records with known answers: as `candidate_table`, without what is spent, and with two more flags.

    correct: whether the candidate's answer counts as the true one; without a task none does. cross_fitted: whether
    models of a fold gave the answer, as the record is not among those `held` out (content hashes of the calibration
    split).
    """
    table = candidate_table(rows, spent, ungiven)
    table = table[~table["spent"]]
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
