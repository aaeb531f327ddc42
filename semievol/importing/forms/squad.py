"""SQuAD: answers with their places in a passage, and the nested articles of the original files.

An answer is the first text of `{"text": […], "answer_start": […]}`. An article becomes a row for each of its questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from semievol.importing.forms.unfolding import ANSWER, QUESTION, free_name, hold, parsed, written
from semievol.importing.table import Limits, Table

_NO_ANSWER = "Questions that the passage cannot answer have no answer."


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with `answer`; None where it is not in this form."""
    if "paragraphs" in table.columns and hold(table, "paragraphs", _asked):
        return _unfold_articles(table, limits)
    if ANSWER in {column.casefold() for column in table.columns}:
        return None
    column = next((name for name in table.columns if hold(table, name, _texts)), None)
    if column is None:
        return None
    several = 0

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        nonlocal several
        texts = _texts(cells[column]) or []
        several += len(set(texts)) > 1
        yield [texts[0] if texts else None]

    new = written(table, [ANSWER], read, limits)
    more = f" {several:,} records have several that differ." if several else ""
    new.notes.append(f'The column "{column}" holds answers with their places in a text; the first is taken.{more}')
    return new


def _unfold_articles(table: Table, limits: Limits) -> Table:
    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        return _asked(cells["paragraphs"]) or []

    own = {
        name: free_name(table, f"article {name}")
        for name in table.columns
        if name in ("id", "context", QUESTION, ANSWER)
    }
    new = written(table, ["id", "context", QUESTION, ANSWER], read, limits, renamed=own)
    new.structure = ["paragraphs"]
    new.notes.append(f"The file is in the form of SQuAD: every question of an article is a record. {_NO_ANSWER}")
    return new


def _asked(cell: str | None) -> list[tuple[str | None, str, str, str | None]] | None:
    """Id, passage, question and first answer of every question of an article; None where the cell is something else."""
    found: list[tuple[str | None, str, str, str | None]] = []
    try:
        for paragraph in parsed(cell, "["):
            for question in paragraph["qas"]:
                answers = question.get("answers") or []
                answer = None if question.get("is_impossible") or not answers else str(answers[0]["text"])
                named = None if question.get("id") is None else str(question["id"])
                found.append((named, str(paragraph["context"]), str(question["question"]), answer))
    except (TypeError, KeyError, AttributeError, IndexError):
        return None
    return found


def _texts(cell: str | None) -> list[str] | None:
    """Texts of an answer, `{"text": […], "answer_start": […]}` or a list of such; None where it is none."""
    found: Any = parsed(cell, "[{") if cell and "answer_start" in cell else None
    if isinstance(found, list) and found and all(isinstance(one, dict) for one in found):
        found = {"text": [one.get("text") for one in found]}
    texts = found.get("text") if isinstance(found, dict) else None
    texts = [texts] if isinstance(texts, str) else texts
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else None
