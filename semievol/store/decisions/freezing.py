"""Freezing what a round's policy and decisions accept, so that no decision is lost between finding and freezing."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from semievol.config import Policy
from semievol.errors import UserError
from semievol.method.protocols import Frozen
from semievol.selection.freezing import Accepted, Considered, accepted
from semievol.store.data.versions import task_of
from semievol.store.database import Store
from semievol.store.decisions.decisions import in_bulk
from semievol.store.decisions.reviews import list_reviews
from semievol.store.decisions.selections import write_selection
from semievol.store.results.results import calibration_frame, candidate_frame
from semievol.store.runs import rounds


def considered(store: Store, round_id: int) -> Considered:
    """What the round holds now for a selection; the hidden gold of the pool is left out."""
    round_ = rounds.get_round(store, round_id)
    return Considered(
        task=task_of(store, round_.version_id),
        pool=candidate_frame(store, round_id).assign(gold=None),
        calibration=calibration_frame(store, round_id),
        texts=rounds.shift(store, round_id),
        reviews=list_reviews(store, round_id),
        in_bulk=in_bulk(store, round_.project_id),
    )


class Found:
    """What `work` finds accepted in a round, found before a transaction and made sure of in it.

    work: reads on connections of its own, and writes nothing; asked again where a decision was saved meanwhile.
    """

    def __init__(self, store: Store, round_id: int, work: Callable[[], Accepted]) -> None:
        with store.read() as connection:
            self._revision = rounds.revision_in(connection, round_id)
        self._round_id, self._work = round_id, work
        self._found = work()

    def still(self, connection: Connection) -> Accepted:
        """It is found anew where something was written meanwhile; nobody else writes while this transaction lasts."""
        same = rounds.revision_in(connection, self._round_id) == self._revision
        return self._found if same else self._work()


def freeze(store: Store, round_id: int, policy: Policy) -> Frozen:
    """Freezes what policy and decisions accept now: the round's next selection, the newest where nothing has changed.

    Raises UserError with the reason where nothing is accepted.
    """
    found = Found(store, round_id, lambda: accepted(policy, considered(store, round_id)))
    with store.write() as connection:
        now = found.still(connection)
        if not now.answers:
            cure = "Change the policy on the Selection page, or accept records by hand."
            raise UserError(now.reason, "selection", cure)
        return write_selection(connection, round_id, policy, now)
