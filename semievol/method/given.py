"""The stored responses, read record by record: those of 100,000 records at once would take gigabytes.

A free answer of 256 tokens takes about 17 kB, since every token has its log-probability and its entropy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from semievol.config import VOTERS
from semievol.method import earned_weights
from semievol.method.protocols import Journal, Plan
from semievol.records import Record, Response

BLOCK = 500
"""Records whose responses are in memory at once."""


def blocks(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The records in their order, BLOCK at a time."""
    for start in range(0, len(records), BLOCK):
        yield records[start : start + BLOCK]


def without_tokens(journal: Journal, stage: str, records: Sequence[Record]) -> Iterator[Response]:
    """The responses to these records, without the numbers of their tokens; only a block of whole ones is in memory."""
    for block in blocks(records):
        for response in journal.responses(stage, [record.id for record in block]):
            yield replace(response, token_logprobs=(), token_entropies=())


class Given:
    """The responses that candidates are made of: in the order of the collaborators, those with an answer if there are
    any, those of collaborators that have a weight. Call it with records for record id -> responses."""

    def __init__(self, plan: Plan, journal: Journal) -> None:
        settings = plan.config.propagation
        self._journal = journal
        # As local models answer, whichever endpoint was faster.
        self._place = {one.name: (one.model in VOTERS, number) for number, one in enumerate(settings.collaborators)}
        self._fitted = earned_weights.stored(journal) if settings.weighting == "earned" else None
        self._known = {record.id for record in plan.calibration}

    def __call__(self, records: Iterable[Record]) -> dict[str, list[Response]]:
        found: dict[str, list[Response]] = {record.id: [] for record in records}
        for response in self._journal.responses("respond", list(found)):
            found[response.record_id].append(response)
        last = (True, len(self._place))
        for record in records:
            given = sorted(found[record.id], key=lambda response: self._place.get(response.collaborator, last))
            # A response without an answer counts only if all are like that.
            given = [response for response in given if not response.unread] or given
            weights = self.weights(record)
            found[record.id] = given if weights is None else earned_weights.with_weight(given, weights)
        return found

    def weights(self, record: Record) -> Mapping[str, float] | None:
        """Collaborator -> weight for this record; None where all have the same."""
        if not self._fitted:
            return None
        return earned_weights.for_record(self._fitted, record, record.id in self._known)
