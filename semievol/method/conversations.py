"""Records as conversations with a model: questions that it answers, examples that it is trained on.

A record and a collaborator become an `Ask`, a reply becomes a `Response`; a record with a known or accepted answer
becomes an `Example`. Every random draw is keyed by (seed, round, stage, record, collaborator), so that no answer
depends on earlier questions. Knows nothing of the order of the stages, nor of how a model is trained.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from semievol.config import Collaborator, Config
from semievol.endpoints import is_endpoint
from semievol.errors import UserError
from semievol.method.protocols import Ask, Engine, Journal, Listener, Plan, Reply, Stopped, TokenCleaning, TrainingSetup
from semievol.method.spending import Purse
from semievol.records import Cost, Demonstration, Example, Origin, Record, Response
from semievol.selection.summary import Selection
from semievol.task.answers import allowed_answers, parse
from semievol.task.prompts import by_similarity, neutralise, render

CHUNK = 16
"""Records whose responses are saved together, on a processor; a killed run loses at most one chunk. `Engine.chunk` has
the number for the device."""
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
    shown, model = near.get(record.id, ()), path_of(collaborator, models)
    tokens = () if is_endpoint(model) else engine.control_tokens
    for ask in questions(plan, tokens, stage, record, collaborator, shown, candidates):
        ask = replace(ask, model=model)
        if engine.fits(ask):
            return ask
    return replace(ask, too_long=True)


def questions(
    plan: Plan,
    control_tokens: Sequence[str],
    stage: str,
    record: Record,
    collaborator: Collaborator,
    near: Sequence[Demonstration],
    candidates: Sequence[str] = (),
) -> Iterator[Ask]:
    """The question to `collaborator`, named by its `model`: with all demonstrations, then with one less each time, the
    least similar left out first.

    control_tokens: those of the base model, which mean nothing to an endpoint.
    """
    control_tokens = () if is_endpoint(collaborator.model) else control_tokens
    nearest_last = by_similarity(near) if collaborator.demonstrations else []
    for left_out in range(len(nearest_last) + 1):
        chance = _chance(plan, stage, record, collaborator)
        shown = nearest_last[left_out:]
        if collaborator.order == "shuffled":
            chance.shuffle(shown)
        yield Ask(
            record_id=record.id,
            collaborator=collaborator.name,
            model=collaborator.model,
            messages=render(
                plan.task,
                record,
                shown,
                candidates=candidates,
                variant=collaborator.variant,
                control_tokens=control_tokens,
                rule_first=plan.config.rule_first,
            ),
            allowed=allowed_answers(plan.task, record),
            temperature=collaborator.temperature,
            seed=chance.getrandbits(32),
            max_tokens=plan.config.propagation.max_answer_tokens,
            identity=collaborator.model,
            left_out=left_out,
        )


def for_judge(plan: Plan, record: Record, given: Sequence[Response]) -> list[str]:
    """The collaborators' answers in the order in which the judge reads them."""
    texts = [response.text for response in given]
    _chance(plan, "justify", record, plan.config.propagation.judge).shuffle(texts)
    return texts


@dataclass
class TooLong:
    """The records of a stage whose question is too long for the model, however often each was asked; reported once, at
    the end of the stage."""

    shortened: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)

    def count(self, asks: Iterable[Ask]) -> None:
        for ask in asks:
            if ask.too_long:
                self.unread.add(ask.record_id)
            elif ask.left_out:
                self.shortened.add(ask.record_id)

    def report(self, journal: Journal, stage: str) -> None:
        for records, fault in (
            (self.shortened - self.unread, "with all demonstrations: the least similar ones were left out."),
            (self.unread, "even without demonstrations, and got no answer."),
        ):
            if records:
                were = "1 record was" if len(records) == 1 else f"{len(records):,} records were"
                journal.event(stage, f"{were} too long for the model {fault}")


def answer_chunk(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    stage: str,
    asks: Sequence[tuple[Record, Ask]],
    done: set[tuple[str, str, str]],
    too_long: TooLong,
) -> None:
    """Asks the questions of a chunk whose responses are not stored yet, and saves these together.

    done: keys (record id, collaborator, input hash) of the stored responses. A chunk is stored whole, so a part is
    there only if the chunks were larger or smaller, on another device. too_long: counts all these questions.
    """
    too_long.count(ask for _, ask in asks)
    asks = [(r, ask) for r, ask in asks if (ask.record_id, ask.collaborator, ask.input_hash) not in done]
    if not asks:
        return
    stop_if_asked(journal)
    given = iter(engine.answer([ask for _, ask in asks if not ask.too_long]))
    replies = [_NOT_ASKED if ask.too_long else next(given) for _, ask in asks]
    responses = [response_of(plan, record, ask, reply) for (record, ask), reply in zip(asks, replies, strict=True)]
    if stage == "evaluate":
        journal.save_predictions(responses[0].collaborator, responses)
        return
    costs: dict[str, Cost] = {}
    for (_, ask), reply in zip(asks, replies, strict=True):
        if reply.cost is not None:
            costs[ask.collaborator] = costs.get(ask.collaborator, Cost()) + reply.cost
    journal.save_responses(stage, responses, costs)


def response_of(plan: Plan, record: Record, ask: Ask, reply: Reply) -> Response:
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


def model_paths(plan: Plan, journal: Journal) -> dict[str, str]:
    """A collaborator's `model` -> the engine's name for it. Other models have the same name in both; the base, given by
    its own name, is not loaded a second time. Where base and warm-up are at a server, these are their addresses."""
    warm, base = journal.adapter("warm_up"), base_path(plan.config)
    return {plan.config.model: base, "base": base} | ({"warm_up": warm} if warm else {})


