"""Common forms of training data, unfolded to plain columns: chat messages, ShareGPT, Alpaca, SQuAD.

The original columns stay. A table that already has a question and an answer is left as it is. So are our own exports,
which hold both beside the conversation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from semievol.importing.table import Limits, Table, TableWriter

QUESTION, ANSWER = "question", "answer"
_SAMPLE = 50
_ASKS = ("user", "human", "prompter", "question", "instruction")
_ANSWERS = ("assistant", "gpt", "bot", "chatgpt", "model", "answer")
_SPOKEN = {**dict.fromkeys(_ASKS, "User"), **dict.fromkeys(_ANSWERS, "Assistant")}
_REMEDY = "Give it turns with a role and a text, the last question before the answer."


def unfold(table: Table, limits: Limits) -> Table:
    """The table, with the columns `question` and `answer` added where it holds conversations or instructions."""
    names = {column.casefold(): column for column in table.columns}
    if ANSWER not in names:
        for column in table.columns:
            if _hold(table.column(column, _SAMPLE), _span_texts):
                return _unfold_spans(table, column, limits)
    if QUESTION in names:
        return table
    if {"instruction", "output"} <= names.keys():
        return _unfold_alpaca(table, names["instruction"], names.get("input"), limits)
    if ANSWER not in names:
        for column in table.columns:
            if _hold(table.column(column, _SAMPLE), _turns):
                return _unfold_turns(table, column, limits)
    return table


def _unfold_alpaca(table: Table, instruction: str, given: str | None, limits: Limits) -> Table:
    writer = TableWriter(table, [*table.columns, QUESTION], limits)
    at, given_at = table.columns.index(instruction), table.columns.index(given) if given else None
    for number, cells in table.walk(table.columns):
        extra = cells[given_at] if given_at is not None else None
        parts = [part for part in (cells[at], extra) if part and part.strip()]
        writer.add(number, [*cells, "\n\n".join(parts)])
    table.notes.append("The file is in the Alpaca form: the question is the instruction, followed by its input.")
    return writer.finished()


def _unfold_turns(table: Table, column: str, limits: Limits) -> Table:
    writer = TableWriter(table, [*table.columns, QUESTION, ANSWER], limits)
    at = table.columns.index(column)
    for number, cells in table.walk(table.columns):
        turns = _turns(cells[at])
        if turns is None or not any(role in _ASKS for role, _ in turns):
            writer.reject(number, column, cells[at], "The cell holds no conversation with a question.", _REMEDY)
        else:
            writer.add(number, [*cells, *_asked(turns)])
    table.notes.append(f'The column "{column}" holds conversations: the last turn is the answer, if it is one.')
    return writer.finished()


def _unfold_spans(table: Table, column: str, limits: Limits) -> Table:
    writer = TableWriter(table, [*table.columns, ANSWER], limits)
    at = table.columns.index(column)
    several = 0
    for number, cells in table.walk(table.columns):
        texts = _span_texts(cells[at]) or []
        several += len(set(texts)) > 1
        writer.add(number, [*cells, texts[0] if texts else None])
    more = f" {several:,} records have several that differ." if several else ""
    table.notes.append(f'The column "{column}" holds answers with their places in a text; the first is taken.{more}')
    return writer.finished()


def _span_texts(cell: str | None) -> list[str] | None:
    """Texts of an answer in the form of SQuAD, `{"text": […], "answer_start": […]}`; None where it is none."""
    found = _parsed(cell, "{") if cell and "answer_start" in cell else None
    texts = found.get("text") if found else None
    texts = [texts] if isinstance(texts, str) else texts
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else None


def _hold(cells: Sequence[str | None], read: Callable[[str | None], object]) -> bool:
    """Whether nearly all cells that are not blank can be read so."""
    held = [cell for cell in cells if cell and cell.strip()]
    return bool(held) and sum(read(cell) is not None for cell in held) >= 0.8 * len(held)


def _parsed(cell: str | None, opening: str) -> Any:
    """The cell's JSON where it begins with `opening`; None where it is something else."""
    if not cell or cell.lstrip()[:1] != opening:
        return None
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _turns(cell: str | None) -> list[tuple[str, str]] | None:
    """(role, text) of every turn; None where the cell is something else."""
    found = []
    for turn in _parsed(cell, "[") or []:
        if not isinstance(turn, dict):
            return None
        role, text = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if not isinstance(role, str) or not isinstance(text, str):
            return None
        found.append((role.casefold(), text))
    return found or None


def _asked(turns: list[tuple[str, str]]) -> tuple[str, str | None]:
    """Question and answer: a single question as it is, an exchange with the speakers before their turns."""
    answer = turns[-1][1] if turns[-1][0] in _ANSWERS else None
    before = [turn for turn in (turns if answer is None else turns[:-1]) if turn[0] in _SPOKEN]
    if len(before) == 1:
        return before[0][1], answer
    return "\n\n".join(f"{_SPOKEN[role]}: {text}" for role, text in before), answer
