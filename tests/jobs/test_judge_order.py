"""The judge reads the same prompt with the candidate answers in reversed order."""

from __future__ import annotations

from typing import Any

import pytest

from semievol.jobs import inference_process, inference_server, judge_order, sent_prompts
from semievol.jobs.judge_order import OrderAudit, Verdict
from semievol.method.protocols import Ask, Reply
from semievol.records import Record
from semievol.store.data import records, versions
from semievol.store.database import Store, open_store
from semievol.store.results import collaborators, results
from semievol.store.runs.rounds import get_round
from semievol.ui.responses import judge_order as judge_order_view
from tests.fakes import FakeEngine
from tests.ui import made


class LastOne(FakeEngine):
    """Gives the candidate answer that it reads last, so that every verdict depends on the order."""

    def _reply(self, ask: Ask) -> Reply:
        _, _, read = ask.messages[-1].content.partition("Candidate answers:\n")
        last = read.splitlines()[-2]
        return Reply(last, tuple(float(answer == last) for answer in ask.allowed))


class Stubborn(FakeEngine):
    """Says the same of everything."""

    def _reply(self, ask: Ask) -> Reply:
        return Reply("A", tuple(float(answer == "A") for answer in ask.allowed))


@pytest.fixture
def store(_own_home: None) -> Store:
    return open_store()


@pytest.fixture
def round_id(store: Store) -> int:
    return made.round_of(store, made.with_options(store))


def answer_with(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine) -> None:
    def request(store: Store, config: object, asked: dict[str, Any], watch: Any) -> Any:
        watch("Asking the judge again")
        return inference_server._VERBS[asked["verb"]](engine, asked)

    monkeypatch.setattr(inference_process, "request", request)


def test_the_prompt_is_the_judges_own_but_for_the_order(store: Store, round_id: int) -> None:
    round_ = get_round(store, round_id)
    task = versions.task_of(store, round_.version_id)
    for record_id in collaborators.judged(store, round_id):
        view = results.record_view(store, round_id, record_id)
        found = sent_prompts.reordered(store, round_, task, view)
        assert found is not None
        assert view.justification is not None
        ask, turned = found
        assert ask.input_hash == view.justification.input_hash
        own, other = ask.messages[-1].content.splitlines(), turned.messages[-1].content.splitlines()
        start = own.index("Candidate answers:") + 1
        assert own[start:-1] == other[start:-1][::-1]
        assert own[:start] + own[-1:] == other[:start] + other[-1:]
        assert (ask.messages[:-1], ask.seed, ask.allowed) == (turned.messages[:-1], turned.seed, turned.allowed)
    views = [results.record_view(store, round_id, f"unlabeled-{number}") for number in range(8)]
    agreed = next(view for view in views if view.justification is None)
    assert sent_prompts.reordered(store, round_, task, agreed) is None


def test_a_judge_that_goes_by_the_content_changes_no_verdict(
    store: Store, round_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disputed = collaborators.judged(store, round_id)
    version_id = get_round(store, round_id).version_id
    truth = {r.id: r.answer for r in records.load_records(store, version_id) if r.answer}
    answer_with(monkeypatch, made.KnowingEngine(truth | records.hidden_gold(store, version_id)))
    said: list[str] = []
    found = judge_order.audit(store, round_id, len(disputed), said.append)
    assert (len(found.verdicts), found.disputed, found.unstable, found.lost) == (len(disputed), len(disputed), 0, 0)
    assert found.changed == []
    assert found.interval[0] == 0
    assert said[0] == f"Asking the judge again: 0 of {len(disputed)} records done"
    again = judge_order.audit(store, round_id, 3, said.append)
    assert [one.record.id for one in again.verdicts] == [one.record.id for one in found.verdicts][:3], (
        "drawn by the seed"
    )


def test_verdicts_that_depend_on_the_order_are_named(
    store: Store, round_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, LastOne())
    found = judge_order.audit(store, round_id, 20, lambda words: None)
    assert [one.record.id for one in found.changed] == [one.record.id for one in found.verdicts]
    assert all(one.after != one.before for one in found.changed)
    assert len(found.verdicts) == found.disputed > 1
    assert found.interval[1] == 1


def test_a_verdict_that_the_same_prompt_does_not_give_again_is_not_counted(
    store: Store, round_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, Stubborn())
    found = judge_order.audit(store, round_id, 20, lambda words: None)
    assert (found.verdicts, found.unstable) == ([], found.disputed)
    assert judge_order_view.sentence(found).startswith("Not known")


def test_it_is_told_in_a_sentence() -> None:
    record = Record("r", "Where?")
    verdicts = [Verdict(record, "a", "b" if number < 3 else "a", number < 3) for number in range(20)]
    said = judge_order_view.sentence(OrderAudit(verdicts, 90))
    assert said.startswith("In 3 of 20 disputed records the verdict changed: 15.0 % (95 % interval 3.2 to 37.9 %")
    assert judge_order_view.left_out(OrderAudit(verdicts, 90, alike=1)) == [
        "1 record left out: the answers read the same in both orders."
    ]
