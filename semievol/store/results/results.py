"""Reading a round's results: as frames of the whole pool, page by page for tables, or all about one record.

Writes nothing. A frame of 100,000 candidates is worth caching: `revision` says when it is out of date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, and_, exists, func, select

from semievol.config import MEASURES
from semievol.errors import UserError
from semievol.method.confidence import own_entropy
from semievol.records import Candidate, Decision, Demonstration, Record, Response
from semievol.selection import candidates
from semievol.selection.area import Area, board_place
from semievol.selection.decisions import standing_decision
from semievol.store import schema
from semievol.store.data.records import RECORD, as_record, containing, find_record, table
from semievol.store.data.versions import as_task, task_in
from semievol.store.database import Store
from semievol.store.decisions.decisions import standing_for
from semievol.store.results.rows import as_response, response_columns
from semievol.store.runs.rounds import get_round, spent_in
from semievol.task.answers import allowed_answers, same

_c, _r, _d = schema.candidates.c, schema.records.c, schema.demonstrations.c


@dataclass(frozen=True)
class RecordView:
    """Everything that a round holds about one record.

    responses: one per collaborator. decision: the standing one. gold: the hidden gold of a pool record, the known
    answer of any other. last_entry: id of the newest decision on this content, 0 if there is none; `history.since`
    finds what is newer.
    """

    record: Record
    demonstrations: list[Demonstration]
    responses: list[Response]
    justification: Response | None
    candidate: Candidate | None
    decision: Decision | None
    gold: str | None
    last_entry: int = 0


def revision(store: Store, round_id: int) -> int:
    """Grows with every write to the round's results or decisions."""
    found = store.value(select(schema.rounds.c.revision).where(schema.rounds.c.id == round_id))
    if found is None:
        raise UserError(f"There is no round {round_id}.", "round", "Choose another round.")
    return int(found)


def written(store: Store, round_id: int) -> int:
    """As `revision`, but decisions do not change it."""
    c = schema.rounds.c
    return int(store.value(select(c.revision - c.decided).where(c.id == round_id)))


def has_candidates(store: Store, round_id: int) -> bool:
    """Whether the round's pool has candidates."""
    any_ = select(_c.record_key).where(_c.round_id == round_id, _c.pool.is_(True)).limit(1)
    return store.value(any_) is not None


def has_demonstrations(store: Store, round_id: int) -> bool:
    """Whether the round's records have their demonstrations."""
    return store.value(select(_d.record_key).where(_d.round_id == round_id).limit(1)) is not None


def with_decisions(store: Store, round_id: int, pool: pd.DataFrame) -> pd.DataFrame:
    """A round's `candidate_frame` that was read earlier, with the present decisions."""
    query = select(_c.record_key, _c.decision, _c.decided_answer).where(
        _c.round_id == round_id, _c.pool.is_(True), _c.decision.is_not(None)
    )
    with store.read() as connection:
        rows = _fetch(connection, query)
    words = {name: np.full(len(pool), None, dtype=object) for name in ("decision", "decided_answer")}
    places = np.searchsorted(pool["record_key"].to_numpy(), [row[0] for row in rows])
    for place, (_, decision, answer) in zip(places, rows, strict=True):
        words["decision"][place], words["decided_answer"][place] = decision, answer
    return pool.assign(**words)


def candidate_frame(store: Store, round_id: int) -> pd.DataFrame:
    """The candidate table of the round's pool; its columns: see `selection.candidates`."""
    with store.read() as connection:
        rows, ungiven = _rows(connection, round_id, pool=True), _ungiven(connection, round_id)
        return candidates.candidate_table(rows, spent_in(connection, round_id), ungiven)


