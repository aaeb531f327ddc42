"""Columns that could have been taken instead of those of a mapping, and columns that it leaves out though they say
something."""

from __future__ import annotations

import re
from collections.abc import Mapping as Tables

from semievol.importing import column_names
from semievol.importing.column_cells import COMPARED, LOOKED_AT, SHORT_TEXT, are_texts, may_be_labels
from semievol.importing.forms.unfolding import QUESTION, hold, looks_nested
from semievol.importing.mapping import Mapping
from semievol.importing.only_labeled import are_dates, has_values, only_labeled
from semievol.importing.rendered import renders
from semievol.importing.table import Table
from semievol.records import Split

_NAMELESS = re.compile(r"column \d+")
"""The name of a column in a file that has no names."""
_OUTPUTS = ("response", "output", "completion")
"""What a model said: the answer, or, beside another answer, what was judged."""
_FEW_WORDS, _MOSTLY, _SOME = 4, 0.8, 0.3
_TOOLS = ("tools", "functions")
"""Fields of a conversation that define what the model may call."""
_SENTENCE = re.compile(r'"(?:[^"\\ ]+ ){3,}[^"\\]*"')
"""A text of four words or more inside JSON."""


def unused_columns(tables: Tables[Split, Table], mapping: Mapping) -> list[str]:
    """Columns of texts, or of nested JSON, that no role uses, or that hold the words that are asked about; not those
    whose text is part of the question or the answer, or both, and not remarks about the labeling. First come those
    named like a question, a passage or a model's output."""
    table = (tables.get("labeled") or next(iter(tables.values()))).plain
    if mapping.question not in table.columns:
        return []
    known = [mapping.question, *(c for c in (mapping.context, mapping.answer) if c in table.columns)]
    rows = zip(*(table.column(column, COMPARED) for column in known), strict=True)
    asked = ["\n".join(cell or "" for cell in row) for row in rows]
    found: list[str] = []
    unnamed: list[str] = []
    for column in table.columns:
        judged = any(word in _OUTPUTS for word in column_names.words(column))
        named = judged or any(column_names.rank(column, role) is not None for role in ("question", "context"))
        named = named or _NAMELESS.fullmatch(column) is not None
        if column in mapping.columns() or column_names.rank(column, "id") is not None:
            continue
        if not named and (column_names.is_about_labeling(column) or column_names.is_remark(column)):
            continue
        pairs = zip(table.column(column, COMPARED), asked, strict=True)
        beside = [(cell, text) for cell, text in pairs if cell and cell.strip()]
        cells = [cell for cell, _ in beside]
        inside = sum(cell[:COMPARED] in text for cell, text in beside)
        if hold(table, column, looks_nested):
            texts = column.casefold() not in _TOOLS and hold(table, column, _holds_sentence, _SOME)
        else:
            texts = are_texts(cells)
        texts = texts and inside < 0.9 * len(cells)
        if texts and not are_dates(cells) and not renders(table, column, mapping.question, mapping.answer):
            (found if named else unnamed).append(column)
    found += unnamed
    return found + [column for column in asked_about(tables, mapping) if column not in found]


def _holds_sentence(cell: str) -> re.Match[str] | None:
    return None if looks_nested(cell) is None else _SENTENCE.search(cell)


def asked_about(tables: Tables[Split, Table], mapping: Mapping) -> list[str]:
    """Columns of a few words that all files have and no role uses, and that nearly always stand in the question or its
    context: what is asked about them (`word` of WiC, `aspect`)."""
    table = (tables.get("labeled") or next(iter(tables.values()))).plain
    texts = [column for column in (mapping.question, mapping.context) if column in table.columns]
    rows = zip(*(table.column(column, COMPARED) for column in texts), strict=True)
    whole = ["\n".join(cell or "" for cell in row) for row in rows]
    found = []
    for column in table.columns:
        named = any(column_names.rank(column, role) is not None for role in ("id", "question", "context"))
        if named or column_names.is_about_labeling(column) or column in mapping.columns():
            continue
        pairs = zip(table.column(column, COMPARED), whole, strict=True)
        beside = [(cell.strip(), text) for cell, text in pairs if cell and cell.strip()]
        few = all(len(cell.split()) <= _FEW_WORDS and len(cell) > 1 and not cell.isnumeric() for cell, _ in beside)
        inside = sum(cell != text.strip() and _has_words(text, cell) for cell, text in beside)
        varied = few and len({cell for cell, _ in beside}) > 1 and inside >= _MOSTLY * len(beside)
        if varied and all(has_values(other, column) for other in tables.values()):
            found.append(column)
    return found


