"""What the labeled records say before any training, on data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from semievol.engines import retrieval, voting
from semievol.method import preflight
from semievol.presets import load
from semievol.records import Record, Task
from tests.fakes import FakeEngine

TASK = Task("classification", ("roads", "water"))
CONFIG = load("studio")


class VotingEngine(FakeEngine):
    """Votes and regresses as the Studio's own engine does, on character n-grams."""

    def vote(self, labeled, queries, allowed, embedder, how):
        poll = {"neighbours": voting.neighbours, "regression": voting.regression}[how]
        return poll(labeled, queries, allowed, retrieval.char_tfidf)


def _labeled(n: int = 40, noise: float = 0.0) -> list[Record]:
    """Questions whose words tell their label; a share of the labels is turned round."""
    draw = np.random.default_rng(2)
    found = []
    for i in range(n):
        label = TASK.labels[i % 2]
        words = {"roads": "road asphalt", "water": "pipe tap"}[label]
        turned = TASK.labels[1 - i % 2] if draw.random() < noise else label
        found.append(Record(f"r{i}", f"{words} case number {i}", (), turned, "labeled"))
    return found


def test_where_alike_questions_have_alike_answers_propagation_is_likely_to_help() -> None:
    found = preflight.examine(VotingEngine(), CONFIG, TASK, _labeled())
    assert set(found.ways) == {"neighbours", "regression"}
    assert found.ways["neighbours"].right == 1.0
    assert found.majority == DummyClassifier().fit([[0]] * 40, [r.answer for r in _labeled()]).score(
        [[0]] * 40, [r.answer for r in _labeled()]
    )
    assert "Propagation is likely to help" in found.verdict
    assert "100 % of the labeled records come out right" in found.verdict
    assert found.suspects == []


def test_a_label_that_its_neighbours_contradict_is_listed_first() -> None:
    labeled = _labeled()
    labeled[6] = Record("r6", labeled[6].question, (), "water", "labeled")  # its words speak of roads
    (one, *_) = preflight.examine(VotingEngine(), CONFIG, TASK, labeled).suspects
    assert (one.record.id, one.label, one.likelier) == ("r6", "water", "roads")


def test_where_labels_are_chance_it_says_so() -> None:
    draw = np.random.default_rng(0)
    labeled = [
        Record(f"r{i}", f"word{i} other{i}", (), str(draw.choice(["roads", "roads", "water"])), "labeled")
        for i in range(40)
    ]
    assert "no clear difference" in preflight.examine(VotingEngine(), CONFIG, TASK, labeled).verdict


@pytest.mark.parametrize("labeled", [[], _labeled(4)])
def test_of_too_few_records_nothing_is_said(labeled: list[Record]) -> None:
    found = preflight.examine(VotingEngine(), CONFIG, TASK, labeled)
    assert found.ways == {}
    assert found.verdict.startswith("Not known")


def test_free_answers_have_no_list_of_labels() -> None:
    labeled = [Record(f"r{i}", f"question {i}", (), "yes", "labeled") for i in range(12)]
    found = preflight.examine(VotingEngine(), CONFIG, Task("text"), labeled)
    assert found.suspects == []
    assert set(found.ways) <= {"neighbours"}


def test_options_that_never_recur_are_neither_voted_for_nor_a_majority() -> None:
    task = Task("multiple_choice")
    own = [
        Record(f"r{i}", f"which of them, case {i}?", tuple(f"reason {i}{letter}" for letter in "abcd"), "ABCD"[i % 4])
        for i in range(40)
    ]
    found = preflight.examine(VotingEngine(), CONFIG, task, own)
    assert (found.ways, found.suspects) == ({}, [])
    assert found.majority == 0.25, "the letter: a record's own right option would be the only one that ever was one"
    assert found.verdict.startswith("Not known")
    alike = [Record(f"r{i}", f"is it so, case {i}?", ("yes", "no"), "A", "labeled") for i in range(40)]
    assert preflight.examine(VotingEngine(), CONFIG, task, alike).majority == 1