def calibration_frame(store: Store, round_id: int) -> pd.DataFrame:
    """As `candidate_frame`, of the round's calibration records, or of the labeled ones if these were cross-fitted;
    without those that are spent (`rounds.spent`)."""
    r, v = schema.rounds.c, schema.versions.c
    query = select(v.task, r.held).join(schema.rounds, r.version_id == v.id).where(r.id == round_id)
    with store.read() as connection:
        task, held = connection.execute(query).one_or_none() or (None, None)
        rows = _rows(connection, round_id, pool=False)
        spent, ungiven = spent_in(connection, round_id), _ungiven(connection, round_id)
        return candidates.calibration_table(rows, spent, as_task(task), held or (), ungiven)


def candidates_page(
    store: Store,
    round_id: int,
    *,
    search: str = "",
    answer: str | None = None,
    agreed: bool | None = None,
    status: str | None = None,
    measure: str = "answer_nll",
    sort: str = "measure",
    descending: bool = False,
    area: Area | None = None,
    offset: int = 0,
    limit: int = 100,
) -> tuple[pd.DataFrame, int]:
    """One page of the pool's candidates, and how many match in all.

    search: part of the question, or a record's whole id, ours or its file's. status: an action, "decided" or
    "undecided". sort: "measure" or "record". area: of the map or the board. Columns as `candidate_frame` without
    `spent`, and `votes`: collaborator -> answer, and `doubts`: collaborator -> `confidence.own_entropy` of its
    response.
    """
    if measure not in MEASURES:
        raise UserError(f'"{measure}" is not a measure.', "measure", f"Choose one of: {', '.join(MEASURES)}.")
    where = [_c.round_id == round_id, _c.pool.is_(True)]
    if answer is not None:
        where.append(_c.answer == answer)
    if agreed is not None:
        where.append(_c.agreed.is_(agreed))
    if status is not None:
        decided = {"decided": _c.decision.is_not(None), "undecided": _c.decision.is_(None)}
        where.append(decided.get(status, _c.decision == status))
    by = [_c[measure], _c.record_key] if sort == "measure" else [_c.record_key]
    ascending = [column.asc().nulls_last() for column in by], [column.desc().nulls_first() for column in by]
    falling = [column.desc().nulls_last() for column in by], [column.asc().nulls_first() for column in by]
    order, backwards = falling if descending else ascending
    keys = select(_c.record_key).where(*where)
    with store.read() as connection:
        if search:
            found = containing(connection, _r.question, search) | (_r.record_id == search) | (_r.source_id == search)
            keys = keys.join(schema.records, _r.key == _c.record_key).where(found)
        if search or area:
            if area and area.on == "board":
                keys = keys.add_columns(_c.vote_entropy, _c.answer_nll)
            elif area:
                keys = keys.add_columns(_d.x, _d.y).join(
                    schema.demonstrations, and_(_d.round_id == _c.round_id, _d.record_key == _c.record_key)
                )
            matching = _fetch(connection, keys.order_by(*order))  # reads every question, or place, so it is done once
            if area and matching:
                _, *where_ = zip(*matching, strict=True)
                held = area.holds(*(board_place(*where_) if area.on == "board" else where_))
                matching = [row for row, is_held in zip(matching, held, strict=True) if is_held]
            page, total = [row[0] for row in matching[offset : offset + limit]], len(matching)
        else:
            total = connection.execute(select(func.count()).select_from(schema.candidates).where(*where)).scalar_one()
            after = total - offset - limit
            if offset > after:  # a late page is found sooner from the end
                last = keys.order_by(*backwards).offset(max(0, after)).limit(max(0, min(limit, total - offset)))
                page = list(connection.execute(last).scalars())[::-1]
            else:
                page = list(connection.execute(keys.order_by(*order).offset(offset).limit(limit)).scalars())
        rows = {row[0]: row for row in _rows(connection, round_id, True, _c.record_key.in_(page))}
        said, ungiven = _said(connection, round_id, page), _ungiven(connection, round_id, _c.record_key.in_(page))
    frame = candidates.candidate_table([rows[key] for key in page], (), ungiven).drop(columns="spent")
    votes = [{one.collaborator: one.answer for one in said.get(key, ())} for key in page]
    doubts = [{one.collaborator: own_entropy(one) for one in said.get(key, ())} for key in page]
    for name, column in (("votes", votes), ("doubts", doubts)):
        frame[name] = pd.Series(column, index=frame.index, dtype=object)
    return frame, total


