"""Labels that look wrong: which records are listed, in which order, and from whose answers."""

from __future__ import annotations

import numpy as np
import pytest

from semievol.method import label_errors
from semievol.method.evolve import evolve
from semievol.method.protocols import Ask, Plan, Reply
from semievol.presets import load
from semievol.records import Record, Response, Task
from tests.fakes import FakeEngine, MemoryJournal
from tests.method.test_evolve import TASK, records

LABELS = ("a", "b", "c", "d")
CLASSES = Task("classification", LABELS)


def noisy(seed: int, count: int = 300) -> tuple[list[Record], dict[str, dict[str, float]], set[str]]:
    """Records of four classes of which a tenth has a wrong label, probabilities, and the ids with a wrong label."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 4, count)
    wrong = rng.random(count) < 0.1
    stated = np.where(wrong, (true + rng.integers(1, 4, count)) % 4, true)
    scores = rng.normal(size=(count, 4)) + 2.5 * np.eye(4)[true]
    table = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    made = [Record(f"r{i:03}", f"text {i}", (), LABELS[stated[i]], "labeled") for i in range(count)]
    spread = {r.id: dict(zip(LABELS, row, strict=True)) for r, row in zip(made, table.tolist(), strict=True)}
    return made, spread, {r.id for r, flipped in zip(made, wrong, strict=True) if flipped}


@pytest.mark.parametrize("seed", range(5))
def test_the_records_are_those_off_the_diagonal_of_the_confident_joint(seed: int) -> None:
    made, spread, _ = noisy(seed)
    label = np.array([LABELS.index(r.answer or "") for r in made])
    p = np.array([list(spread[r.id].values()) for r in made])
    threshold = np.array([p[label == k, k].mean() for k in range(4)])
    counted = np.where(p >= threshold, p, -1.0)
    off = (counted.argmax(axis=1) != label) & (counted.max(axis=1) > p[np.arange(len(p)), label])
    others = p.copy()
    others[np.arange(len(p)), label] = -1.0
    margin = p[np.arange(len(p)), label] - others.max(axis=1)
    expected = [made[i].id for i in np.argsort(margin, kind="stable") if off[i]]
    found = label_errors.suspects(CLASSES, made, spread)
    assert [one.record.id for one in found] == expected
    assert [one.margin for one in found] == pytest.approx(np.sort(margin[off]))


def test_wrong_labels_are_far_more_frequent_among_the_first_that_are_listed() -> None:
    precision, share = [], []
    for seed in range(5):
        made, spread, wrong = noisy(seed)
        first = label_errors.suspects(CLASSES, made, spread)[: len(wrong) // 2]
        precision.append(np.mean([one.record.id in wrong for one in first]))
        share.append(len(wrong) / len(made))
    assert np.mean(precision) > 5 * np.mean(share)


def test_a_label_that_one_record_has_makes_no_other_record_suspect() -> None:
    sure = [Record(f"r{i}", "text", (), "a", "labeled") for i in range(9)]
    lone = Record("lone", "text", (), "b", "labeled")
    spread = {r.id: {"a": 0.5 + i / 50, "b": 0.5 - i / 50} for i, r in enumerate(sure, 1)}
    found = label_errors.suspects(
        Task("classification", ("a", "b")), [*sure, lone], spread | {"lone": {"a": 1, "b": 0}}
    )
    assert [one.record.id for one in found] == ["lone"]


def test_letters_share_a_threshold_and_options_may_differ_in_number() -> None:
    task = Task("multiple_choice")
    sure = [Record(f"s{i}", f"sum {i}", ("1", "2"), "A", "labeled") for i in range(3)]
    odd = Record("odd", "sum 9", ("1", "2", "3"), "B", "labeled")
    spread = {one.id: {"A": 0.9, "B": 0.1} for one in sure} | {"odd": {"A": 0.05, "B": 0.15, "C": 0.8}}
    (found,) = label_errors.suspects(task, [*sure, odd], spread)
    assert (found.record, found.label, found.likelier) == (odd, "B", "C")
    assert (found.probability, found.margin) == (pytest.approx(0.15), pytest.approx(-0.65))


def test_weights_of_a_record_are_those_fitted_without_it_and_collaborators_without_weight_do_not_count() -> None:
    record = Record("r", "text", (), "a", "labeled")
    said = [Response("r", name, "a", "a", (p, 1 - p, 0, 0)) for name, p in (("x", 0.9), ("y", 0.2), ("z", 0.4))]
    fold = {"x": 0.75, "y": 0.25, "z": 0.0}
    fitted = {"everybody": {"x": 0.0, "y": 1.0, "z": 0.0}, "folds": [fold] * 100}
    found = label_errors.spreads(CLASSES, [record], said, fitted)
    assert found["r"]["a"] == pytest.approx(0.75 * 0.9 + 0.25 * 0.2)
    alike = label_errors.spreads(CLASSES, [record], said, None)
    assert alike["r"]["a"] == pytest.approx(0.5)


class Certain(FakeEngine):
    """Says "roads" of everything."""

    def _reply(self, ask: Ask) -> Reply:
        return Reply(
            "roads", tuple(0.9 if answer == "roads" else 0.1 / (len(ask.allowed) - 1) for answer in ask.allowed)
        )


def test_cross_fitted_labeled_records_are_judged_by_the_models_of_the_folds() -> None:
    config = load("paper").model_copy(update={"cross_fit": 3})
    plan = Plan(TASK, config, records("labeled", 30, True), records("unlabeled", 21, False))
    journal = MemoryJournal(plan)
    evolve(plan, Certain(), journal, until="justify")
    found = label_errors.spreads(TASK, plan.labeled, journal.responses("respond"), None)
    assert set(found) == {record.id for record in plan.labeled}
    listed = label_errors.suspects(TASK, plan.labeled, found)
    assert {one.likelier for one in listed} == {"roads"}
    assert {one.record.id for one in listed} == {r.id for r in plan.labeled if r.answer != "roads"}
