"""From questions to answers of one model in memory: prompts, batches, and what a reply holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from semievol.engines.adapters import AdaptedModel
from semievol.engines.inference import generation, scoring
from semievol.engines.inference.timing import timed
from semievol.engines.packing.batching import Batcher
from semievol.engines.packing.layout import Beginning
from semievol.engines.packing.shares import Continued, Padded, Shared
from semievol.errors import UserError
from semievol.method.protocols import Ask, Reply
from semievol.records import Cost


def score(adapted: AdaptedModel, model: object, asks: Sequence[Ask], batcher: Batcher) -> list[Reply]:
    """Answers to closed questions, with the probability of every allowed answer."""
    prompts = adapted.chat.prompts([ask.messages for ask in asks])
    questions: dict[tuple[object, ...], scoring.Question] = {}
    keys = [(ask.messages, ask.allowed) for ask in asks]
    for ask, prompt, key in zip(asks, prompts, keys, strict=True):
        if key not in questions:
            questions[key] = _question(adapted, ask, prompt)
    distinct = list(questions.values())
    if adapted.packs:
        shared = [question.prompt for question in distinct]
        beginning = Beginning.of(shared)
        scores = batcher.run(
            distinct,
            Shared([prompt[len(beginning.ids) :] for prompt in shared], [len(question.nodes) for question in distinct]),
            timed(lambda batch: scoring.score(model, batch, beginning), _scored_tokens),
        )
    else:
        scores = batcher.run(
            distinct,
            Padded(
                [len(q.paths) * (len(q.prompt) + max(map(len, q.paths))) for q in distinct],
                adapted.turning,
                [len(q.prompt) + max(map(len, q.paths)) - 1 for q in distinct],
            ),
            timed(lambda batch: scoring.score_padded(model, batch, adapted.pad), _scored_tokens),
        )
    found = {key: (*scoring.normalise(logs), took) for key, (logs, took) in zip(questions, scores, strict=True)}
    times = Counter(keys)
    replies = []
    for ask, prompt, key in zip(asks, prompts, keys, strict=True):
        probabilities, mass, seconds = found[key]
        text = ask.allowed[int(np.argmax(probabilities))]
        cost = Cost(1, seconds / times[key], len(prompt), len(questions[key].nodes))
        replies.append(Reply(text=text, probabilities=probabilities, mass=mass, cost=cost))
    return replies


def _question(adapted: AdaptedModel, ask: Ask, prompt: tuple[int, ...]) -> scoring.Question:
    turns = [adapted.chat.turn(ask.messages, prompt, answer) for answer in ask.allowed]
    shared = min(len(turn.prompt) for turn in turns)
    replies = [turn.prompt[shared:] + turn.reply for turn in turns]
    if len(set(replies)) < len(replies):
        raise UserError(
            f"Two of the allowed answers look the same to the model: {', '.join(map(repr, ask.allowed))[:200]}.",
            f"record {ask.record_id}",
            "Give every label or option a text of its own.",
        )
    question = scoring.question(prompt[:shared], replies)
    _check_length(adapted, ask, shared + max(len(path) for path in question.paths))
    return question


def generate(adapted: AdaptedModel, model: object, asks: Sequence[Ask], batcher: Batcher) -> list[Reply]:
    """Generated answers to open questions."""
    prompts = adapted.chat.prompts([ask.messages for ask in asks])
    draws = []
    for ask, prompt in zip(asks, prompts, strict=True):
        _check_length(adapted, ask, len(prompt) + 1)
        room = ask.max_tokens if adapted.chat.context is None else adapted.chat.context - len(prompt)
        key = generation.draw_key(ask.seed, ask.record_id)
        draws.append(generation.Draw(prompt, ask.temperature, key, min(ask.max_tokens, room)))
    lengths = [draw.max_tokens for draw in draws]
    results = batcher.run(
        draws,
        Continued([draw.prompt for draw in draws], lengths, adapted.packs, adapted.turning),
        timed(
            lambda batch: generation.generate(
                model, batch, adapted.chat.stops, adapted.pad, adapted.packs, adapted.turning
            ),
            lambda draw, result: len(draw.prompt) + len(result.logprobs),
        ),
    )
    return [
        Reply(
            text=adapted.chat.text(result.ids),
            token_logprobs=tuple(result.logprobs),
            token_entropies=tuple(result.entropies),
            cost=Cost(1, seconds, len(prompt), len(result.logprobs)),
        )
        for (result, seconds), prompt in zip(results, prompts, strict=True)
    ]


def _check_length(adapted: AdaptedModel, ask: Ask, tokens: int) -> None:
    limit = adapted.chat.context
    if limit is not None and tokens > limit:
        raise UserError(
            f"The prompt and its answer need {tokens} tokens, the model {adapted.name} takes {limit}.",
            f"record {ask.record_id}",
            "Show fewer demonstrations, shorten the record, or choose a model with a longer context.",
        )


def _scored_tokens(question: scoring.Question, _: object) -> int:
    return len(question.prompt) + len(question.nodes)
