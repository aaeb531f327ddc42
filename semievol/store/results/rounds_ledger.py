"""What is stored of a project's rounds, for their ledger (`method.ledger`). Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from semievol.method.ledger import Known
from semievol.records import Task
from semievol.store import schema
from semievol.store.data.versions import task_in
from semievol.store.database import Store
from semievol.store.decisions.decisions import STANDS
from semievol.store.runs.rounds import Round, list_rounds
from semievol.task.answers import same

_c, _r, _n, _s = schema.candidates.c, schema.records.c, schema.selections.c, schema.selected.c


def known_rounds(store: Store, project_id: int) -> list[Known]:
    """The project's rounds that have candidates, oldest first."""
    opened = list_rounds(store, project_id)
    with store.read() as connection:
        found = [_known(connection, round_) for round_ in opened]
    return [one for one in found if one.pool]


def _known(connection: Connection, round_: Round) -> Known:
    task = task_in(connection, round_.version_id)
    mine = select(_c.record_key, _c.content_hash, _c.answer).where(_c.round_id == round_.id, _c.pool.is_(True))
    rows = connection.execute(mine.order_by(_c.record_key)).all()
    keys = dict(zip((row.record_key for row in rows), _told_apart(row.content_hash for row in rows), strict=True))
    run = _newest_evaluated(connection, round_.id)
    selection = _selection(connection, round_.id, None if run is None else run.selection_used)
    accepted = None
    if selection is not None:
        members = select(_s.record_key, _s.answer).where(_s.selection_id == selection.id)
        accepted = {keys[row.record_key]: row.answer for row in connection.execute(members) if row.record_key in keys}
    g = schema.hidden_gold.c
    there = (_r.version_id == g.version_id) & (_r.record_id == g.record_id)
    hidden = select(_r.key, g.answer).join(schema.records, there).where(g.version_id == round_.version_id)
    d = schema.decisions.c
    decided = select(func.count(d.content_hash.distinct())).where(d.round_id == round_.id, *STANDS)
    return Known(
        id=round_.id,
        place=round_.place,
        parent_id=round_.parent_id,
        model=Path(round_.config.model).name,
        task=task,
        pool={keys[row.record_key]: row.answer for row in rows},
        accepted=accepted,
        evidence=None if selection is None else selection.evidence,
        decided=int(connection.execute(decided).scalar_one()),
        figures={} if run is None else run.document,
        calibration=_calibration(connection, round_.id, task),
        gold={keys[row.key]: row.answer for row in connection.execute(hidden) if row.key in keys},
    )


def _told_apart(hashes: Iterable[str]) -> Iterable[str]:
    """The hashes; those of further records with the same content get a number, so that each record counts."""
    seen: Counter[str] = Counter()
    for one in hashes:
        seen[one] += 1
        yield one if seen[one] == 1 else f"{one} {seen[one]}"


def _newest_evaluated(connection: Connection, round_id: int) -> Any:
    """selection_used of the round's newest run that has an evaluation, and the document of this."""
    e, n = schema.evaluations.c, schema.runs.c
    joined = schema.evaluations.join(schema.runs, n.id == e.run_id)
    query = select(n.selection_used, e.document).select_from(joined).where(n.round_id == round_id)
    return connection.execute(query.order_by(n.id.desc()).limit(1)).one_or_none()


def _selection(connection: Connection, round_id: int, number: int | None) -> Any:
    """Id and evidence of the round's selection of this number, else of the newest; None where there is none."""
    query = select(_n.id, _n.evidence).where(_n.round_id == round_id)
    query = query if number is None else query.where(_n.number == number)
    return connection.execute(query.order_by(_n.number.desc()).limit(1)).one_or_none()


def _calibration(connection: Connection, round_id: int, task: Task) -> dict[str, bool]:
    """Content hash of a calibration record -> whether the round's candidate is right."""
    held = set(connection.execute(select(schema.rounds.c.held).where(schema.rounds.c.id == round_id)).scalar() or ())
    joined = schema.candidates.join(schema.records, _r.key == _c.record_key)
    query = select(_c.content_hash, _c.answer, _r.answer.label("gold")).select_from(joined)
    rows = connection.execute(query.where(_c.round_id == round_id, _c.pool.is_(False)))
    return {row.content_hash: same(task, row.answer, row.gold) for row in rows if row.content_hash in held}
