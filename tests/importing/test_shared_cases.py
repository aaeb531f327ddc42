"""Files in the forms that other people's tools write, each imported as its author meant it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from semievol.importing.imported import Imported
from semievol.importing.readers.overrides import AS_FOUND, ReadAs
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from semievol.jobs.intake import prepare
from semievol.records import Record, Split

FOLDER = Path(__file__).parents[2].parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no example files in {FOLDER.name}/ beside the checkout")

NAMES = ("phone", "lamp", "bike", "hotel", "camera")
FEELINGS = {"positive", "negative", "neutral"}


def imported(labeled: str, unlabeled: str = "plain_u.csv", read_as: ReadAs = AS_FOUND) -> Imported:
    given: dict[Split, Table] = {"labeled": read_table(FOLDER / labeled, labeled, read_as)}
    return prepare({**given, "unlabeled": read_table(FOLDER / unlabeled, unlabeled)})


def of(found: Imported, split: Split) -> list[Record]:
    return [record for record in found.records if record.split == split]


@dataclass(frozen=True)
class Right:
    """What an import must give. counts: accepted and rejected rows of the labeled, then of the unlabeled file. first:
    question and answer of the first labeled record. doubts: findings that need a decision."""

    labeled: str
    unlabeled: str
    kind: str
    counts: tuple[int, int, int, int]
    first: tuple[str, str]
    labels: frozenset[str] = frozenset(FEELINGS)
    doubts: Mapping[str, int] = field(default_factory=dict)


PHONE = "I think the phone number 0 was great."
LAMP = "I think the lamp number 1 was awful."
CASES = [
    Right("multi_turn_l.json", "multi_turn_u.json", "classification", (24, 0, 40, 0), (PHONE, "positive")),
    Right("multi_turn_l.json", "halfturn_u.json", "classification", (24, 0, 40, 0), (PHONE, "positive")),
    Right(
        *("alp_vary_l.json", "alp_vary_u.json", "classification", (24, 0, 40, 0)),
        (f"Is this about price?\n\n{PHONE}", "yes"),
        frozenset({"yes", "no"}),
    ),
    Right("alp_mix_l.json", "alp_mix_u.json", "numeric", (24, 0, 40, 0), ("What is 0 plus 1?", "1"), frozenset()),
    Right("alpaca_num_l.json", "alpaca_num_u.json", "numeric", (24, 0, 40, 0), ("What is 0 plus 1?", "1"), frozenset()),
    Right(
        *("labelstudio_l.json", "labelstudio_u.json", "classification", (24, 0, 40, 0), (PHONE, "Positive")),
        frozenset({"Positive", "Negative", "Neutral"}),
    ),
    Right("argilla_l.jsonl", "argilla_u.jsonl", "classification", (24, 0, 40, 0), (PHONE, "positive")),
    Right("doccano_l.jsonl", "plain_u.jsonl", "classification", (24, 0, 40, 0), (PHONE, "positive")),
    Right("pylist_l.csv", "plain_u.csv", "classification", (24, 0, 40, 0), (PHONE, "positive")),
    Right(
        *("prodigy_binary_l.jsonl", "plain_u.jsonl", "classification", (24, 6, 40, 0), (LAMP, "negative")),
        doubts={"not_accepted": 6},
    ),
    Right(
        *("prodigy_choice_l.jsonl", "plain_u.jsonl", "classification", (29, 1, 40, 0), (PHONE, "positive")),
        doubts={"not_accepted": 1},
    ),
    Right(
        *("openai_l.jsonl", "openai_u.jsonl", "classification", (24, 0, 40, 0), (PHONE, "positive")),
        doubts={"tool_turns": 6},
    ),
    Right("openai_parts_l.jsonl", "openai_u.jsonl", "classification", (24, 0, 40, 0), (PHONE, "positive")),
    Right(
        *("glue_l.tsv", "glue_u.tsv", "classification", (40, 0, 40, 0), (PHONE, "positive")),
        doubts={"quotes_literal": 2},
    ),
    Right(
        *("tsvq5_l.tsv", "plain_u.csv", "classification", (24, 0, 40, 0), (PHONE, "positive")),
        doubts={"quotes_literal": 1},
    ),
    Right(
        *("tsvq2_l.tsv", "plain_u.csv", "classification", (23, 0, 40, 0), (PHONE, "positive")),
        doubts={"quotes_literal": 1},
    ),
    Right(
        *("min_merge_l.tsv", "plain_u.csv", "text", (5, 0, 40, 0), ('"Awful start', "negative"), frozenset()),
        doubts={"quotes_literal": 1},
    ),
    Right(
        *("min_merge_l.csv", "plain_u.csv", "classification", (2, 0, 40, 0)),
        ("Awful start\nneutral,fine day\npositive,good end", "negative"),
        frozenset({"negative"}),
        doubts={"merged_lines": 1},
    ),
    Right(
        *("csvbs_l.csv", "plain_u.csv", "classification", (24, 0, 40, 0), (f'He said "{PHONE}"', "positive")),
        doubts={"quotes_backslash": 24},
    ),
    Right(
        *("prio_l.csv", "plain_u.csv", "classification", (16, 0, 40, 0), (PHONE, "P1")),
        frozenset({"P1", "P2", "P3", "P4"}),
    ),
    Right(
        *("tier_l.csv", "plain_u.csv", "classification", (14, 0, 40, 0), (PHONE, "Tier 1")),
        frozenset({"Tier 1", "Tier 2", "Tier 3"}),
    ),
    Right(
        *("b40_l.csv", "plain_u.csv", "classification", (400, 0, 40, 0)),
        ("My question number 0 is about 0 things", "cat_0"),
        frozenset(f"cat_{number}" for number in range(40)),
    ),
    Right("index_l.csv", "plain_u.csv", "classification", (24, 0, 40, 0), (PHONE, "positive")),
    Right("idx_l.xlsx", "plain_u.csv", "classification", (24, 0, 40, 0), (PHONE, "positive")),
    Right("nan_l.jsonl", "plain_u.csv", "classification", (24, 0, 40, 0), (PHONE, "positive")),
    Right(
        *("paren_l.csv", "plain_u.csv", "text", (24, 0, 40, 0), ("What is the change in year 0?", "1.5"), frozenset()),
        doubts={"parentheses": 12},
    ),
]


@pytest.mark.parametrize("right", CASES, ids=lambda right: f"{right.labeled} {right.unlabeled}")
def test_a_file_is_read_as_its_author_meant_it(right: Right) -> None:
    found = imported(right.labeled, right.unlabeled)
    assert (found.task.kind, frozenset(found.task.labels)) == (right.kind, right.labels)
    reports = [found.report[split] for split in ("labeled", "unlabeled")]
    assert tuple(n for report in reports for n in (report.accepted, report.rejected)) == right.counts
    first = of(found, "labeled")[0]
    assert (first.question, first.answer) == right.first
    assert {one.kind: one.count for one in found.findings if one.asks and not one.taken} == right.doubts
    assert all(one.answer is None for one in of(found, "unlabeled"))
    assert not [one for one in found.findings if one.kind == "instructions"]


def test_earlier_turns_are_turns_and_the_shared_system_turn_is_the_instruction() -> None:
    found = imported("multi_turn_l.json", "halfturn_u.json")
    assert found.task.instruction == "Be brief."
    assert [(turn.role, turn.content) for turn in of(found, "labeled")[0].earlier] == [
        ("user", "Hi 0"),
        ("assistant", "Hello"),
    ]
    assert Counter(len(record.earlier) for record in of(found, "unlabeled")) == {0: 20, 2: 20}


def test_the_instruction_stays_in_front_of_the_input_in_the_pool() -> None:
    pool = of(imported("alp_mix_l.json", "alp_mix_u.json"), "unlabeled")
    assert [record.question for record in pool[:2]] == ["What is 100 plus 102?", "Solve.\n\n101+103"]


@pytest.mark.parametrize("name", ["min_merge_l.csv", "min_merge_l.tsv", "glue_l.tsv"])
def test_what_quotation_marks_mean_can_be_said(name: str) -> None:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    literal = imported(name, read_as=ReadAs(quotes="literal"))
    assert literal.report["labeled"].accepted == len(lines) - 1
    standard = imported(name, read_as=ReadAs(quotes="standard"))
    assert standard.report["labeled"].accepted < len(lines) - 1
    assert not [one for found in (literal, standard) for one in found.findings if one.asks]


def test_a_negative_number_in_parentheses_is_kept_as_it_is_written() -> None:
    assert [record.answer for record in of(imported("paren_l.csv"), "labeled")][:3] == ["1.5", "(2.5)", "3.5"]
