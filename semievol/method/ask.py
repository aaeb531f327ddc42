"""Questions to models: a record and a collaborator become an `Ask`, a reply becomes a `Response`.

Every random draw is keyed by (seed, round, stage, record, collaborator), so that no answer depends on earlier
questions. Knows nothing of the order of the stages.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from semievol.config import Collaborator
from semievol.method.protocols import Ask, Engine, Journal, Plan, Reply, Stopped
from semievol.records import Demonstration, Record, Response
from semievol.task.answers import allowed_answers, parse
from semievol.task.prompts import by_similarity, render

CHUNK = 16  # records whose responses are saved together; a killed run loses at most one chunk
FIRST_CHUNK = 8
_NOT_ASKED = Reply(text="", exactness="absent")  # where the model cannot read the question


def ask_of(
    plan: Plan,
    engine: Engine,
    stage: str,
    record: Record,
    collaborator: Collaborator,
    models: Mapping[str, str],
    near: Mapping[str, Sequence[Demonstration]],
    candidates: Sequence[str] = (),
) -> Ask:
    """The question to `collaborator` about `record`; `near` holds demonstrations by record id.

    If the prompt is too long for the model, the least similar demonstrations are left out, as many as necessary.
    """
    nearest_last = by_similarity(near.get(record.id, ())) if collaborator.demonstrations else []
    for left_out in range(len(nearest_last) + 1):
        chance = _chance(plan, stage, record, collaborator)
        shown = nearest_last[left_out:]
        if collaborator.order == "shuffled":
            chance.shuffle(shown)
        ask = Ask(
            record_id=record.id,
            collaborator=collaborator.name,
            model=models.get(collaborator.model, collaborator.model),
            messages=render(
                plan.task,
                record,
                shown,
                candidates=candidates,
                variant=collaborator.variant,
                control_tokens=engine.control_tokens,
                rule_first=plan.config.rule_first,
            ),
            allowed=allowed_answers(plan.task, record),
            temperature=collaborator.temperature,
            seed=chance.getrandbits(32),
            max_tokens=plan.config.propagation.max_answer_tokens,
            identity=collaborator.model,
            left_out=left_out,
        )
        if engine.fits(ask):
            return ask
    return replace(ask, too_long=True)


@dataclass
class TooLong:
    """Counts the questions of a stage that are too long for the model; reported once, at the end of the stage."""

    shortened: int = 0
    unread: int = 0

    def count(self, asks: Iterable[Ask]) -> None:
        for ask in asks:
            self.unread += ask.too_long
            self.shortened += bool(ask.left_out) and not ask.too_long

    def report(self, journal: Journal, stage: str) -> None:
        for count, fault in (
            (self.shortened, "with all demonstrations: the least similar ones were left out."),
            (self.unread, "even without demonstrations, and got no answer."),
        ):
            if count:
                questions = "1 question was" if count == 1 else f"{count:,} questions were"
                journal.event(stage, f"{questions} too long for the model {fault}")


def answer_chunk(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    stage: str,
    asks: Sequence[tuple[Record, Ask]],
    done: set[tuple[str, str, str]],
    too_long: TooLong,
) -> None:
    """Asks all questions of a chunk and saves the responses together, unless all are already stored.

    done: keys (record id, collaborator, input hash) of the stored responses. too_long: counts these questions.
    """
    too_long.count(ask for _, ask in asks)
    if all((ask.record_id, ask.collaborator, ask.input_hash) in done for _, ask in asks):
        return
    stop_if_asked(journal)
    replies = iter(engine.answer([ask for _, ask in asks if not ask.too_long]))
    responses = [_response(plan, record, ask, _NOT_ASKED if ask.too_long else next(replies)) for record, ask in asks]
    if stage == "evaluate":
        journal.save_predictions(responses[0].collaborator, responses)
    else:
        journal.save_responses(stage, responses)


def _response(plan: Plan, record: Record, ask: Ask, reply: Reply) -> Response:
    """The response that a reply gives. Of scored answers the most probable is taken; above T = 0 one is drawn."""
    text = reply.text
    if ask.allowed and reply.probabilities and ask.temperature > 0:
        # p^(1/T), scaled by the largest so that a small T cannot make every weight vanish
        top = max(reply.probabilities)
        weights = [(p / top) ** (1 / ask.temperature) for p in reply.probabilities]
        text = random.Random(ask.seed).choices(ask.allowed, weights)[0]
    return Response(
        record_id=record.id,
        collaborator=ask.collaborator,
        text=text,
        answer=text if text in ask.allowed else parse(plan.task, record, text),
        probabilities=reply.probabilities,
        mass=reply.mass,
        token_logprobs=reply.token_logprobs,
        token_entropies=reply.token_entropies,
        exactness=reply.exactness,
        input_hash=ask.input_hash,
    )


def ask_judge(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    disputed: Sequence[Record],
    by_record: Mapping[str, Sequence[Response]],
) -> None:
    """The judge reads each disputed record with its collaborators' answers in shuffled order, and answers again."""
    near = demonstrations_of(plan, journal)
    models = model_paths(plan, journal)
    judge = plan.config.propagation.judge
    done, too_long = journal.answered("justify"), TooLong()
    for start, chunk in chunks(disputed, near):
        asks = []
        for record in chunk:
            candidates = [response.text for response in by_record[record.id]]
            _chance(plan, "justify", record, judge).shuffle(candidates)
            asks.append((record, ask_of(plan, engine, "justify", record, judge, models, near, candidates)))
        answer_chunk(plan, engine, journal, "justify", asks, done, too_long)
        journal.progress("justify", start + len(chunk), len(disputed))
    too_long.report(journal, "justify")


def model_paths(plan: Plan, journal: Journal) -> dict[str, str]:
    """A collaborator's `model` -> the engine's name for it. Other models have the same name in both."""
    warm = journal.adapter("warm_up")
    return {"base": "base"} | ({"warm_up": warm} if warm else {})


def demonstrations_of(plan: Plan, journal: Journal) -> dict[str, list[Demonstration]]:
    """Record id -> its `k` nearest labeled records, most similar first."""
    labeled = {record.id: record for record in plan.labeled}
    k = plan.config.propagation.k
    return {
        record_id: [Demonstration(labeled[shown], similarity) for shown, similarity in near[:k] if shown in labeled]
        for record_id, near in journal.demonstrations().items()
    }


def _chance(plan: Plan, stage: str, record: Record, collaborator: Collaborator) -> random.Random:
    """Random numbers that depend on (seed, round, stage, record, collaborator) only."""
    key = f"{plan.config.seed}/{plan.round_number}/{stage}/{record.id}/{collaborator.name}/{collaborator.seed}"
    return random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]))


def chunks(
    records: Sequence[Record], near: Mapping[str, Sequence[Demonstration]] | None = None
) -> Iterator[tuple[int, Sequence[Record]]]:
    """The records cut into chunks, each with the number of records before it.

    Records with the same demonstrations are next to each other, since an engine may read these once for all of them.
    The first chunk is small, so that the first responses are on the screen soon.
    """
    shown = near or {}
    ordered = sorted(records, key=lambda r: [d.record.id for d in by_similarity(shown.get(r.id, ()))])
    start, size = 0, FIRST_CHUNK
    while start < len(ordered):
        yield start, ordered[start : start + size]
        start, size = start + size, CHUNK


def stop_if_asked(journal: Journal) -> None:
    """Raises `Stopped` if somebody asked the run to stop."""
    if journal.stopping():
        raise Stopped