def _has_words(text: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words.casefold())}(?!\w)", text.casefold()) is not None


def answer_candidates(tables: Tables[Split, Table], mapping: Mapping) -> list[str]:
    """Columns that could be the answer as well as the one that was taken by its content, without a name that says so;
    itself among them. Those that only the labeled file fills come first. Empty where its name says so, or where there
    is no other."""
    table, answer = tables["labeled"].plain, mapping.answer
    if answer not in table.columns or mapping.choices or mapping.options:
        return []
    if spent := _without_meaning_in_the_pool(tables, mapping):
        return [answer, *spent]
    evidence = only_labeled({split: one.plain for split, one in tables.items()})
    if column_names.rank(answer, "answer") is not None and (not column_names.is_detail(answer) or answer in evidence):
        return []
    found = [column for column in evidence if column == answer or column not in mapping.columns()]
    for column in table.columns:
        cells = [cell for cell in table.column(column, LOOKED_AT) if cell and cell.strip()]
        free = column not in found and (column == answer or column not in mapping.columns())
        if free and column_names.rank(column, "id") is None and may_be_labels(cells) and len(set(cells)) > 1:
            found.append(column)
    return found if any(column != answer for column in found) else []


def _without_meaning_in_the_pool(tables: Tables[Split, Table], mapping: Mapping) -> list[str]:
    """Where the unlabeled file also fills the answer that was taken, with several values: columns like labels that vary
    in the labeled file and have one value, or none, in the unlabeled one. There they may be what is asked for."""
    labeled, pool = tables["labeled"].plain, tables["unlabeled"].plain if "unlabeled" in tables else None
    if pool is None or mapping.answer not in pool.columns or len(_values(pool, mapping.answer)) < 2:
        return []
    found = []
    for column in labeled.columns:
        cells = [cell for cell in labeled.column(column, LOOKED_AT) if cell and cell.strip()]
        free = column not in mapping.columns() and column_names.rank(column, "id") is None
        varied = free and may_be_labels(cells) and len(set(cells)) > 1
        if varied and column in pool.columns and len(_values(pool, column)) < 2:
            found.append(column)
    return found


def _values(table: Table, column: str) -> set[str]:
    return {cell for cell in table.column(column, LOOKED_AT) if cell and cell.strip()}


def question_candidates(tables: Tables[Split, Table], mapping: Mapping) -> list[str]:
    """Other columns of texts that could be the question as well as the one that was taken by its length; [] where its
    name says that it is the question."""
    question, first = mapping.question, (tables.get("labeled") or next(iter(tables.values()))).plain
    if question not in first.columns or _NAMELESS.fullmatch(question) or question == QUESTION:
        return []
    if column_names.rank(question, "question") is not None and not column_names.is_remark(question):
        return []
    free = [column for column in first.columns if column not in mapping.columns()]
    free = [column for column in free if all(has_values(table, column) for table in tables.values())]
    texts = {c: [v for v in first.column(c, LOOKED_AT) if v and v.strip()] for c in free}
    texts = {c: cells for c, cells in texts.items() if 2 * sum(len(cell.split()) > 1 for cell in cells) >= len(cells)}
    return [c for c, cells in texts.items() if are_texts(cells, SHORT_TEXT) and not are_dates(cells)]
