"""What the models are asked: a record and a collaborator become an `Ask`, a reply becomes a `Response`.

Every random draw is keyed by (seed, round, stage, record, collaborator), so that no answer depends on what was asked
before it. Knows nothing of stages' order.
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

CHUNK = 16  # records asked and saved together; a kill loses at most one chunk
FIRST_CHUNK = 8
UNREAD = Reply(text="", exactness="absent")  # of a model that could not read the question


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
    """The question that `collaborator` is asked about `record`; `near` holds demonstrations by record id.

    Where the model cannot read all of it, the least similar demonstrations are left out, as many as need be.
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
    """How many questions of a stage the model could not read as they were meant; told once, at the stage's end."""

    shortened: int = 0
    unread: int = 0

    def count(self, asks: Iterable[Ask]) -> None:
        for ask in asks:
            self.unread += ask.too_long
            self.shortened += bool(ask.left_out) and not ask.too_long

    def tell(self, journal: Journal, stage: str) -> None:
        if self.shortened:
            journal.event(
                stage,
                f"{counted(self.shortened)} too long for the model with all demonstrations: "
                "the least similar ones were left out.",
            )
        if self.unread:
            journal.event(
                stage,
                f"{counted(self.unread)} too long for the model even without demonstrations, and got no answer.",
            )


def counted(questions: int) -> str:
    """How many questions were, as the beginning of a sentence."""
    return "1 question was" if questions == 1 else f"{questions:,} questions were"


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
    replies = iter(engine.answer([ask for _, _, ask in asks if not ask.too_long]))
    responses = [_response(plan, record, ask, UNREAD if ask.too_long else next(replies)) for record, _, ask in asks]
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
    done, too_long = journal.answered("justify"), TooLong()
    for start, chunk in chunks(disputed, near):
        asks = []
        for record in chunk:
            candidates = [response.text for response in by_record[record.id]]
            _chance(plan, "justify", record, judge).shuffle(candidates)
            asks.append((record, judge, ask_of(plan, engine, "justify", record, judge, models, near, candidates)))
        too_long.count(ask for _, _, ask in asks)
        answer_chunk(plan, engine, journal, "justify", asks, done)
        journal.progress("justify", start + len(chunk), len(disputed))
    too_long.tell(journal, "justify")


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


def chunks(
    records: Sequence[Record], near: Mapping[str, Sequence[Demonstration]] | None = None
) -> Iterator[tuple[int, Sequence[Record]]]:
    """Records as they are asked about, in pieces, each with the number of records before it.

    Records with the same demonstrations come together, since an engine may read these once for all of them. The first
    piece is small, so that there are responses to look at soon.
    """
    shown = near or {}
    ordered = sorted(records, key=lambda r: [d.record.id for d in by_similarity(shown.get(r.id, ()))])
    start, size = 0, FIRST_CHUNK
    while start < len(ordered):
        yield start, ordered[start : start + size]
        start, size = start + size, CHUNK


def go_on(journal: Journal) -> None:
    if journal.stopping():
        raise Stopped
