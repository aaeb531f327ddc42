"""Answering on several devices: what one device answers, whatever happens to the other processes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semievol.engines.answering import shards, sharing
from semievol.engines.local import LocalEngine
from semievol.errors import UserError
from semievol.method.protocols import Ask, Reply
from semievol.records import Cost, Message
from tests.engines import conftest

texts = st.text(max_size=30)
numbers = st.lists(st.floats(allow_nan=False), max_size=4).map(tuple)
conversations = st.lists(st.builds(Message, st.sampled_from(["system", "user"]), texts), min_size=1, max_size=2)
questions = st.builds(
    Ask,
    record_id=texts,
    collaborator=texts,
    model=st.sampled_from(["base", "other"]),
    messages=conversations.map(tuple),
    allowed=st.sampled_from([(), ("a", "b")]),
    temperature=st.floats(0, 2),
    seed=st.integers(0, 2**63),
)
costs = st.builds(Cost, st.integers(0, 9), st.floats(0, 9), st.integers(0, 9), st.integers(0, 9))
answers = st.builds(
    Reply,
    text=texts,
    probabilities=numbers,
    mass=st.none() | st.floats(0, 1),
    token_logprobs=numbers,
    token_entropies=numbers,
    cost=st.none() | costs,
)


@given(st.lists(questions, max_size=12), st.integers(1, 4))
def test_every_question_goes_to_one_device_and_equal_prompts_to_the_same(asks, count):
    hands = shards.dealt(asks, count)
    assert sorted(place for hand in hands for place in hand) == list(range(len(asks)))
    assert all(hand == sorted(hand) for hand in hands)
    where = {place: number for number, hand in enumerate(hands) for place in hand}
    for one, first in enumerate(asks):
        for two, second in enumerate(asks):
            if (first.model, first.messages, first.allowed) == (second.model, second.messages, second.allowed):
                assert where[one] == where[two]


def test_work_is_shared_and_not_only_the_number_of_questions():
    long, short = "x" * 1000, "x" * 100
    asks = [Ask(str(i), "c", "base", conftest.turns(text + str(i))) for i, text in enumerate([long, *[short] * 10])]
    asks = [replace(ask, max_tokens=0) for ask in asks]
    assert sorted(map(len, shards.dealt(asks, 2))) == [1, 10]


@given(st.lists(st.tuples(questions, answers), max_size=3))
def test_questions_and_answers_come_back_to_the_last_bit(pairs):
    asks, replies = [ask for ask, _ in pairs], [reply for _, reply in pairs]
    heard: list[Ask] = []

    def answer(questions: list[Ask]) -> list[Reply]:
        heard.extend(questions)
        return replies

    back = shards.replies(shards.answered(SimpleNamespace(answer=answer), shards.asked(asks)))
    assert heard == asks
    assert (back, [one.cost for one in back]) == (replies, [one.cost for one in replies])


def asked(model: str = "base") -> list[Ask]:
    """Fixed answers, a prompt that two ask, free answers, samples."""
    fixed = [Ask(f"f{i}", "c", model, conftest.turns("water " * (i + 1)), conftest.LABELS) for i in range(6)]
    twice = [replace(fixed[0], record_id="again")]
    free = [Ask(f"g{i}", "c", model, conftest.turns("leaks " * (i + 1)), max_tokens=6) for i in range(3)]
    sampled = [replace(ask, record_id=f"s{ask.record_id}", temperature=0.9, seed=5) for ask in free]
    return fixed + twice + free + sampled


def close(found: list[Reply], wanted: list[Reply]) -> bool:
    """Batches are made up otherwise, so that sums differ in their last digits."""
    return all(
        one.text == two.text
        and one.probabilities == pytest.approx(two.probabilities, abs=1e-6)
        and one.token_logprobs == pytest.approx(two.token_logprobs, abs=1e-5)
        and one.cost is not None
        and two.cost is not None
        and (one.cost.prompt_tokens, one.cost.answer_tokens) == (two.cost.prompt_tokens, two.cost.answer_tokens)
        for one, two in zip(found, wanted, strict=True)
    )


def test_two_processes_answer_as_one_and_none_that_is_lost_is_missed(llama, other_llama, tmp_path, monkeypatch, caplog):
    alone, both = LocalEngine(str(llama), threads=1), LocalEngine(str(llama), threads=1, devices=2)
    assert both.chunk == 2 * alone.chunk
    adapter, _ = conftest.train(alone, conftest.training(tmp_path, minimum_steps=2, epochs=0.1))
    wanted = [asked(), asked(str(adapter)), asked(str(other_llama))]
    everything = [ask for asks in wanted for ask in asks]
    expected = alone.answer(everything)
    started: list[subprocess.Popen[str]] = []
    start = sharing._start

    def starting(place: int) -> subprocess.Popen[str]:
        started.append(start(place))
        return started[-1]

    monkeypatch.setattr(sharing, "_start", starting)
    mine: list[int] = []
    own = both._answer
    monkeypatch.setattr(both, "_answer", lambda asks: (mine.append(len(asks)), own(asks))[1])
    assert close(both.answer(everything), expected)
    assert len(started) == 1
    assert 0 < mine[0] < len(everything)

    assert close(both.answer(everything[:3]), expected[:3])  # too few to share
    assert mine[1:] == [3]

    def dying(asks: Sequence[Ask]) -> list[Reply]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(started[0].pid, signal.SIGKILL)
        return own(asks)

    with caplog.at_level(logging.WARNING):
        assert close(both._sharing.answer(everything, dying), expected)
    assert "its part is answered here" in caplog.text
    assert started[0].wait() == -signal.SIGKILL

    long = [Ask(f"l{i}", "c", "base", conftest.turns("water " * 40_000 + str(i)), conftest.LABELS) for i in range(8)]
    with pytest.raises(UserError, match="takes"):
        both._sharing.answer(long, lambda asks: [Reply("") for _ in asks])  # so only the other process refuses
    assert len(started) == 2
    assert started[1].wait() is not None, "what it answered after a mistake belongs to no later question"

    assert close(both.answer(everything), expected)
    conftest.train(both, conftest.training(tmp_path / "more", minimum_steps=1, epochs=0.1, batch_size=1))
    assert started[2].wait() is not None, "a training needs its memory"


def test_a_process_ends_with_whoever_asked_it_and_leaves_its_work(llama):
    process = sharing._start(1)
    held = json.dumps({"model": str(llama), "precision": "fp32", "threads": 1})
    many = [replace(ask, max_tokens=2_000, record_id=f"{ask.record_id}{i}") for i in range(200) for ask in asked()]
    said, _ = process.communicate(f"{held}\n{shards.asked(many)}\n", timeout=60)
    assert said == ""
    assert process.returncode == 0


def test_after_many_losses_this_process_answers_alone(monkeypatch):
    broken = sharing.Sharing("nowhere", "fp32", 2, 1)
    monkeypatch.setattr(sharing, "MODULE", "semievol.no_such_module")
    asks, answered = asked(), []

    def own(part: Sequence[Ask]) -> list[Reply]:
        answered.append(len(part))
        return [Reply(ask.record_id) for ask in part]

    for _ in range(sharing._LOST_AT_MOST + 1):
        assert [reply.text for reply in broken.answer(asks, own)] == [ask.record_id for ask in asks]
    assert len(answered) == 2 * (sharing._LOST_AT_MOST + 1)
    broken.answer(asks, own)
    assert answered[-1] == len(asks)
