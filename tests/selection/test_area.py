"""Areas of the map: what lies in them, and their way through an address."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semievol.selection.area import MOST, Area, Picture, board_place

_PLACE = st.floats(-1, 1, allow_nan=False)
_CORNERS = st.lists(st.tuples(_PLACE, _PLACE), min_size=3, max_size=200)


def _turns(corners: tuple[tuple[float, float], ...], x: float, y: float) -> float:
    """How often the outline goes round a point, by the angles that it is seen under (not the even-odd rule)."""
    seen = [math.atan2(b - y, a - x) for a, b in corners]
    pairs = zip(seen, [*seen[1:], seen[0]], strict=True)
    return sum((after - before + math.pi) % (2 * math.pi) - math.pi for before, after in pairs) / (2 * math.pi)


@given(st.lists(st.floats(0.2, 0.9), min_size=3, max_size=20), _PLACE, _PLACE)
def test_a_point_lies_inside_where_the_outline_goes_round_it(radii: list[float], x: float, y: float) -> None:
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii)
    area = Area.of(radii * np.cos(angles), radii * np.sin(angles))
    assert area is not None
    turns = _turns(area.corners, x, y)
    if abs(abs(turns) % 1 - 0.5) > 0.4:  # not on the outline itself
        assert area.holds([x], [y]).tolist() == [round(abs(turns)) % 2 == 1]


@given(_CORNERS, st.sampled_from(["map", "board"]))
def test_an_area_goes_through_an_address_unchanged(drawn: list[tuple[float, float]], on: Picture) -> None:
    x, y = zip(*drawn, strict=True)
    area = Area.of(x, y, on)
    if area is not None:
        assert len(area.corners) <= MOST
        assert Area.read(area.written()) == area


def test_a_box_is_four_corners_and_nothing_without_a_place_lies_in_it() -> None:
    area = Area.of([0.5, -0.5], [-0.2, 0.2])
    assert area is not None
    assert area.holds([0, 0.4, 0.6, math.nan], [0, 0.1, 0, 0]).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    "text",
    [None, "", "x", "1_2~3_4", "1_2~a_b~3_4", "nan_1~1_0~0_1", "0_0~0_0~0_0", "1~2~3", "<b>~_~_", "1_2_3~4_5~6_7"],
)
def test_what_is_no_area_is_none(text: str | None) -> None:
    assert Area.read(text) is None


def test_the_place_on_the_board_is_votes_and_probability() -> None:
    answers, probability = board_place([0.0, math.log(2), math.nan], [0.0, math.log(4), 0.1])
    assert answers.tolist()[:2] == pytest.approx([1, 2])
    assert probability.tolist()[:2] == pytest.approx([100, 25])
    assert math.isnan(answers[2])
