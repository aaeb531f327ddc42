"""What comes back from a server: read whole, or refused; probabilities from truncated lists as bounds."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semievol.engines.endpoints.replies import Invalid, Token, option_probabilities, read, reply_of
from semievol.method.protocols import Ask
from semievol.records import Message
from tests.endpoint_servers import MODEL, completion

CANARY = "sk-canary-0123456789abcdef"


def ask(*allowed: str, temperature: float = 0.0) -> Ask:
    return Ask("r1", "far", "endpoint:far", (Message("user", "What is it?"),), allowed, temperature=temperature)


def body(**changes: Any) -> bytes:
    return json.dumps(completion("A") | changes).encode()


def token(text: str, *listed: tuple[str, float]) -> Token:
    """A token whose own probability is the first one listed under its text."""
    top = tuple((word, math.log(p)) for word, p in listed)
    return Token(text, dict(top)[text], top)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"<html><body>Welcome</body></html>", "web page"),
        (b'{"choices": [', "no JSON"),
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[1]", "no reply"),
        (b'"text"', "no reply"),
        (body(choices=[]), "no choices"),
        (body(choices=None), "no choices"),
        (body(choices=["A"]), "no choices"),
        (body(choices=[{"message": {"content": None}}]), "no text"),
        (body(choices=[{"message": {"content": "  "}}]), "no text"),
        (body(choices=[{"message": {"content": ["A"]}}]), "no text"),
        (body(choices=[{"message": "A"}]), "no text"),
        (body(model="another"), "the model another"),
    ],
)
def test_what_is_no_answer_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as caught:
        read(raw, MODEL)
    assert not caught.value.final


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": None, "refusal": "no"}},
        {"message": {"content": None}, "finish_reason": "content_filter"},
        {"message": {"content": ""}, "finish_reason": "length"},
        {"message": {"content": "<think>Could be A, or B, but"}, "finish_reason": "length"},
    ],
)
def test_what_would_come_again_is_final(choice: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        read(body(choices=[choice]), MODEL)
    assert caught.value.final
    assert caught.value.tokens == (20, 1), "it is charged nevertheless"


@pytest.mark.parametrize("answered", [f"{MODEL}-2026-01-01", f"/models/{MODEL}", f"{MODEL}@main", MODEL.upper()])
def test_a_date_or_a_folder_makes_no_other_model(answered: str) -> None:
    assert read(body(model=answered), MODEL).text == "A"


def test_an_echoed_key_is_hidden_in_the_answer_and_in_the_reason() -> None:
    assert CANARY not in read(json.dumps(completion(f"The key is {CANARY}.")).encode(), MODEL, CANARY).text
    with pytest.raises(Invalid) as caught:
        read(body(model=CANARY), MODEL, CANARY)
    assert CANARY not in caught.value.reason


def test_letters_get_their_probabilities_and_what_is_not_listed_counts_against_the_answer() -> None:
    found = option_probabilities([token("B", ("B", 0.7), ("A", 0.2), ("the", 0.05))], ("A", "B", "C"))
    assert found is not None
    place, probabilities, mass = found
    assert place == 1
    assert probabilities[1] == pytest.approx(0.7 / 0.95)
    assert probabilities == pytest.approx(((0.2 + 0.025) / 0.95, 0.7 / 0.95, 0.025 / 0.95))
    assert mass == pytest.approx(0.9)


def test_spellings_of_a_letter_add_up() -> None:
    found = option_probabilities([token(" B", (" B", 0.5), ("B", 0.3), ("b", 0.1), ("A", 0.1))], ("A", "B"))
    assert found is not None
    assert found[1] == pytest.approx((0.1, 0.9))


def test_labels_that_begin_alike_are_told_apart_by_the_next_token() -> None:
    tokens = [token("re", ("re", 0.8), ("water", 0.2)), token("pair", ("pair", 0.75), ("fund", 0.25))]
    found = option_probabilities(tokens, ("refund", "repair", "water"))
    assert found is not None
    assert found[0] == 1
    assert found[1] == pytest.approx((0.2, 0.6, 0.2))


def test_a_label_that_another_begins_with_ends_with_the_text() -> None:
    found = option_probabilities([token("urgent", ("urgent", 0.9), ("other", 0.1))], ("urgent", "urgent care", "other"))
    assert found is not None
    assert found[0] == 0
    assert found[1][0] == pytest.approx(0.9)


def test_a_word_that_only_begins_with_a_letter_is_not_that_letter() -> None:
    assert option_probabilities([token("Because", ("Because", 0.9), ("B", 0.1))], ("A", "B")) is None


def test_an_answer_outside_the_options_gets_no_probabilities_and_stays_as_it_is() -> None:
    said = read(json.dumps(completion("E", tokens=[("E", math.log(0.9), [("E", math.log(0.9))])])).encode(), MODEL)
    reply = reply_of(ask("A", "B"), said)
    assert (reply.text, reply.probabilities, reply.exactness) == ("E", (), "absent")


@given(st.lists(st.floats(0.001, 1), min_size=6, max_size=6), st.integers(1, 6))
def test_the_stated_probability_is_a_lower_bound_of_the_true_one(weights: list[float], listed: int) -> None:
    """Of four letters and two other tokens only the likeliest are listed."""
    p = np.array(weights) / sum(weights)
    words = ["A", "B", "C", "D", "the", "I"]
    top = sorted(zip(words, p.tolist(), strict=True), key=lambda one: -one[1])[:listed]
    found = option_probabilities([token(top[0][0], *top)], ("A", "B", "C", "D"))
    if top[0][0] not in "ABCD":
        assert found is None
        return
    assert found is not None
    place, probabilities, mass = found
    assert math.fsum(probabilities) == pytest.approx(1)
    assert probabilities[place] <= p[place] / p[:4].sum() + 1e-12
    assert mass <= p[:4].sum() + 1e-12
    if listed == len(words):
        assert probabilities == pytest.approx(tuple(p[:4] / p[:4].sum()))


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {"content": []},
        {"content": [{"token": "A"}]},
        {"content": [{"token": "A", "logprob": "x"}]},
        {"content": [{"token": "A", "logprob": 0.5}]},
        {"content": [{"token": "A", "logprob": float("nan")}]},
        {"content": [{"token": "Z", "logprob": -0.1, "top_logprobs": [{"token": "Z", "logprob": -0.1}]}]},
        "none",
    ],
)
def test_log_probabilities_that_cannot_be_are_absent(logprobs: Any) -> None:
    choice = {"message": {"content": "A"}, "logprobs": logprobs}
    reply = reply_of(ask("A", "B"), read(body(choices=[choice]), MODEL))
    assert (reply.text, reply.probabilities, reply.exactness) == ("A", (), "absent")


def test_a_constrained_answer_is_taken_out_of_its_json() -> None:
    for text in ('{"answer": "B"}', "B", " b "):
        assert reply_of(ask("A", "B"), read(json.dumps(completion(text)).encode(), MODEL)).text == "B"
    assert reply_of(ask("A", "B"), read(json.dumps(completion('{"answer": "Q"}')).encode(), MODEL)).text == "Q"


def test_a_free_answer_keeps_its_token_log_probabilities_and_a_lower_bound_of_the_entropy() -> None:
    top = [("Ro", math.log(0.5)), ("Pa", math.log(0.25))]
    tokens = [("Ro", math.log(0.5), top), ("me", math.log(0.75), [("me", math.log(0.75))])]
    reply = reply_of(ask(), read(json.dumps(completion("Rome", tokens=tokens)).encode(), MODEL))
    assert reply.exactness == "bound"
    assert reply.token_logprobs == pytest.approx((math.log(0.5), math.log(0.75)))
    assert reply.token_entropies[0] == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(4))
    assert reply_of(ask(), read(json.dumps(completion("Rome")).encode(), MODEL)).exactness == "absent"


def test_a_character_that_spans_two_tokens_is_put_together_from_bytes() -> None:
    raw = "é".encode()
    entries = [{"token": f"\\x{byte:02x}", "bytes": [byte], "logprob": -0.1, "top_logprobs": []} for byte in raw]
    choice = {"message": {"content": "é"}, "logprobs": {"content": entries}}
    assert len(read(body(choices=[choice]), MODEL).tokens) == 2


def test_thoughts_before_the_answer_are_no_part_of_it() -> None:
    thought = "\n<think>Option A? No, the answer is C.</think>\n\nB"
    tokens = [("<think>", -0.1, [("<think>", -0.1)]), (thought[8:], -0.1, [(thought[8:], -0.1)])]
    reply = reply_of(ask("A", "B", "C"), read(json.dumps(completion(thought, tokens=tokens)).encode(), MODEL))
    assert (reply.text, reply.probabilities) == ("B", ())
