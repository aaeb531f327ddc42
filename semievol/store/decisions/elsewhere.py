"""Decisions that were made in another tool: compared with those made here, and stored in one transaction.

All are stored as one batch, so one undo takes them back.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from semievol.annotation.home import Home, Verdict, compared, verdicts
from semievol.annotation.passing import Returned
from semievol.errors import UserError
from semievol.evidence.reviews import reserved
from semievol.records import Decision
from semievol.store.data.records import known_records
from semievol.store.data.versions import task_in
from semievol.store.database import Store
from semievol.store.decisions.decisions import REVIEWED, append, standing_for, stored_under
from semievol.store.decisions.reviews import reviews_in
from semievol.store.runs.rounds import Round


def expected(store: Store, round_: Round, returned: Sequence[Returned], replace: bool = False) -> Home:
    """What `bring_home` would store now, and what not."""
    with store.read() as connection:
        return _compared(connection, round_, returned, replace)


def bring_home(
    store: Store,
    round_: Round,
    returned: Sequence[Returned],
    tool: str,
    reviewer: str,
    replace: bool = False,
    key: str | None = None,
    watch: Callable[[int], None] = lambda done: None,
) -> tuple[Home, list[Decision]]:
    """Stores the annotators' decisions, all of them or none; what it comes to, and the entries.

    reviewer: who signs them. tool: its name, which is their note. replace: also where a decision was made here that
    they contradict. The same `key` twice stores them once.
    """
    if not reviewer.strip():
        raise UserError("The decisions need a name to be signed with.", "name", "Say who answers for them.")
    with store.write() as connection:
        home = _compared(connection, round_, returned, replace)
        known = stored_under(connection, round_.project_id, key)
        if known or not home.verdicts:
            return home, known
        same = {"project_id": round_.project_id, "round_id": round_.id, "reviewer": reviewer.strip(), "undoes": None}
        same |= {"at": store.now(connection), "batch": f"{key or uuid.uuid4().hex}{REVIEWED}"}
        rows = [same | _row(verdict, tool) for verdict in home.verdicts]
        return home, append(connection, round_.project_id, rows, key, watch)


def _compared(connection: Connection, round_: Round, returned: Sequence[Returned], replace: bool) -> Home:
    task = task_in(connection, round_.version_id)
    found = known_records(connection, round_.version_id, (one.record_id for one in returned))
    pool = {record_id: record for record_id, record in found.items() if record.split == "unlabeled"}
    home = verdicts(task, pool, returned)
    standing = standing_for(connection, round_.project_id, (one.record.content_hash for one in home.verdicts))
    return compared(task, home, standing, reserved(reviews_in(connection, round_.id)), replace)


def _row(verdict: Verdict, tool: str) -> dict[str, Any]:
    agreed = f", {verdict.votes} of {verdict.voices} annotators" if verdict.voices > 1 else ""
    record = verdict.record
    row = {"record_id": record.id, "content_hash": record.content_hash, "action": verdict.action}
    return row | {"answer_shown": verdict.answer_shown, "answer": verdict.answer, "note": f"{tool}{agreed}"}
