"""What the models are asked: a record and a collaborator become an `Ask`, a reply becomes a `Response`.

Every random draw is keyed by (seed, round, stage, record, collaborator), so that no answer depends on what was asked
before it. Knows nothing of stages' order.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence

from semievol.config import Collaborator
from semievol.method.prompts import by_similarity, render
from semievol.method.protocols import Ask, Engine, Journal, Plan, Reply, Stopped
from semievol.method.tasks import allowed_answers, parse
from semievol.records import Demonstration, Record, Response

CHUNK = 32  # records asked and saved together; a kill loses at most one chunk


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
    """The question that `collaborator` is asked about `record`; `near` holds demonstrations by record id."""
    chance = _chance(plan, stage, record, collaborator)
    shown = by_similarity(near.get(record.id, ())) if collaborator.demonstrations else []
    if collaborator.order == "shuffled":
        chance.shuffle(shown)
    turns = render(plan.task, record, shown, candidates, collaborator.variant, engine.control_tokens)
    return Ask(
        record_id=record.id,
        collaborator=collaborator.name,
        model=models.get(collaborator.model, collaborator.model),
        messages=turns,
        allowed=allowed_answers(plan.task, record),
        temperature=collaborator.temperature,
        seed=chance.getrandbits(32),
        max_tokens=plan.config.propagation.max_answer_tokens,
        identity=collaborator.model,
    )


def answer_chunk(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    stage: str,
    asks: Sequence[tuple[Record, Collaborator, Ask]],
    done: set[tuple[str, str, str]],
) -> None:
    """Asks a chunk and saves it whole, unless it is already there."""
    if all((ask.record_id, ask.collaborator, ask.input_hash) in done for _, _, ask in asks):
        return
    go_on(journal)
    replies = engine.answer([ask for _, _, ask in asks])
    responses = [_response(plan, record, ask, reply) for (record, _, ask), reply in zip(asks, replies, strict=True)]
    if stage == "evaluate":
        journal.save_predictions(asks[0][1].name, responses)
    else:
        journal.save_responses(stage, responses)


def _response(plan: Plan, record: Record, ask: Ask, reply: Reply) -> Response:
    """A reply read as an answer. Of scored answers the most probable is taken, or one is drawn where T > 0."""
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


def weigh(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    disputed: Sequence[Record],
    by_record: Mapping[str, Sequence[Response]],
) -> None:
    near = demonstrations_of(plan, journal)
    models = model_paths(plan, journal)
    judge = plan.config.propagation.judge
    done = journal.answered("justify")
    for start, chunk in chunks(disputed):
        asks = []
        for record in chunk:
            candidates = [response.text for response in by_record[record.id]]
            _chance(plan, "justify", record, judge).shuffle(candidates)
            asks.append((record, judge, ask_of(plan, engine, "justify", record, judge, models, near, candidates)))
        answer_chunk(plan, engine, journal, "justify", asks, done)
        journal.progress("justify", start + len(chunk), len(disputed))


def model_paths(plan: Plan, journal: Journal) -> dict[str, str]:
    """Names that a collaborator may give -> what the engine calls them."""
    warm = journal.adapter("warm_up")
    return {"base": "base"} | ({"warm_up": warm} if warm else {})


def demonstrations_of(plan: Plan, journal: Journal) -> dict[str, list[Demonstration]]:
    labeled = {record.id: record for record in plan.labeled}
    k = plan.config.propagation.k
    return {
        record_id: [Demonstration(labeled[shown], similarity) for shown, similarity in near[:k] if shown in labeled]
        for record_id, near in journal.demonstrations().items()
    }


def _chance(plan: Plan, stage: str, record: Record, collaborator: Collaborator) -> random.Random:
    """Random numbers that depend on nothing but (seed, round, stage, record, collaborator)."""
    key = f"{plan.config.seed}/{plan.round_number}/{stage}/{record.id}/{collaborator.name}/{collaborator.seed}"
    return random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]))


def chunks(records: Sequence[Record]) -> Iterator[tuple[int, Sequence[Record]]]:
    for start in range(0, len(records), CHUNK):
        yield start, records[start : start + CHUNK]


def go_on(journal: Journal) -> None:
    if journal.stopping():
        raise Stopped
