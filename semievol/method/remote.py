"""Questions to endpoints: which are still open, and how their answers are saved.

A paid answer is never asked for twice: what is stored is not asked again, and every answer is saved as it comes, with
what the run has spent until then, instead of in chunks. A question that got no answer leaves no response, so that the
next run with these settings, or a resumed one, asks just that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from semievol.errors import UserError
from semievol.method.conversations import response_of, stop_if_asked
from semievol.method.protocols import Ask, Called, Engine, Journal, OutOfBudget, Plan, Reply
from semievol.method.spending import Purse
from semievol.records import Cost, Record, Response
from semievol.wording import plural

_REASONS = 3


class Unanswered:
    """The questions of a stage that got no answer, by endpoint and reason, and the answers without log-probabilities;
    reported once, at the end of the stage."""

    def __init__(self) -> None:
        self._found: dict[str, Counter[str]] = {}
        self._bare: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return sum(reasons.total() for reasons in self._found.values())

    def count(self, called: Called) -> None:
        self._found.setdefault(called.endpoint, Counter())[called.reason] += 1

    def saw(self, called: Called, reply: Reply) -> None:
        """Counts answers to closed questions that came without log-probabilities."""
        if called.ask.allowed and reply.exactness == "absent":
            self._bare[called.endpoint] += 1

    def report(self, journal: Journal, stage: str) -> None:
        """Of an evaluation only what was not answered: nothing there rests on log-probabilities."""
        for endpoint, reasons in self._found.items():
            why = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(_REASONS))
            more = f"; {len(reasons) - _REASONS:,} other reasons" if len(reasons) > _REASONS else ""
            journal.event(
                stage,
                f"The endpoint {endpoint} gave no answer to {plural(reasons.total(), 'question')}: {why}{more}. "
                "Another run with these settings asks just these again.",
            )
        for endpoint, count in self._bare.items() if stage != "evaluate" else ():
            journal.event(
                stage,
                f"The endpoint {endpoint} gave {plural(count, 'answer')} without usable log-probabilities. Confidence "
                "in these records comes from the collaborators' votes only: the measure vote_entropy.",
            )


def answer(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    stage: str,
    asks: Iterable[tuple[Record, Ask]],
    done: set[tuple[str, str, str]],
    told: Callable[[int], None],
) -> int:
    """Puts the questions to their endpoints, saves the answers, and reports what was not answered; returns how many
    got no answer. Those of an evaluation are saved by the row that each question names as its collaborator.

    done: keys (record id, collaborator, input hash) of the stored responses. told: is given the number of questions
    that have ended, those that were stored before included.
    """
    purse = Purse(plan.config.budget, journal.spent())
    records: dict[tuple[str, str], Record] = {}
    unanswered, ended = Unanswered(), 0

    def open_ones() -> Iterator[Ask]:
        nonlocal ended
        for record, ask in asks:
            if (ask.record_id, ask.collaborator, ask.input_hash) in done:
                ended += 1
                continue
            records[ask.record_id, ask.collaborator] = record
            yield ask

    def took(called: Sequence[Called]) -> None:
        nonlocal ended
        responses: list[Response] = []
        costs: dict[str, Cost] = {}
        for one in called:
            record = records.pop((one.ask.record_id, one.ask.collaborator))
            if one.reply is None:
                unanswered.count(one)
            else:
                unanswered.saw(one, one.reply)
                responses.append(response_of(plan, record, one.ask, one.reply))
                name, cost = one.ask.collaborator, one.reply.cost or Cost()
                costs[name] = costs.get(name, Cost()) + cost
        if stage == "evaluate":
            journal.save_responses(stage, [], spent=purse.spent)
            for row in dict.fromkeys(one.collaborator for one in responses):
                journal.save_predictions(row, [one for one in responses if one.collaborator == row])
        else:
            journal.save_responses(stage, responses, costs, purse.spent)
        ended += len(called)
        told(ended)

    stop_if_asked(journal)
    try:
        engine.call(open_ones(), purse, took, journal.stopping, lambda sentence: journal.event(stage, sentence))
    finally:
        unanswered.report(journal, stage)
    told(ended)
    return unanswered.total


def evaluate(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    asks: Iterable[tuple[Record, Ask]],
    done: set[tuple[str, str, str]],
    told: Callable[[int], None],
) -> None:
    """Puts the questions of an evaluation to the models at a server, and saves their answers by the row that each
    question names as its collaborator. done, told: as in `answer`. Raises UserError where one got no answer: rows over
    different records could not be compared."""
    if missed := answer(plan, engine, journal, "evaluate", asks, done, told):
        what = "1 question of the evaluation" if missed == 1 else f"{missed:,} questions of the evaluation"
        raise UserError(f"{what} got no answer from the server.", "evaluate", "Resume the run, which asks only these.")


def replies(engine: Engine, asks: Sequence[Ask], purse: Purse) -> tuple[list[Reply | None], UserError | None]:
    """The replies to questions outside of a run, in the order of `asks`, None where no answer came; and why no further
    question can be put, if none can: what has come is paid, so it is given back nevertheless."""
    came: dict[Ask, Reply | None] = {}

    def took(called: Sequence[Called]) -> None:
        came.update((one.ask, one.reply) for one in called)

    over: UserError | None = None
    try:
        engine.call(asks, purse, took, lambda: False)
    except OutOfBudget as problem:
        over = problem.reason
    except UserError as problem:
        over = problem
    return [came.get(ask) for ask in asks], over
