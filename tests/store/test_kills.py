"""A process that is killed while it decides loses nothing that it has acknowledged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from semievol.store.health import quick_check
from tests.store.kills import Range, random_moment
from tests.store.world import World

KILLS = 10


@pytest.fixture(scope="module")
def shooting() -> Iterator[Range]:
    with Range() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _one_file(full: World) -> None:
    if full.store.file is None:
        pytest.skip("needs a database file")


def test_what_was_acknowledged_survives_every_kill(full: World, shooting: Range, tmp_path: Path) -> None:
    chance, before = random.Random(1), 0
    for number in range(KILLS):
        found = shooting.kill(full.store, tmp_path / f"ledger-{number}", random_moment(chance))
        assert found.lost == 0
        assert found.stored - before - found.acknowledged in (0, 1)  # committed, and killed before it could say so
        before = found.stored
    assert quick_check(full.store) == []


def test_an_acknowledgement_before_the_commit_would_be_found_out(full: World, shooting: Range, tmp_path: Path) -> None:
    found = shooting.kill(full.store, tmp_path / "ledger", hasty=True, halt_at=5)
    assert (found.acknowledged, found.lost) == (5, 1)


def test_a_kill_right_after_an_acknowledgement_loses_nothing(full: World, shooting: Range, tmp_path: Path) -> None:
    found = shooting.kill(full.store, tmp_path / "ledger", halt_at=5)
    assert (found.acknowledged, found.lost) == (5, 0)