def record_view(store: Store, round_id: int, record_id: str) -> RecordView:
    """One record with its demonstrations, responses, candidate and decision in this round."""
    s = schema.responses.c
    home = get_round(store, round_id)
    with store.read() as connection:
        key, record = find_record(connection, home.version_id, record_id)
        stored = select(s.stage, s.collaborator, *response_columns(schema.responses)).where(s.round_id == round_id)
        responses: dict[str, dict[str, Response]] = {"respond": {}, "justify": {}}
        stored = stored.where(s.stage.in_(tuple(responses)), s.record_key == key)  # the index begins with the stage
        for stage, collaborator, *values in connection.execute(stored.order_by(s.id)):
            responses[stage][collaborator] = as_response(record_id, collaborator, *values)
        merged = select(schema.candidates).where(_c.round_id == round_id, _c.record_key == key)
        row = connection.execute(merged).mappings().one_or_none()
        decided = standing_for(connection, home.project_id, [record.content_hash]).get(record.content_hash, [])
        e = schema.decisions.c
        entries = select(func.max(e.id)).where(e.project_id == home.project_id, e.content_hash == record.content_hash)
        last_entry = connection.execute(entries).scalar() or 0
        hidden = select(schema.hidden_gold.c.answer).where(
            schema.hidden_gold.c.version_id == home.version_id, schema.hidden_gold.c.record_id == record_id
        )
        gold = connection.execute(hidden).scalar()
        demonstrations = _demonstrations(connection, round_id, home.version_id, key)
        allowed = allowed_answers(task_in(connection, home.version_id), record)
    candidate = None if row is None else _candidate(record_id, row)
    return RecordView(
        record=record,
        demonstrations=demonstrations,
        responses=list(responses["respond"].values()),
        justification=next(iter(responses["justify"].values()), None),
        candidate=candidate,
        decision=standing_decision(decided, None if candidate is None else candidate.answer, allowed),
        gold=gold if record.answer is None else record.answer,
        last_entry=last_entry,
    )


def _candidate(record_id: str, row: Any) -> Candidate:
    """A candidate from its row: answer, agreed, justified, exactness and the measures."""
    known: dict[str, float] = {name: row[name] for name in MEASURES if row[name] is not None}
    return Candidate(record_id, row["answer"], row["agreed"], known, row["justified"], row["exactness"])


def backgrounds(store: Store, round_id: int) -> dict[str, dict[str, Any]]:
    """Record id -> what the candidate was made from, of the round's pool: votes (collaborator -> answer) and
    demonstrations ((id, similarity), most similar first)."""
    s = schema.responses.c
    votes = select(_r.record_id, s.collaborator, s.answer).join(schema.records, _r.key == s.record_key)
    shown = select(_r.record_id, _d.nearest).join(schema.records, _r.key == _d.record_key)
    found: dict[str, dict[str, Any]] = {}
    with store.read() as connection:
        for record_id, nearest in connection.execute(
            shown.where(_d.round_id == round_id, _r.split == "unlabeled").order_by(_d.record_key)
        ):
            found[record_id] = {"votes": {}, "demonstrations": nearest}
        mine = votes.where(s.round_id == round_id, s.stage == "respond", _r.split == "unlabeled").order_by(s.id)
        for record_id, collaborator, answer in connection.execute(mine):
            found.setdefault(record_id, {"votes": {}, "demonstrations": []})["votes"][collaborator] = answer
    return found


def coverage_frame(store: Store, round_id: int) -> pd.DataFrame:
    """The nearest labeled record of each pool record: record_id, question, similarity, nearest_answer, nearest_id."""
    near = schema.records.alias("near")
    joined = schema.demonstrations.join(schema.records, _r.key == _d.record_key).outerjoin(
        near, and_(near.c.version_id == _r.version_id, near.c.record_id == _d.nearest_id)
    )
    query = select(_r.record_id, _r.question, _d.similarity, near.c.answer, _d.nearest_id).select_from(joined)
    rows = store.rows(query.where(_d.round_id == round_id, _r.split == "unlabeled").order_by(_d.record_key))
    frame = table(rows, ["record_id", "question", "similarity", "nearest_answer", "nearest_id"])
    return frame.astype({"similarity": "float64"})


