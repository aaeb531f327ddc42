"""Decisions that were made in another tool: compared with those made here, and stored in one transaction.

All are stored as one batch, so one undo takes them back.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from semievol.annotation.decisions import Consensus, ImportedDecisions, compared, imported_decisions
from semievol.annotation.exchange import Returned
from semievol.errors import UserError
from semievol.evidence.reviews import reserved
from semievol.records import Decision
from semievol.store.data.records import known_records
from semievol.store.data.versions import task_in
from semievol.store.database import Store
from semievol.store.decisions.decisions import REVIEWED, append, standing_for, stored_under
from semievol.store.decisions.reviews import reviews_in
from semievol.store.runs.rounds import Round


def expected(store: Store, round_: Round, returned: Sequence[Returned], replace: bool = False) -> ImportedDecisions:
    """What `import_decisions` would store now, and what not."""
    with store.read() as connection:
        return _compared(connection, round_, returned, replace)


def import_decisions(
    store: Store,
    round_: Round,
    returned: Sequence[Returned],
    tool: str,
    reviewer: str,
    replace: bool = False,
    key: str | None = None,
    watch: Callable[[int], None] = lambda done: None,
) -> tuple[ImportedDecisions, list[Decision]]:
    """Stores the annotators' decisions, all of them or none; what it comes to, and the entries.

    reviewer: who signs them. tool: its name, which is their note. replace: also where a decision was made here that
    they contradict. The same `key` twice stores them once.
    """
    if not reviewer.strip():
        raise UserError("The decisions need a name to be signed with.", "name", "Say who answers for them.")
    with store.write() as connection:
        imported = _compared(connection, round_, returned, replace)
        known = stored_under(connection, round_.project_id, key)
        if known or not imported.decisions:
            return imported, known
        same = {"project_id": round_.project_id, "round_id": round_.id, "reviewer": reviewer.strip(), "undoes": None}
        same |= {"at": store.now(connection), "batch": f"{key or uuid.uuid4().hex}{REVIEWED}"}
        rows = [same | _row(consensus, tool) for consensus in imported.decisions]
        return imported, append(connection, round_.project_id, rows, key, watch)


def _compared(connection: Connection, round_: Round, returned: Sequence[Returned], replace: bool) -> ImportedDecisions:
    task = task_in(connection, round_.version_id)
    found = known_records(connection, round_.version_id, (one.record_id for one in returned))
    pool = {record_id: record for record_id, record in found.items() if record.split == "unlabeled"}
    imported = imported_decisions(task, pool, returned)
    standing = standing_for(connection, round_.project_id, (one.record.content_hash for one in imported.decisions))
    return compared(task, imported, standing, reserved(reviews_in(connection, round_.id)), replace)


def _row(consensus: Consensus, tool: str) -> dict[str, Any]:
    agreed = f", {consensus.votes} of {consensus.annotators} annotators" if consensus.annotators > 1 else ""
    record = consensus.record
    row = {"record_id": record.id, "content_hash": record.content_hash, "action": consensus.action}
    return row | {"answer_shown": consensus.answer_shown, "answer": consensus.answer, "note": f"{tool}{agreed}"}
