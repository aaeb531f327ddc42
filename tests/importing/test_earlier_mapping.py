"""New files are read by the mapping of the version before, as far as their columns allow; every difference is told."""

from __future__ import annotations

from typing import Any

from semievol.importing.earlier_mapping import count_from, mapping_again
from semievol.importing.mapping import Mapping
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from semievol.records import Split

BEFORE = {"split": "labeled", "mapping": {"question": "call", "answer": "crew", "id": "nr", "gold": "truth"}}


def again(*sources: dict[str, Any], **files: str) -> tuple[Mapping, list[str]] | None:
    tables: dict[Split, Table] = {split: read_table(text.encode(), f"{split}.csv") for split, text in files.items()}  # type: ignore[misc]
    return mapping_again(sources or (BEFORE,), tables)


def test_a_few_rows_are_read_as_all_of_the_data_was() -> None:
    found = again(labeled="text,call,crew,truth,nr\nlong text that looks like a question,A hole,x,y,1\n")
    assert found == (Mapping("call", "crew", id="nr", gold="truth"), [])


def test_unlabeled_records_need_no_answer_and_what_else_is_missing_is_told() -> None:
    found = again(unlabeled="call,color\nA hole,red\n")
    assert found == (
        Mapping("call"),
        ['The id is not read: there is no column "nr".', 'Hidden gold is not read: there is no column "truth".'],
    )


def test_another_column_is_suggested_for_one_that_is_gone() -> None:
    found = again(labeled="call,nr,truth,category\n" + "A hole,1,,roads\nA leak,2,,water\n" * 4)
    assert found == (
        Mapping("call", "category", id="nr", gold="truth"),
        ['The answer is read from "category": there is no column "crew".'],
    )


def test_options_are_those_of_before_or_suggested() -> None:
    source = {"split": "labeled", "mapping": {"question": "q", "answer": "right", "options": "one+two"}}
    assert again(source, labeled="q,one,two,right\nwhich?,this,that,A\n") == (
        Mapping("q", "right", choices=("one", "two")),
        [],
    )
    assert again(source, labeled="q,A,B,right\nwhich?,this,that,A\n") == (
        Mapping("q", "right", choices=("A", "B")),
        ['The options are read from "A, B": there is no column "one, two".'],
    )


def test_the_first_source_says_what_a_role_means() -> None:
    later = {"split": "unlabeled", "mapping": {"question": "text", "context": "passage"}}
    found = again({"split": "test"}, BEFORE, later, unlabeled="text,call,passage,nr,truth\na,b,c,1,x\n")
    assert found == (Mapping("call", context="passage", id="nr", gold="truth"), [])
    assert again({"split": "labeled"}, labeled="a,b\n1,2\n") is None


def test_the_number_of_the_first_option_is_that_of_before() -> None:
    assert count_from([{"split": "labeled"}, {"split": "test", "count_from": 0}]) == 0
    assert count_from([BEFORE]) is None
