"""Self-justify: the judge reads a disputed record with its collaborators' answers, and answers again (§3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from semievol.endpoints import is_endpoint
from semievol.method import remote
from semievol.method.conversations import (
    TooLong,
    answer_chunk,
    ask_of,
    chunks,
    demonstrations_of,
    for_judge,
    model_paths,
    path_of,
)
from semievol.method.protocols import Ask, Engine, Journal, Plan
from semievol.records import Record, Response


def ask_judge(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    disputed: Sequence[Record],
    given: Callable[[Sequence[Record]], Mapping[str, Sequence[Response]]],
) -> None:
    """The judge reads each disputed record with its collaborators' answers in shuffled order, and answers again.

    given: some records -> their responses by record id.
    """
    near = demonstrations_of(plan, journal)
    models = model_paths(plan, journal)
    judge = plan.config.propagation.judge
    done, too_long = journal.answered("justify"), TooLong()

    def asked(records: Sequence[Record]) -> list[tuple[Record, Ask]]:
        by_record = given(records)
        seen = [(record, for_judge(plan, record, by_record[record.id])) for record in records]
        return [(r, ask_of(plan, engine, "justify", r, judge, models, near, candidates)) for r, candidates in seen]

    if is_endpoint(path_of(judge, models)):
        asks = (ask for _, chunk in chunks(disputed, near) for ask in asked(chunk))
        remote.answer(
            plan, engine, journal, "justify", asks, done, lambda n: journal.progress("justify", n, len(disputed))
        )
        return
    for start, chunk in chunks(disputed, near, engine.chunk):
        answer_chunk(plan, engine, journal, "justify", asked(chunk), done, too_long)
        journal.progress("justify", start + len(chunk), len(disputed))
    too_long.report(journal, "justify")
