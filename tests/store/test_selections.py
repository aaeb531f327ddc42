"""Frozen selections: numbered in their round, never changed."""

from __future__ import annotations

import pytest

from semievol.config import Policy, Rule
from semievol.errors import UserError
from semievol.export.caveats import unfrozen
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.decisions.decisions import decide
from semievol.store.results import results
from semievol.store.runs import runs
from tests.store.world import World, freeze

POLICY = Policy(rule=Rule(kind="threshold", value=0.3))


def test_a_selection_is_numbered_and_listed(full: World) -> None:
    store, round_id = full.store, full.round.id
    first = freeze(
        store, round_id, POLICY, {"u0": "road", "u3": "waste"}, {"u0": "pseudo", "u3": "expert"}, {"low": 0.9}
    )
    second = freeze(store, round_id, None, {"u1": "road"}, {})
    assert (first.number, second.number, second.origins) == (1, 2, {"u1": "pseudo"})
    one, two = selections.selections(store, round_id)
    assert (one["number"], one["size"], one["origins"]) == (1, 2, {"pseudo": 1, "expert": 1})
    assert (one["evidence"], one["policy"]) == ({"low": 0.9}, POLICY.model_dump(mode="json"))
    assert (two["number"], two["policy"], two["evidence"]) == (2, None, None)


def test_freezing_the_same_again_gives_the_same_number(full: World) -> None:
    store, round_id = full.store, full.round.id
    again = [freeze(store, round_id, POLICY, {"u0": "road"}, {"u0": "pseudo"}).number for _ in range(2)]
    assert again == [1, 1]
    assert freeze(store, round_id, POLICY, {"u0": "road"}, {"u0": "expert"}).number == 2


def test_an_empty_selection_is_one(full: World) -> None:
    assert freeze(full.store, full.round.id, POLICY, {}, {}).number == 1
    assert selections.selection_frame(full.store, full.round.id, 1).empty
    assert selections.selections(full.store, full.round.id)[0]["size"] == 0


def test_its_frame_tells_what_was_accepted_and_why(full: World) -> None:
    freeze(full.store, full.round.id, POLICY, {"u3": "waste", "u0": "road"}, {"u3": "expert"})
    frame = selections.selection_frame(full.store, full.round.id, 1)
    assert frame["record_id"].tolist() == ["u0", "u3"]
    assert frame.iloc[1][["question", "answer", "origin", "candidate"]].tolist() == [
        "pool question 3",
        "waste",
        "expert",
        "water",
    ]
    assert frame["agreed"].tolist() == [True, False]
    assert frame["answer_nll"].tolist() == [0.0, 0.35]
    assert frame["mean_nll"].isna().all()


def test_an_unknown_selection_is_said(full: World) -> None:
    with pytest.raises(UserError, match="no selection 7"):
        selections.selection_frame(full.store, full.round.id, 7)
    with pytest.raises(UserError, match="no selection 7"):
        runs.enqueue(full.store, full.round.id, full.config, "tune", selection=7)


def test_freezing_raises_the_revision(full: World) -> None:
    before = results.revision(full.store, full.round.id)
    freeze(full.store, full.round.id, POLICY, {"u0": "road"}, {})
    assert results.revision(full.store, full.round.id) == before + 1


def test_what_was_decided_after_freezing_is_counted(full: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store, project_id, round_id = full.store, full.project.id, full.round.id
    decide(store, project_id, round_id, "u0", "accept", "road")
    assert unfrozen(store, round_id) == "", "nothing is frozen yet"
    freeze(store, round_id, POLICY, {"u0": "road"}, {"u0": "expert"})
    assert selections.decided_since(store, round_id) == 0
    now = Store.now
    monkeypatch.setattr(Store, "now", lambda self, connection: now(self, connection) + 5)
    decide(store, project_id, round_id, "u1", "skip", "road")
    assert selections.decided_since(store, round_id) == 0, "a skip decides nothing"
    decide(store, project_id, round_id, "u1", "reject", "road")
    decide(store, project_id, round_id, "u1", "reject", "road")
    assert selections.decided_since(store, round_id) == 1, "a record counts once"
    assert unfrozen(store, round_id).startswith("1 record was decided after selection 1 was frozen.")
