"""A server full of faults: every question ends, nothing is invented, nothing is paid for twice, no key is told."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from semievol.endpoints import Endpoint
from semievol.engines.endpoints import transport
from semievol.engines.endpoints.asking import IN_A_ROW, Endpoints
from semievol.engines.endpoints.server import Patience
from semievol.errors import UserError
from semievol.method.protocols import Ask, Called, OutOfBudget, Stopped
from semievol.method.spending import Purse
from semievol.records import Message
from tests.endpoint_servers import Answer, Request, Served, completion, lettered, serving, slow

CANARY = "sk-canary-0123456789abcdef"
IMPATIENT = Patience(total=5.0, once=2.0, pause=0.001, longest=0.01, tries=6)
ALLOWED = tuple("ABCD")


def asked(number: int, allowed: tuple[str, ...] = ALLOWED, **values: Any) -> Ask:
    turns = (Message("user", f"Question {number}: which letter? Answer with the letter only."),)
    return Ask(f"r{number:04}", "far", "endpoint:far", turns, allowed, **values)


@contextmanager
def calling(endpoint: Endpoint, patience: Patience = IMPATIENT, key: str = CANARY) -> Iterator[Endpoints]:
    engine = Endpoints([endpoint], {"THE_KEY": key}, patience)
    try:
        yield engine
    finally:
        engine.close()


def ended(served: Served, asks: list[Ask], patience: Patience = IMPATIENT, **values: Any) -> dict[str, Called]:
    """Record id -> how its question ended."""
    found: list[Called] = []
    with calling(served.endpoint(key_variable="THE_KEY", **values), patience) as engine:
        engine.call(asks, Purse(), found.extend, lambda: False)
    assert len({one.ask.record_id for one in found}) == len(found) == len(asks)
    return {one.ask.record_id: one for one in found}


def once(fault: Callable[[Request], Any]) -> Answer:
    """A server with this fault at the first try of every question."""
    seen: set[str] = set()

    def answer(request: Request) -> dict[str, Any] | None:
        if request.question not in seen:
            seen.add(request.question)
            return fault(request)
        return lettered(request)

    return answer


FAULTS: dict[str, Callable[[Request], Any]] = {
    "too many at once": lambda r: r.send(429, b"{}"),
    "too many, come again": lambda r: r.send(429, b"{}", {"retry-after": "0"}),
    "broken": lambda r: r.send(500, b"<html>no</html>"),
    "overloaded": lambda r: r.send(503, b""),
    "reset": lambda r: r.reset(),
    "a web page": lambda r: r.send(200, b"<!doctype html><p>Sign in", {"content-type": "text/html"}),
    "cut JSON": lambda r: r.send(200, json.dumps(completion("A")).encode()[:40]),
    "garbage": lambda r: r.send(200, b"\x00\xff\xfe garbage"),
    "packed garbage": lambda r: r.send(200, b"\x1f\x8b\x08", {"content-encoding": "gzip"}),
    "no choices": lambda r: completion("A") | {"choices": []},
    "no text": lambda r: completion(None),
    "another model": lambda r: completion("A", model="another"),
    "cut stream": lambda r: r.send(200, b'{"choices"', length=1_000) or r.reset(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_tried_again(fault: str) -> None:
    with serving(once(FAULTS[fault])) as served:
        found = ended(served, [asked(1)])
    reply = found["r0001"].reply
    assert reply is not None
    assert reply.text == "A"
    assert found["r0001"].spent.tries == len(served.asked) == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_ends_with_its_reason_and_without_an_answer(fault: str) -> None:
    with serving(FAULTS[fault]) as served:
        found = ended(served, [asked(1)])
    assert found["r0001"].reply is None
    assert found["r0001"].reason
    assert found["r0001"].spent.tries == len(served.asked) == IMPATIENT.tries


@pytest.mark.parametrize("status", [401, 403, 404, 402, 302])
def test_what_a_person_has_to_mend_stops_at_once_with_a_sentence(status: int) -> None:
    echo = json.dumps({"error": {"message": f"no such thing with {CANARY}"}}).encode()
    with serving(lambda r: r.send(status, echo, {"location": "http://127.0.0.1:9/"})) as served:
        with (
            calling(served.endpoint(key_variable="THE_KEY", concurrency=1)) as engine,
            pytest.raises(UserError) as told,
        ):
            engine.call([asked(1), asked(2)], Purse(), lambda called: None, lambda: False)
        assert len(served.asked) == 1
    assert CANARY not in repr(told.value) + str(told.value.__context__)
    assert told.value.remedy


def test_a_wait_longer_than_the_deadline_is_not_waited_for() -> None:
    with serving(lambda r: r.send(429, b"{}", {"retry-after": "600"})) as served:
        found = ended(served, [asked(1)])
    assert (found["r0001"].reply, len(served.asked)) == (None, 1)
    assert "429" in found["r0001"].reason


def test_a_slow_server_is_given_up_at_the_deadline() -> None:
    patience = Patience(total=0.3, once=0.2, pause=0.001, tries=9)
    with serving(slow(1.0)) as served:
        found = ended(served, [asked(1)], patience)
    assert "in time" in found["r0001"].reason
    assert len(served.asked) == 2


def test_a_server_without_a_valid_certificate_gets_neither_question_nor_key() -> None:
    with serving(lettered) as served:
        found = ended(served, [asked(1)], url=served.url.replace("http://", "https://"))
        assert not served.asked
    assert found["r0001"].reply is None
    assert "reached" in found["r0001"].reason or "broke" in found["r0001"].reason


def test_a_reply_of_any_size_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST_REPLY", 100_000)
    sent = []

    def flood(request: Request) -> None:
        request.send(200, b"", length=100_000_000)
        for _ in range(1_000):
            request.handler.wfile.write(b" " * 100_000)
            sent.append(1)

    with serving(flood) as served:
        found = ended(served, [asked(1)], Patience(total=5, pause=0.001, tries=1))
    assert "larger" in found["r0001"].reason
    assert len(sent) < 1_000


def test_a_question_that_is_refused_is_not_repeated() -> None:
    refusal = json.dumps({"error": {"message": "maximum context length is 100 tokens"}}).encode()
    with serving(lambda r: r.send(400, refusal)) as served:
        found = ended(served, [asked(1)])
    assert "context length" in found["r0001"].reason
    assert len(served.asked) == 1


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("top_logprobs", "top_logprobs must be at most 5"),
        ("max_tokens", "Unsupported parameter: use 'max_completion_tokens'"),
        ("temperature", "temperature is not supported with this model"),
    ],
)
def test_a_parameter_that_is_refused_is_left_out(refused: str, message: str) -> None:
    def answer(request: Request) -> dict[str, Any] | None:
        if request.body.get(refused) in (None, 5):
            return lettered(request)
        request.send(400, json.dumps({"error": {"message": message}}).encode())
        return None

    with serving(answer) as served:
        found = ended(served, [asked(number) for number in range(20)])
    assert all(one.reply and one.reply.probabilities for one in found.values())
    assert len(served.asked) == 21, "only the first question finds out"


def test_without_log_probabilities_the_answer_is_tied_to_the_allowed_ones_and_drawn_by_the_server() -> None:
    def answer(request: Request) -> dict[str, Any]:
        schema = request.body.get("response_format")
        return completion(json.dumps({"answer": "C"}) if schema else "B")

    with serving(answer) as served:
        found = ended(served, [asked(number, temperature=1.0, seed=7) for number in range(3)], concurrency=1)
    assert [one.reply.text for one in found.values() if one.reply] == ["C", "C", "C"]
    assert all(one.reply.exactness == "absent" and not one.reply.probabilities for one in found.values() if one.reply)
    assert [request.body["temperature"] for request in served.asked] == [0, 1, 1, 1]
    schema = served.asked[-1].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["answer"]["enum"] == list(ALLOWED)


def test_many_questions_are_asked_at_once_but_not_more_than_wished() -> None:
    import threading

    lock, at_once = threading.Lock(), [0, 0]
    gate = threading.Barrier(4, timeout=20)

    def answer(request: Request) -> dict[str, Any]:
        with lock:
            at_once[0] += 1
            at_once[1] = max(at_once)
        if request.number > 0:
            gate.wait()  # goes on only if four are there together
        with lock:
            at_once[0] -= 1
        return lettered(request)

    with serving(answer) as served:
        found = ended(served, [asked(number) for number in range(13)], Patience(total=30, once=30), concurrency=4)
    assert all(one.reply for one in found.values())
    assert at_once[1] == 4


def test_a_server_that_is_lost_ends_the_run_instead_of_failing_every_question() -> None:
    with serving(lambda r: r.send(500, b"{}")) as served:
        patience = Patience(total=5, pause=0.0, tries=1)
        with calling(served.endpoint(concurrency=1), patience) as engine, pytest.raises(UserError, match="in a row"):
            engine.call([asked(number) for number in range(200)], Purse(), lambda called: None, lambda: False)
        assert len(served.asked) == IN_A_ROW


def test_a_stop_lets_what_is_under_way_end_and_saves_it() -> None:
    took: list[Called] = []
    with serving(lettered) as served, calling(served.endpoint(concurrency=2)) as engine:
        with pytest.raises(Stopped):
            engine.call((asked(number) for number in range(10**6)), Purse(), took.extend, lambda: len(took) > 5)
        assert len(took) == len(served.asked) < 20
        assert all(one.reply for one in took)


def test_a_budget_is_never_exceeded_and_what_it_bought_is_kept() -> None:
    took: list[Called] = []
    purse = Purse(budget=1.0)  # an answer is charged 21 tokens, 0.021; before, its bytes are set aside
    with serving(lettered) as served, calling(served.endpoint(input_price=1e3, output_price=1e3)) as engine:
        with pytest.raises(OutOfBudget, match="budget of 1"):
            engine.call((asked(number, max_tokens=8) for number in range(1000)), purse, took.extend, lambda: False)
        assert len(took) == len(served.asked) > 5
    assert purse.cost == pytest.approx(0.021 * len(took))
    assert 0.8 < purse.cost <= 1.0
    assert purse.aside == pytest.approx(0)


def test_tokens_are_estimated_where_the_server_does_not_count_them() -> None:
    with serving(lambda r: completion("A", usage=None)) as served:
        spent = ended(served, [asked(1)])["r0001"].spent
    assert 10 < spent.input_tokens < 40
    assert spent.output_tokens >= 1


def test_only_the_endpoints_own_server_gets_its_key_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other-secret")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-custom\nX-Mine: secret")
    with serving(lettered) as served:
        ended(served, [asked(1)])
        headers = " ".join(f"{k}: {v}" for k, v in served.asked[0].handler.headers.items())
    assert served.keys == {CANARY}
    assert "secret" not in headers
    assert "sk-custom" not in headers
    with serving(lettered) as served, calling(served.endpoint(), key="") as engine:
        engine.call([asked(1)], Purse(), lambda called: None, lambda: False)
        assert served.keys == {""}


def test_an_unknown_name_and_a_missing_key_are_told() -> None:
    with serving(lettered) as served:
        for environment, word in (({}, "THE_KEY"), ({"THE_KEY": CANARY}, "no endpoint")):
            engine = Endpoints([served.endpoint(key_variable="THE_KEY")], environment, IMPATIENT)
            model = "endpoint:far" if word == "THE_KEY" else "endpoint:gone"
            ask = Ask("r", "far", model, (Message("user", "?"),), ALLOWED)
            with pytest.raises(UserError, match=word):
                engine.call([ask], Purse(), lambda called: None, lambda: False)
            engine.close()


ITEMS, SHARE = 1_000, 0.3


def test_a_thousand_questions_at_thirty_percent_faults() -> None:
    """Faults by the number of the request; one question in fifty is answered outside of its options."""
    chance = random.Random(7)
    faults = list(FAULTS.values())
    plan = [chance.choice(faults) if chance.random() < SHARE else None for _ in range(20 * ITEMS)]
    paid: Counter[str] = Counter()

    def answer(request: Request) -> dict[str, Any] | None:
        number = int(request.question.split(":")[0].split()[1])
        fault = plan[request.number]
        if fault is not None:
            return fault(request)
        paid[request.question] += 1
        if number % 50 == 0:
            return completion(f"E {CANARY}")
        return lettered(request, "ABCD"[number % 4])

    with serving(answer) as served:
        found = ended(served, [asked(number) for number in range(ITEMS)], concurrency=16)
    answered = {i: one.reply for i, one in found.items() if one.reply is not None}
    assert len(found) == ITEMS
    assert len(answered) > 0.99 * ITEMS, "six tries at 30 % fail once in 1,400"
    for i, reply in answered.items():
        number = int(i[1:])
        assert reply.text == ("E [key]" if number % 50 == 0 else "ABCD"[number % 4])
    assert max(paid.values()) == 1
    assert CANARY not in repr(found)
