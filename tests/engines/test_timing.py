"""What an answer costs: its share of its batch's time, and its tokens."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from semievol.engines.inference.timing import timed
from tests.engines.conftest import LABELS, ask, turns


def test_the_time_of_a_batch_is_shared_by_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 12.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))

    def loud(batch: list[str]) -> list[str]:
        return [word.upper() for word in batch]

    work = timed(loud, lambda word, shout: len(word) + len(shout))
    assert work(["abc", "a"]) == [("ABC", 1.5), ("A", 0.5)]


def test_every_answer_of_the_engine_has_its_tokens_and_seconds(engine) -> None:
    closed = ask("base")
    free = [replace(one, allowed=(), max_tokens=3, record_id=f"free {one.record_id}") for one in closed]
    replies = engine.answer([*closed, *free])
    prompts = engine.base.chat.prompts([one.messages for one in closed])
    assert [reply.cost.prompt_tokens for reply in replies] == [len(prompt) for prompt in prompts] * 2
    assert [reply.cost.answer_tokens for reply in replies[3:]] == [len(r.token_logprobs) for r in replies[3:]]
    assert all(reply.cost.records == 1 and reply.cost.seconds > 0 for reply in replies)


def test_collaborators_who_ask_the_same_share_what_it_takes(engine) -> None:
    (one,) = ask("base")[:1]
    alone, twin = engine.answer([one, replace(one, collaborator="other")])
    assert alone.cost == twin.cost
    longer = replace(one, messages=turns("The water pipe " * 20), allowed=LABELS)
    assert engine.answer([longer])[0].cost.prompt_tokens > alone.cost.prompt_tokens