def _rows(connection: Connection, round_id: int, pool: bool, *where: Any) -> list[Any]:
    """Candidates with record, demonstrations and gold: the values of `candidates.COLUMNS`."""
    g = schema.hidden_gold.c
    joined = schema.candidates.join(schema.records, _r.key == _c.record_key).outerjoin(
        schema.demonstrations, and_(_d.round_id == _c.round_id, _d.record_key == _c.record_key)
    )
    gold = _r.answer
    if pool:
        joined = joined.outerjoin(schema.hidden_gold, and_(g.version_id == _r.version_id, g.record_id == _r.record_id))
        gold = g.answer
    columns = [_c.record_key, _r.record_id, _r.question, _c.answer, _c.flagged, _c.agreed, _c.justified, _c.exactness]
    columns += [_c[measure] for measure in MEASURES]
    columns += [_d.similarity, gold, _c.content_hash, _c.decision, _c.decided_answer]
    query = select(*columns).select_from(joined)
    mine = query.where(_c.round_id == round_id, _c.pool.is_(pool), *where)
    return _fetch(connection, mine.order_by(_c.record_key))


def _fetch(connection: Connection, query: Any) -> list[Any]:
    """Rows as the driver gives them: no column here needs a conversion, and 100,000 rows are read twice as fast."""
    cursor = connection.execute(query).cursor
    assert cursor is not None
    return list(cursor.fetchall())


def _said(connection: Connection, round_id: int, keys: list[int]) -> dict[int, list[Response]]:
    """Record key -> the collaborators' responses."""
    s = schema.responses.c
    query = select(s.record_key, s.collaborator, *response_columns(schema.responses)).where(s.round_id == round_id)
    said: dict[int, list[Response]] = {}
    for key, *values in connection.execute(query.where(s.stage == "respond", s.record_key.in_(keys)).order_by(s.id)):
        said.setdefault(key, []).append(as_response("", *values))
    return said


def _ungiven(connection: Connection, round_id: int, *where: Any) -> set[int]:
    """Record keys of the disputed candidates whose answer no collaborator gave: a judge's own, or one that is likeliest
    on average only."""
    s, other = schema.responses.c, schema.responses.alias().c
    r, v = schema.rounds.c, schema.versions.c

    def votes(c: Any) -> Any:
        return and_(c.round_id == round_id, c.stage == "respond", c.record_key == _c.record_key)

    query = (
        select(_c.record_key, _c.answer, s.answer)
        .join(schema.responses, votes(s))
        .where(
            _c.round_id == round_id,
            _c.agreed.is_(False),
            _c.answer.is_not(None),
            ~exists().where(votes(other), other.answer == _c.answer).correlate(schema.candidates),
            *where,
        )
    )
    found = _fetch(connection, query)
    stored = select(v.task).join(schema.rounds, r.version_id == v.id).where(r.id == round_id)
    task = as_task(connection.execute(stored).scalar())
    written_otherwise = {key for key, answer, vote in found if task and not task.closed and same(task, vote, answer)}
    return {key for key, _, _ in found} - written_otherwise


def _demonstrations(connection: Connection, round_id: int, version_id: int, key: int) -> list[Demonstration]:
    query = select(_d.nearest).where(_d.round_id == round_id, _d.record_key == key)
    near: list[tuple[str, float]] = connection.execute(query).scalar() or []
    wanted = select(*RECORD).where(_r.version_id == version_id, _r.record_id.in_([id for id, _ in near]))
    shown = {row.record_id: as_record(row) for row in connection.execute(wanted)}
    return [Demonstration(shown[id], similarity) for id, similarity in near if id in shown]
