"""Questions handed over as a batch: answered as single ones are, found again, never put twice, nothing invented."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from semievol.endpoints import Endpoint
from semievol.engines.endpoints import batches, errands, trial
from semievol.engines.endpoints import desk as desks
from semievol.engines.endpoints.asking import IN_A_ROW, Endpoints
from semievol.engines.endpoints.server import Patience
from semievol.errors import UserError
from semievol.method.protocols import Ask, Called, OutOfBudget, Stopped
from semievol.method.spending import Purse
from semievol.records import Message
from tests.endpoint_servers import Desk, Request, Served, completion, lettered, serving

CANARY = "sk-canary-0123456789abcdef"
IMPATIENT = Patience(total=1.0, once=1.0, pause=0.001, longest=0.01, tries=3)


@pytest.fixture(autouse=True)
def _looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "_POLL", (0.001, 0.01))
    monkeypatch.setattr(errands, "_GLANCE_SECONDS", 0.001)
    monkeypatch.setattr(desks, "_AWAY_SECONDS", 1.0)


def asked(number: int, far: str = "far") -> Ask:
    turns = (Message("user", f"Question {number}: which letter? Answer with the letter only."),)
    return Ask(f"r{number:04}", far, f"endpoint:{far}", turns, tuple("ABCD"))


ASKS = [asked(number) for number in range(30)]


def number_of(body: dict[str, Any]) -> int:
    return int(body["messages"][-1]["content"].split()[1].rstrip(":"))


def right(body: dict[str, Any]) -> dict[str, Any]:
    return lettered(None, "ABCD"[number_of(body) % 4])


def alone(request: Request) -> dict[str, Any]:
    return right(request.body) if "Question" in request.question else lettered(request)


def never() -> bool:
    return False


def call(
    far: Endpoint | Sequence[Endpoint],
    asks: Sequence[Ask],
    stopping: Callable[[], bool] = never,
    purse: Purse | None = None,
) -> tuple[dict[Ask, Called], list[str]]:
    """How the questions ended, also where the call did not end well, and what was said."""
    found: list[Called] = []
    told: list[str] = []
    engine = Endpoints([far] if isinstance(far, Endpoint) else far, {"THE_KEY": CANARY}, IMPATIENT)
    try:
        engine.call(asks, purse or Purse(), found.extend, stopping, told.append)
    except OutOfBudget:
        raise
    except Stopped:
        told.append("stopped")
    finally:
        engine.close()
    assert len({one.ask for one in found}) == len(found)
    return {one.ask: one for one in sorted(found, key=lambda one: one.ask.record_id)}, told


def batched(served: Served, **values: Any) -> Endpoint:
    return served.endpoint(values.pop("name", "far"), batch=True, key_variable="THE_KEY", **values)


def put(desk: Desk, served: Served) -> Counter[int]:
    """How often each question was put, alone and in batches."""
    count = Counter(number_of(request.body) for request in served.asked)
    for batch in desk.batches.values():
        count.update(number_of(json.loads(line)["body"]) for line in desk.files[batch["input_file_id"]].splitlines())
    return count


def letters(found: dict[Ask, Called]) -> list[str | None]:
    return [one.reply.text if one.reply else None for one in found.values()]


def test_a_batch_is_answered_as_single_questions_are() -> None:
    desk = Desk(right)
    with serving(alone, desk) as served:
        single, _ = call(served.endpoint(key_variable="THE_KEY"), ASKS)
        before = len(served.asked)
        found, told = call(batched(served), ASKS)
        assert len(served.asked) == before + 1, "the first question shows what the server can do"
    assert len(desk.batches) == 1
    assert {ask: one.reply for ask, one in found.items()} == {ask: one.reply for ask, one in single.items()}
    assert sum(one.spent.answers for one in found.values()) == 30
    assert told[0] == "Handed over to far as the batch batch-0: 29 questions."
    assert served.keys == {CANARY}


def test_a_stopped_run_leaves_its_batch_and_takes_its_answers_later() -> None:
    desk = Desk(right)
    desk.open = False
    looks = iter([False] * 8)
    with serving(alone, desk) as served:
        first, told = call(batched(served), ASKS[:5], lambda: next(looks, True))
        assert told[-2:] == [
            "What was handed over goes on at the server. Resume the run to take its answers.",
            "stopped",
        ]
        desk.open = True
        left = [ask for ask in ASKS[:6] if ask not in first]  # and one more than before
        found, told = call(batched(served), left)
        assert set(put(desk, served).values()) == {1}
        assert list(first) == ASKS[:1], "what was put alone is handed over before the batch is waited for"
    assert "Already in the batch batch-0: 4 questions." in told
    assert letters(first | found) == list("ABCDAB")


def test_answers_of_a_batch_that_ended_while_nobody_looked_are_taken_and_only_the_rest_is_put() -> None:
    desk = Desk(lambda body: right(body) if number_of(body) % 2 else None)
    desk.open = False
    looks = iter([False] * 8)
    with serving(alone, desk) as served:
        call(batched(served), ASKS[:7], lambda: next(looks, True))
        desk._end(desk.batches["batch-0"])
        desk.batches["batch-0"]["status"] = "expired"
        desk.answer, desk.open = right, True
        found, _ = call(batched(served), ASKS[1:7])
        counts = put(desk, served)
    assert letters(found) == list("BCDABC")
    assert [counts[number] for number in (1, 3, 5)] == [1, 1, 1]
    assert [counts[number] for number in (2, 4, 6)] == [2, 2, 2]


def test_two_endpoints_and_many_batches_are_resumed_without_asking_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST", 4)
    desk, other = Desk(right), Desk(right)
    mixed = [ask for number in range(9) for ask in (asked(number), asked(number, "two"))]
    with serving(alone, desk) as served, serving(alone, other) as second:
        ends = (batched(served), batched(second, name="two"))
        done: dict[Ask, Called] = {}
        for stop_after in (12, 25, 60, 10_000):
            looks = iter([False] * stop_after)
            found, _ = call(ends, [ask for ask in mixed if ask not in done], lambda looks=looks: next(looks, True))  # type: ignore[misc]
            done |= found
        for one, of in ((desk, served), (other, second)):
            in_batches = put(one, of) - Counter(number_of(request.body) for request in of.asked)
            assert set(in_batches.values()) == {1}
    assert len(done) == 18
    assert None not in letters(done)


def test_batches_of_two_servers_go_on_at_the_same_time() -> None:
    """The first ends only once the second one is there."""
    desk, other = Desk(right), Desk(right)
    desk.open = False
    end = other._end

    def opens(batch: dict[str, Any]) -> None:
        desk.open = True
        end(batch)

    other._end = opens  # type: ignore[method-assign]
    both = [asked(number, far) for far in ("far", "two") for number in range(3)]
    with serving(alone, desk) as served, serving(alone, other) as second:
        found, _ = call((batched(served), batched(second, name="two")), both)
    assert letters(found) == list("AABBCC")


def test_where_one_of_two_servers_fails_the_other_one_s_batch_is_found_again() -> None:
    desk, other = Desk(right), Desk(right)
    desk.open = False

    def fails(batch: dict[str, Any]) -> None:
        batch |= {"status": "failed", "errors": {"data": [{"code": "x", "message": "No room."}]}}

    end, other._end = other._end, fails  # type: ignore[method-assign]
    both = [asked(number, far) for far in ("far", "two") for number in range(3)]
    with serving(alone, desk) as served, serving(alone, other) as second:
        ends = (batched(served), batched(second, name="two"))
        with pytest.raises(UserError, match="No room"):
            call(ends, both)
        desk.open, other._end = True, end  # type: ignore[method-assign]
        other.batches.clear()
        found, told = call(ends, both[1:3] + both[4:])  # the first of each was put alone
    assert letters(found) == list("BBCC")
    assert len(desk.batches) == 1
    assert any(sentence.startswith("Already in the batch batch-0") for sentence in told)


def test_a_reply_that_is_lost_makes_no_second_batch() -> None:
    desk = Desk(right)
    desk.lost = 1
    with serving(alone, desk) as served:
        found, _ = call(batched(served), ASKS[:3])
    assert len(desk.batches) == 1
    assert letters(found) == list("ABC")


def test_what_a_batch_does_not_answer_has_a_reason_and_no_answer_and_is_put_again_later() -> None:
    replies: list[Any] = [None, 429, None, completion(None), completion("B", model="another"), lettered(None, "B")]
    desk = Desk(lambda body: replies[number_of(body)])
    with serving(alone, desk) as served:
        found, _ = call(batched(served), ASKS[:6])
        assert letters(found) == ["A", None, None, None, None, "B"]
        reasons = [one.reason for one in found.values()]
        assert reasons[1:3] == ["HTTP 429", "the batch ended without it"]
        assert "no text" in reasons[3]
        assert "the model another" in reasons[4]
        desk.answer = right
        again, _ = call(batched(served), [ask for ask, one in found.items() if one.reply is None])
    assert letters(again) == list("BCDA")


def test_lines_that_are_none_are_no_answers_and_the_first_answer_counts() -> None:
    desk = Desk(right)
    with serving(alone, desk) as served:
        call(batched(served), ASKS[:2])
        output = desk.batches["batch-0"]["output_file_id"]
        good = desk.files[output]
        name = json.loads(good)["custom_id"]
        wrong = json.dumps({"custom_id": name, "response": {"status_code": 500, "body": {}}}).encode()
        other = good.replace(b'"B"', b'"C"')
        desk.answer = lambda body: None  # of the batches that are put after this one
        for bad in (b"\xff\x00", b"[]", b'{"custom_id": []}', good.replace(name.encode(), b"else"), b"[" * 10_000, b""):
            desk.files[output] = bad
            found, _ = call(batched(served), ASKS[1:3])
            assert all(one.reply is None or one.ask == ASKS[1] for one in found.values())
        for lines in ((good, wrong), (wrong, good), (good, other)):
            desk.files[output] = b"\n".join(lines)
            found, _ = call(batched(served), [ASKS[1]])
            assert letters(found) == ["B"]


def test_a_server_without_batches_says_so_in_one_sentence() -> None:
    with serving(alone) as served:
        with pytest.raises(UserError, match="offers no batches") as told:
            call(batched(served), ASKS[:2])
        assert "batches off" in told.value.remedy
        assert not trial.tried(served.endpoint(), "").batches
    with serving(alone, Desk(right)) as served:
        assert trial.tried(served.endpoint(), "").batches


def test_a_batch_that_is_refused_ends_the_run_with_what_the_server_said() -> None:
    desk = Desk(right)
    desk.open = False
    with serving(alone, desk) as served:

        def refuse() -> bool:
            said = {"data": [{"message": f"not with {CANARY}", "code": "x", "line": 1}], "object": "list"}
            for batch in desk.batches.values():
                batch |= {"status": "failed", "errors": said}
            return False

        with pytest.raises(UserError, match="refuses the batch") as told:
            call(batched(served), ASKS[:2], refuse)
    assert CANARY not in str(told.value)


@pytest.mark.parametrize(
    "odd",
    [
        {"id": None},
        {"status": 7},
        {"metadata": ["semievol"]},
        {"created_at": None},
        {"request_counts": {"total": "many", "completed": None}},
        {"errors": "oops"},
        {"input_file_id": "file-gone"},
    ],
)
def test_odd_batches_in_the_servers_list_break_nothing(odd: dict[str, Any]) -> None:
    desk = Desk(right)
    with serving(alone, desk) as served:
        call(batched(served), ASKS[:2])
        desk.batches["batch-0"] |= odd
        found, _ = call(batched(served), ASKS[2:5])
    assert letters(found) == list("CDA")


def test_a_server_that_answers_nothing_ends_the_run() -> None:
    many = pytest.raises(UserError, match=f"no answer to {IN_A_ROW} questions in a row")
    with serving(alone, Desk(lambda body: 500)) as served, many:
        call(batched(served), ASKS[: IN_A_ROW + 1])
    broken = serving(lambda request: request.send(500, b"{}"), Desk(right))
    with broken as served, pytest.raises(UserError, match="none of the first 5 questions"):
        call(batched(served), ASKS)
    assert not served.asked[5 * IMPATIENT.tries :]


def test_the_key_is_told_by_no_batch() -> None:
    desk = Desk(right)
    made = desk._new

    def named(request: Request, content: bytes) -> dict[str, Any] | None:
        found = made(request, content)
        if found and found["object"] == "batch":
            desk.batches[f"b-{CANARY}"] = desk.batches.pop(found["id"]) | {"id": f"b-{CANARY}"}
            return desk.batches[f"b-{CANARY}"]
        return found

    desk._new = named  # type: ignore[method-assign]
    with serving(alone, desk) as served:
        found, told = call(batched(served), ASKS[:3])
    assert letters(found) == list("ABC")
    assert CANARY not in " ".join(told)


def test_a_budget_bounds_what_is_handed_over_and_what_is_put_alone() -> None:
    desk = Desk(right)
    with serving(alone, desk) as served:
        far = batched(served, input_price=1e3, output_price=1e3)
        for budget in (0.2, 0.5):
            purse = Purse(budget)
            with pytest.raises(OutOfBudget):
                call(far, [replace(ask, record_id=f"{ask.record_id}-{budget}") for ask in ASKS], purse=purse)
            charged = purse.spent["far"]
            assert 0 < charged.cost <= budget
            assert charged.answers < 30
