"""What the ledger of rounds reads from the store."""

from __future__ import annotations

from semievol.config import Policy
from semievol.store.decisions.decisions import decide
from semievol.store.results.rounds_ledger import known_rounds
from semievol.store.runs import rounds
from tests.store.world import TASK, World, freeze


def test_what_is_stored_of_a_round_is_found(full: World) -> None:
    freeze(full.store, full.round.id, Policy(), {"u0": "road", "u3": "water"})
    decide(full.store, full.project.id, full.round.id, "u1", "edit", "road", "water")
    (found,) = known_rounds(full.store, full.project.id)
    assert (found.id, found.place, found.parent_id, found.decided) == (full.round.id, 1, None, 1)
    assert sorted(str(answer) for answer in found.pool.values()) == ["road"] * 7 + ["water"]
    assert sorted((found.accepted or {}).values()) == ["road", "water"]
    assert (found.figures, found.calibration) == ({}, {})
    assert sorted(found.gold.values()) == sorted(TASK.labels[i % 3] for i in range(8))


def test_a_round_without_candidates_has_no_line(full: World) -> None:
    rounds.open_round(full.store, full.project.id, full.config.model_copy(update={"seed": 9}))
    assert [one.place for one in known_rounds(full.store, full.project.id)] == [1]
