"""Questions handed over as a batch: answered as single ones are, found again, never put twice, nothing invented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from semievol.endpoints import Endpoint
from semievol.engines.endpoints import batches, trial
from semievol.engines.endpoints.asking import Endpoints
from semievol.engines.endpoints.server import Patience
from semievol.errors import UserError
from semievol.method.protocols import Ask, Called, OutOfBudget, Stopped
from semievol.method.spending import Purse
from semievol.records import Message
from tests.endpoint_servers import Desk, Served, completion, lettered, serving

CANARY = "sk-canary-0123456789abcdef"
IMPATIENT = Patience(total=1.0, once=1.0, pause=0.001, longest=0.01, tries=3)


@pytest.fixture(autouse=True)
def _looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_POLL", (0.001, 0.01))
    monkeypatch.setattr(batches, "_GLANCE_SECONDS", 0.001)


def asked(number: int) -> Ask:
    turns = (Message("user", f"Question {number}: which letter? Answer with the letter only."),)
    return Ask(f"r{number:04}", "far", "endpoint:far", turns, tuple("ABCD"))


def letter(body: dict[str, Any]) -> str:
    return "ABCD"[int(body["messages"][-1]["content"].split()[1].rstrip(":")) % 4]


def call(endpoint: Endpoint, asks: Sequence[Ask], budget: float = 0.0, **values: Any) -> tuple[list[Called], list[str]]:
    """How the questions ended, and what was said."""
    found: list[Called] = []
    told: list[str] = []
    engine = Endpoints([endpoint], {"THE_KEY": CANARY}, IMPATIENT)
    try:
        engine.call(asks, Purse(budget), found.extend, values.get("stopping", lambda: False), told.append)
    finally:
        engine.close()
    return found, told


def batched(served: Served, **values: Any) -> Endpoint:
    return served.endpoint(batch=True, key_variable="THE_KEY", **values)


def test_a_batch_is_answered_as_single_questions_are() -> None:
    desk = Desk(lambda body: lettered(None, letter(body)))
    with serving(
        lambda request: lettered(request, letter(request.body) if "Question" in request.question else "A"), desk
    ) as served:
        asks = [asked(number) for number in range(30)]
        alone, _ = call(served.endpoint(key_variable="THE_KEY"), asks)
        single = len(served.asked)
        found, told = call(batched(served), asks)
        assert len(served.asked) == single + 1, "one short question shows what the server can do"
    assert len(desk.batches) == 1
    assert {one.ask: one.reply for one in found} == {one.ask: one.reply for one in alone}
    assert [one.ask for one in found] == asks
    assert sum(one.spent.answers for one in found) == 30
    assert told[0] == "30 questions to far were handed over as the batch batch-0."
    assert served.keys == {CANARY}


def test_a_stopped_run_leaves_its_batch_and_takes_its_answers_later() -> None:
    desk = Desk(lambda body: lettered(None, letter(body)))
    desk.open = False
    looks = iter([False] * 5)
    with serving(lettered, desk) as served:
        asks = [asked(number) for number in range(4)]
        with pytest.raises(Stopped):
            call(batched(served), asks, stopping=lambda: next(looks, True))
        desk.open = True
        found, _ = call(batched(served), asks)
    assert len(desk.batches) == 1
    assert [one.reply.text for one in found if one.reply] == list("ABCD")


def test_a_reply_that_is_lost_makes_no_second_batch() -> None:
    desk = Desk(lambda body: lettered(None, letter(body)))
    desk.lost = 1
    with serving(lettered, desk) as served:
        found, _ = call(batched(served), [asked(1)])
    assert len(desk.batches) == 1
    assert found[0].reply is not None


def test_what_a_batch_does_not_answer_has_a_reason_and_no_answer() -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any] | int | None:
        return (429, None, completion(None), completion("B", model="another"), lettered(None, "A"))[
            int(body["messages"][-1]["content"].split()[1].rstrip(":"))
        ]

    with serving(lettered, Desk(answer)) as served:
        found, _ = call(batched(served), [asked(number) for number in range(5)])
    reasons = [one.reason for one in found]
    assert [one.reply is None for one in found] == [True] * 4 + [False]
    assert reasons[0] == "HTTP 429"
    assert reasons[1] == "the batch ended without it (completed)"
    assert "no text" in reasons[2]
    assert "the model another" in reasons[3]


def test_lines_that_are_none_are_no_answers() -> None:
    desk = Desk(lambda body: lettered(None, "A"))
    with serving(lettered, desk) as served:
        call(batched(served), [asked(1)])
        output = desk.batches["batch-0"]["output_file_id"]
        good = desk.files[output]
        for bad in (b"\xff\x00", b"[]", b'{"custom_id": []}', good.replace(b"0-", b"9-"), b"[" * 10_000, b""):
            desk.files[output] = bad
            found, _ = call(batched(served), [asked(1)])
            assert (found[0].reply, found[0].reason) == (None, "the batch ended without it (completed)")
    assert len(desk.batches) == 1


def test_a_server_without_batches_says_so_in_one_sentence() -> None:
    with serving(lettered) as served:
        with pytest.raises(UserError, match="offers no batches") as told:
            call(batched(served), [asked(1)])
        assert "Turn its batches off" in told.value.remedy
        assert not trial.tried(served.endpoint(), "").batches
    with serving(lettered, Desk(lambda body: 500)) as served:
        assert trial.tried(served.endpoint(), "").batches


def test_a_batch_that_is_refused_ends_the_run_with_what_the_server_said() -> None:
    desk = Desk(lambda body: 500)
    desk.open = False
    with serving(lettered, desk) as served:
        looks = iter(range(1_000))

        def refuse() -> bool:
            if next(looks) > 2:
                said = {"data": [{"message": f"not with {CANARY}", "code": "x", "line": 1}], "object": "list"}
                desk.batches["batch-0"] |= {"status": "failed", "errors": said}
            return False

        with pytest.raises(UserError, match="refuses the batch") as told:
            call(batched(served), [asked(1)], stopping=refuse)
    assert CANARY not in str(told.value)


def test_a_budget_bounds_what_is_handed_over() -> None:
    desk = Desk(lambda body: lettered(None, letter(body)))
    found: list[Called] = []
    with serving(lettered, desk) as served:
        far = batched(served, input_price=1e3, output_price=1e3)
        engine = Endpoints([far], {"THE_KEY": CANARY}, IMPATIENT)
        purse = Purse(0.5)
        with pytest.raises(OutOfBudget):
            engine.call([asked(number) for number in range(40)], purse, found.extend, lambda: False)
        engine.close()
    assert 0 < len(found) < 40
    assert purse.cost <= 0.5
