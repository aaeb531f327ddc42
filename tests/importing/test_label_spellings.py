"""A label that is misspelled is found beside the right one, in every split, and read as what a person says."""

from __future__ import annotations

from collections import Counter

import pytest

from semievol.errors import UserError
from semievol.importing.imported import Imported
from semievol.importing.label_spellings import variants
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from semievol.jobs.intake import prepare
from semievol.records import Split
from tests.importing.files import csv_bytes

LABELS = [*["Liability"] * 9, *["Water damage"] * 8, *["Storm / hail"] * 7]
TYPOS = ["Liabilty", "Water damge", "Storm/hail", "liabilty"]


def _tables(labeled: list[str], gold: list[str], test: list[str]) -> dict[Split, Table]:
    split_answers: dict[Split, list[str]] = {"labeled": labeled, "unlabeled": gold, "test": test}
    made = {}
    for split, answers in split_answers.items():
        rows = [["note", "category"], *([f"{split} claim {i}", one] for i, one in enumerate(answers))]
        made[split] = read_table(csv_bytes(rows), f"{split}.csv")
    return made


@pytest.fixture
def misspelled() -> dict[Split, Table]:
    return _tables([*LABELS, *TYPOS], ["Theft", "Liability", "Liabilty"], ["Liability", "Watre damage"])


def _answers(found: Imported, split: Split) -> Counter[str | None]:
    return Counter(record.answer for record in found.records if record.split == split)


@pytest.mark.parametrize(
    ("rare", "frequent"),
    [
        ("Liabilty", "Liability"),
        ("Liabiltiy", "liability"),
        ("Storm/hail", "Storm / hail"),
        ("waterdamge", "Water damage"),
        ("non urgent", "non-urgent"),
        ("Vehicle colision", "Vehicle collision"),
    ],
)
def test_a_rare_label_like_a_frequent_one_is_a_variant_of_it(rare: str, frequent: str) -> None:
    (found,) = variants({"labeled": Counter({rare: 1, frequent: 9})}, [rare, frequent])
    assert (found.label, found.likely, found.counts) == (rare, frequent, {"labeled": 1})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tier 1", "Tier 2"),
        ("P1", "P2"),
        ("1-5", "15"),
        ("> 50", "< 50"),
        ("A+", "A-"),
        ("class VII", "class VIII"),
        ("male", "female"),
        ("legal", "illegal"),
        ("typical", "atypical"),
        ("increase", "decrease"),
        ("urgent", "not urgent"),
        ("yes", "yet"),
    ],
)
def test_labels_that_differ_in_meaning_are_no_variants(one: str, other: str) -> None:
    assert variants({"labeled": Counter({one: 1, other: 9})}, [one, other]) == []
    assert variants({"labeled": Counter({one: 9, other: 1})}, [one, other]) == []


def test_two_frequent_labels_are_variants_only_where_spaces_or_hyphens_differ() -> None:
    assert variants({"labeled": Counter({"hunger": 9, "hanger": 8})}, ["hunger", "hanger"]) == []
    (found,) = variants({"labeled": Counter({"e-mail": 9, "email": 8})}, ["e-mail", "email"])
    assert (found.label, found.likely) == ("email", "e-mail")


def test_misspelled_labels_are_a_finding_that_names_each(misspelled: dict[Split, Table]) -> None:
    found = prepare(misspelled, hide_gold=True)
    (finding,) = (one for one in found.findings if one.kind == "label_variants")
    assert '"Liabilty" (3) like "Liability"' in finding.what
    assert '"Watre damage" (1) like "Water damage"' in finding.what
    assert finding.counts == {"labeled": 4, "unlabeled": 1, "test": 1}
    assert set(found.task.labels) == {"Liability", "Water damage", "Storm / hail", *TYPOS[:3]}
    with pytest.raises(UserError, match="label_variants"):
        prepare(misspelled, strict=True, confirmed=["rejected"])


def test_all_are_read_as_suggested_in_every_split(misspelled: dict[Split, Table]) -> None:
    found = prepare(misspelled, hide_gold=True, strict=True, relabel=["suggested"], confirmed=["unreadable_gold"])
    assert found.task.labels == ("Liability", "Water damage", "Storm / hail")
    assert _answers(found, "labeled") == {"Liability": 11, "Water damage": 9, "Storm / hail": 8}
    assert _answers(found, "test") == {"Liability": 1, "Water damage": 1}
    assert [gold for _, gold in found.gold()] == ["Liability", "Liability"]


def test_a_label_is_read_as_any_other_or_renamed(misspelled: dict[Split, Table]) -> None:
    found = prepare(misspelled, relabel=["liabilty=Liability", "Storm / hail=Weather", "Storm/hail=Weather"])
    assert set(found.task.labels) == {"Liability", "Water damage", "Water damge", "Weather"}
    assert _answers(found, "labeled")["Weather"] == 8


@pytest.mark.parametrize("given", ["Fire=Liability", "Liabilty", "Liabilty="])
def test_what_is_no_label_cannot_be_read_as_another(misspelled: dict[Split, Table], given: str) -> None:
    with pytest.raises(UserError, match=r"label|written"):
        prepare(misspelled, relabel=[given])
