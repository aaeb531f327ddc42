"""Leaving demonstrations out, beside the same differences by hand."""

from __future__ import annotations

import pytest

from semievol.method.influence import influences


def _said(answer: str, **probabilities: float) -> dict[str, object]:
    return {"answer": answer, "probabilities": probabilities}


def test_the_effect_is_the_probability_that_is_lost_without_the_demonstration() -> None:
    with_all = _said("roads", roads=0.7, water=0.3)
    found = influences(with_all, [_said("water", roads=0.4, water=0.6), _said("roads", roads=0.8, water=0.2)])
    assert [(one.without, one.changed) for one in found] == [("water", True), ("roads", False)]
    assert [one.effect for one in found] == pytest.approx([0.3, -0.1])


def test_free_answers_have_no_probability_to_compare() -> None:
    (one,) = influences(_said("Paris"), [_said("Lyon")])
    assert (one.without, one.changed, one.effect) == ("Lyon", True, None)