def base_path(config: Config) -> str:
    """The engine's name for the base model."""
    return config.model if config.is_far else "base"


def path_of(collaborator: Collaborator, models: Mapping[str, str]) -> str:
    """The engine's name for a collaborator's model. models: as `model_paths` gives them."""
    return models.get(collaborator.model, collaborator.model)


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
    records: Sequence[Record], near: Mapping[str, Sequence[Demonstration]] | None = None, size: int = CHUNK
) -> Iterator[tuple[int, Sequence[Record]]]:
    """The records cut into chunks, each with the number of records before it.

    Records with the same demonstrations are next to each other, since an engine may read these once for all of them.
    The first chunk is small, so that the first responses are on the screen soon. size: records of every other chunk.
    """
    shown = near or {}
    ordered = sorted(records, key=lambda r: [d.record.id for d in by_similarity(shown.get(r.id, ()))])
    start, stop = 0, FIRST_CHUNK
    while start < len(ordered):
        yield start, ordered[start:stop]
        start, stop = stop, stop + size


def stop_if_asked(journal: Journal) -> None:
    """Raises `Stopped` if somebody asked the run to stop."""
    if journal.stopping():
        raise Stopped


def warm_up_examples(plan: Plan, engine: Engine) -> list[Example]:
    """What `warm_up` trains on: every labeled record; if the settings say so, each once more with demonstrations."""
    tokens = engine.control_tokens
    plain = [_example(plan, record, record.answer, "gold", tokens) for record in plan.labeled]
    settings = plan.config.propagation
    if settings.warm_up_demonstrations == "none" or settings.k == 0:
        return plain
    found = engine.neighbours(plan.labeled, plan.labeled, settings.k, settings.embedder)
    shown = [
        _example(plan, record, record.answer, "gold", tokens, by_similarity(near))
        for record, near in zip(plan.labeled, found, strict=True)
    ]
    return [example for pair in zip(plain, shown, strict=True) for example in pair]


def tune_examples(plan: Plan, frozen: Selection, control_tokens: Sequence[str]) -> list[tuple[Record, Example]]:
    """What `tune` trains on, each example with its record: labeled records, then accepted ones, in the plan's order.

    Needs no engine, so that the export of training data gives exactly these. control_tokens: those of the model.
    """
    gold = plan.labeled if plan.config.tune_on == "gold_and_pseudo" else ()
    found = [(record, _example(plan, record, record.answer, "gold", control_tokens)) for record in gold]
    for record in plan.unlabeled:
        if record.id in frozen.answers:
            origin = frozen.origins.get(record.id, "pseudo")
            found.append((record, _example(plan, record, frozen.answers[record.id], origin, control_tokens)))
    return found


def _example(
    plan: Plan,
    record: Record,
    answer: str | None,
    origin: Origin,
    control_tokens: Sequence[str],
    demonstrations: Sequence[Demonstration] = (),
) -> Example:
    assert answer is not None, f"record {record.id} is to be trained on but has no answer"
    turns = render(plan.task, record, demonstrations, control_tokens=control_tokens, rule_first=plan.config.rule_first)
    return Example(record.id, turns, neutralise(answer, control_tokens), origin)


def train(plan: Plan, engine: Engine, journal: Journal, stage: str, examples: list[Example], start: str | None) -> str:
    """Folder of the adapter of this stage, or the address of the model that a server has fine-tuned. The loss on
    calibration records is measured, they are not trained on."""
    if not examples:
        raise UserError("There is nothing to train on.", stage, "Add labeled records or accept more candidates.")
    settings = plan.config.propagation.warm_up if stage == "warm_up" else plan.config.tune
    _report_untrained(engine, journal, stage, examples)
    held_out = [_example(plan, r, r.answer, "gold", engine.control_tokens) for r in plan.calibration]
    setup = TrainingSetup(settings, journal.folder(stage), plan.config.seed, start, _cleaning(plan, journal, stage))

    def metric(name: str, step: int, value: float) -> None:
        journal.metric(stage, name, step, value)

    def progress(step: int, total: int) -> None:
        journal.progress(stage, step, total)

    if not plan.config.is_far:
        return engine.train(examples, setup, metric, progress, journal.stopping, held_out)
    purse = Purse(plan.config.budget, journal.spent())

    def said(sentence: str) -> None:
        journal.event(stage, sentence)

    def kept() -> None:
        journal.save_responses(stage, [], spent=purse.spent)

    listener = Listener(metric, progress, journal.stopping, said, kept)
    found = engine.have_tuned(examples, setup, purse, listener, held_out)
    journal.progress(stage, 1, 1)
    return found


def _cleaning(plan: Plan, journal: Journal, stage: str) -> TokenCleaning | None:
    """Free answers only: a fixed answer is right or wrong as a whole."""
    share, warm_up = plan.config.token_cleaning, journal.adapter("warm_up")
    wanted = stage == "tune" and share and not plan.task.closed and warm_up is not None
    return TokenCleaning(share, str(warm_up)) if wanted else None


def _report_untrained(engine: Engine, journal: Journal, stage: str, examples: Sequence[Example]) -> None:
    """Notes how many examples the engine leaves out, because they are too long for the model."""
    long = [one for one in examples if not engine.fits(Ask(one.record_id, stage, "base", one.messages, (one.answer,)))]
    if long:
        gold = sum(one.origin == "gold" for one in long)
        parts = [(gold, "labeled"), (len(long) - gold, "accepted")]
        which = " and ".join(f"{count:,} {words}" for count, words in parts if count)
        were = "1 example is" if len(long) == 1 else f"{len(long):,} examples are"
        journal.event(stage, f"{were} too long for the model and not trained on ({which}), of {len(examples):,}.")
