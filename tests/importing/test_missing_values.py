"""NA in a file: no value where the quotation marks tell, else a label that a person is asked about."""

from __future__ import annotations

import pytest

from semievol.errors import UserError
from semievol.importing.findings import Finding
from semievol.importing.imported import Imported
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from semievol.jobs.intake import prepare

LABELS = ["good", "bad", "so so"] * 4


def file(labels: list[str], header: str = '"","text","label"', word: str = "words") -> Table:
    lines = [header, *(f'"{i}","some {word}, number {i}",{label}' for i, label in enumerate(labels, 3))]
    return read_table("\r\n".join(lines).encode(), "data.csv")


def imported(labeled: Table, pool: list[str], **options: object) -> Imported:
    return prepare({"labeled": labeled, "unlabeled": file(pool, word="others")}, **options)  # type: ignore[arg-type]


def found(result: Imported) -> dict[str, Finding]:
    return {one.kind: one for one in result.findings}


@pytest.mark.parametrize("written", ["NA", "NULL", "#N/A"])
def test_a_bare_cell_among_quoted_ones_is_no_value(written: str) -> None:
    labeled = file([*(f'"{label}"' for label in LABELS), written, written])
    result = imported(labeled, [written] * 6)
    assert result.task.labels == ("bad", "good", "so so")
    assert (result.report["labeled"].accepted, result.report["labeled"].rejected) == (12, 2)
    assert "unlabeled_answers" not in found(result)
    told = found(result)["missing_values"]
    assert (told.count, told.asks, told.counts) == (2, True, {"labeled": 2})
    assert [one["row"] for one in told.examples] == [14, 15]


def test_a_quoted_na_is_a_label() -> None:
    result = imported(file([*(f'"{label}"' for label in LABELS), '"NA"', '"NA"']), ['"bad"'] * 3)
    assert result.task.labels == ("bad", "good", "so so", "NA")
    assert "missing_values" not in found(result)


def test_a_bare_na_among_bare_numbers_is_no_value_in_a_file_of_quoted_texts() -> None:
    result = imported(file([*map(str, range(100, 124)), "NA"]), ["NA"] * 3)
    assert (result.task.kind, result.report["labeled"].rejected) == ("numeric", 1)


def test_where_quotation_marks_do_not_tell_a_person_is_asked() -> None:
    labeled = file([*LABELS, "NA", "NA"], header="number,text,label")
    result = imported(labeled, ["bad"] * 3)
    assert "NA" in result.task.labels
    told = found(result)["missing_labels"]
    assert (told.count, told.asks, told.option) == (2, True, '--labels "bad,good,so so"')
    with pytest.raises(UserError, match="missing_labels"):
        imported(labeled, ["bad"] * 3, strict=True)
    named = imported(labeled, ["bad"] * 3, labels="bad,good,so so")
    assert (named.report["labeled"].rejected, "missing_labels" in found(named)) == (2, False)


def test_lines_inside_cells_do_not_move_the_rows() -> None:
    head = 'sep=,\n"text","label"\n"a\nb, c","good"\n"d ""e"", f",NA\n\n'
    text = head + "".join(f'"text {i}","{"good" if i % 2 else "bad"}"\n' for i in range(8))
    table = read_table(text.encode(), "data.csv")
    assert table.column("label", 3) == ["good", None, "bad"]
    assert [one.examples for one in table.doubts] == [((5, "NA"),)]


def test_values_that_no_labeled_record_has_are_not_offered_as_answers() -> None:
    result = imported(file(LABELS, header="number,text,label"), ["bad", "-1", "-1", "-1"])
    assert found(result)["unlabeled_answers"].count == 1
    assert found(result)["unknown_answers"].count == 3
    assert "-1" in found(result)["unknown_answers"].what
