"""The labels of a round's known records that look wrong; see `semievol.method.label_errors`."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from semievol.method import label_errors
from semievol.method.label_errors import Suspect
from semievol.store import schema
from semievol.store.data.records import RECORD, as_record
from semievol.store.data.versions import task_of
from semievol.store.database import Store
from semievol.store.results.collaborators import known_responses
from semievol.store.runs import rounds


@dataclass(frozen=True)
class Judged:
    """records: how many known records models judged that never saw them. suspects: the most suspect first."""

    records: int
    suspects: list[Suspect]


def judged(store: Store, round_id: int) -> Judged:
    """The round's calibration records, or its labeled ones if they were cross-fitted; none for open tasks."""
    task = task_of(store, rounds.get_round(store, round_id).version_id)
    if not task.closed:
        return Judged(0, [])
    c, r = schema.candidates.c, schema.records.c
    known = select(*RECORD).join(schema.candidates, c.record_key == r.key)
    known = known.where(c.round_id == round_id, c.pool.is_(False)).order_by(r.key)
    records = [as_record(row) for row in store.rows(known)]
    fitted = rounds.weights(store, round_id)
    found = label_errors.spreads(
        task,
        records,
        known_responses(store, round_id)[0],
        None if fitted is None or "reason" in fitted else fitted,
    )
    return Judged(len(found), label_errors.suspects(task, records, found))
