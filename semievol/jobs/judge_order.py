"""Whether the judge's verdict depends on the order in which it reads the candidate answers.

A random sample of disputed records is put to it again, with the very prompt that it had but for the order of the
answers, which is reversed. Nothing is stored.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from semievol.jobs import inference_client, sent_prompts
from semievol.jobs.inference_process import Watch
from semievol.method.metrics import clopper_pearson
from semievol.method.protocols import Ask
from semievol.records import Record
from semievol.store.data import versions
from semievol.store.database import Store
from semievol.store.results import collaborators, results
from semievol.store.runs import rounds
from semievol.task.answers import same

DRAWN = 5
"""Records that are drawn for each that is asked about: some cannot be compared."""
AT_ONCE = 4
"""Records for which the judge is asked between two words about how many are done."""


@dataclass(frozen=True)
class Verdict:
    """before: the stored answer. after: the one with the candidate answers reversed. None: it cannot be read."""

    record: Record
    before: str | None
    after: str | None
    changed: bool


@dataclass(frozen=True)
class OrderAudit:
    """The verdicts compared, in the order in which they were drawn.

    disputed: unlabeled records that the judge was asked about. alike: drawn, but left out, as their answers read the
    same in both orders. lost: left out, as the prompt cannot be made again exactly. unstable: left out, as the verdict
    is another one already where the same prompt is read again, on this machine.
    """

    verdicts: Sequence[Verdict]
    disputed: int
    alike: int = 0
    lost: int = 0
    unstable: int = 0

    @property
    def changed(self) -> list[Verdict]:
        return [one for one in self.verdicts if one.changed]

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share of changed verdicts, exact, 95 %."""
        return clopper_pearson(len(self.changed), len(self.verdicts))


def _tell(watch: Watch, told: str, words: str) -> None:
    watch(f"{words}: {told}")


def audit(store: Store, round_id: int, size: int, watch: Watch) -> OrderAudit:
    """Asks about at most `size` records, drawn by the round's seed. watch: is told in words what is being done."""
    round_ = rounds.get_round(store, round_id)
    task = versions.task_of(store, round_.version_id)
    ids = collaborators.judged(store, round_id)
    drawn = random.Random(f"{round_.config.seed}/order of candidates").sample(ids, min(len(ids), DRAWN * size))
    pairs: list[tuple[Record, str | None, Ask, Ask]] = []
    alike = lost = 0
    for record_id in drawn:
        if len(pairs) == size:
            break
        view = results.record_view(store, round_id, record_id)
        found = sent_prompts.reordered(store, round_, task, view)
        if found is None or view.justification is None:
            lost += 1
        elif found[0].messages == found[1].messages:
            alike += 1
        else:
            pairs.append((view.record, view.justification.answer, *found))
    verdicts: list[Verdict] = []
    for start in range(0, len(pairs), AT_ONCE):
        part, told = pairs[start : start + AT_ONCE], f"{start:,} of {len(pairs):,} records done"
        asks = [(record, ask) for record, _, *both in part for ask in both]
        said = inference_client.judge(store, round_id, asks, partial(_tell, watch, told))
        for (record, before, *_), again, after in zip(part, said[::2], said[1::2], strict=True):
            if again == before or same(task, again, before):
                verdicts.append(Verdict(record, before, after, not (after == before or same(task, after, before))))
    return OrderAudit(verdicts, len(ids), alike, lost, len(pairs) - len(verdicts))
