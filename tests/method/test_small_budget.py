"""With few labeled records the Studio says what to do, what is not estimated, and what could be shown at best."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from semievol.config import Config
from semievol.evidence import precision
from semievol.evidence.reviews import level
from semievol.method.small_budget import Advice, advice
from semievol.presets import load
from semievol.records import Record, Task

LABELS = ("roads", "water", "waste")
TASK = Task("classification", LABELS)


def labeled(number: int, labels: Sequence[str] = LABELS) -> list[Record]:
    return [Record(f"l{i}", f"l{i}", (), labels[i % len(labels)], "labeled", i) for i in range(number)]


def advised(number: int, *settings: str, task: Task = TASK, pool: int = 700, test: int = 300) -> Advice:
    found = advice(load("studio", None, settings), task, labeled(number), pool, test)
    assert found is not None
    return found


@pytest.mark.parametrize(("number", "missing"), [(30, 70), (60, 40), (99, 1)])
def test_label_as_many_as_the_studio_cross_fits_from(number: int, missing: int) -> None:
    found = advised(number)
    assert found.heading == f"A new round with {number} labeled records"
    assert found.recommended.startswith(f"Recommended: label {missing} more. From 100 on")
    assert "Selection shows no estimate" in found.reasons[0]


def test_with_enough_records_nothing_is_said() -> None:
    held = load("studio", None, ["calibration_minimum=6"])
    for config, number in ((load("studio"), 100), (held, 30)):
        assert advice(config, TASK, labeled(number), 700, 300) is None


def test_the_best_possible_estimate_is_the_exact_bound_without_an_error() -> None:
    [_, rough, review, _] = advised(30).reasons
    most = int(precision.upper(30, 0, 700))
    assert f"at least {100 * (1 - most / 700):.1f} % of the kept answers" in rough
    assert f"{precision.needed_reviews(0.95, 700, level(1))} answers drawn at random of all 700" in review
    assert not any("rough estimate" in reason for reason in advised(13).reasons), "no policy shows one from so few"


def test_settings_that_cross_fit_or_never_will_get_another_recommendation() -> None:
    crossed = advised(30, "cross_fit=5")
    assert "cross-fitted in 5 folds" in crossed.reasons[0]
    assert "label 70 more" not in crossed.recommended
    for found in (advised(30, "propagation.weighting=equal"), advised(30, task=Task("text"))):
        assert "random review" in found.recommended


def test_labels_that_hardly_occur_are_named_first() -> None:
    config: Config = load("studio")
    records = [*labeled(12, LABELS[:1]), Record("one", "one", (), "water", "labeled", 99)]
    found = advice(config, TASK, records, 700, 300)
    assert found is not None
    assert "2 labels have fewer than 2 labeled records: water (1) and waste (0)" in found.reasons[0]
    assert not any("rare" in reason for reason in advised(12).reasons)


@pytest.mark.parametrize(
    ("test", "said"),
    [(0, "no test set"), (4, "no difference"), (60, "gain of 8.3 points"), (300, "gain of 1.7 points")],
)
def test_the_smallest_gain_that_the_test_set_can_show(test: int, said: str) -> None:
    assert said in advised(30, test=test).reasons[-1]
