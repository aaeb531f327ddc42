"""Nested passages as readable text: HotpotQA's titles with sentences, lists of paragraphs, objects that hold one list.

Concerns columns that are named like a context or a text. What cannot be read so stays JSON.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from semievol.importing.forms.unfolding import hold, parsed
from semievol.importing.table import Limits, Table

_COLUMNS = ("context", "contexts", "passage", "passages", "paragraphs", "document", "documents", "evidence", "article")
_HELD = ("sentences", "contexts", "paragraphs", "passage_text", "passages", "texts", "text", "content", "context")
_TITLES = ("title", "titles")


def flattened(table: Table, limits: Limits) -> Table:
    """The table with such passages as text; a note names the columns."""
    found: list[str] = []
    cells = table.cells
    for place, name in enumerate(table.columns):
        if name not in table.structure and name.casefold() in _COLUMNS and hold(table, name, _text):
            texts = [_text(cell) or cell for cell in table.column(name)]
            cells = cells.set_column(place, name, pa.array(texts, pa.large_string()))
            found.append(name)
    if not found:
        return table
    named = ", ".join(f'"{name}"' for name in found)
    return replace(table, cells=cells, notes=[*table.notes, f"Nested passages were written as plain text: {named}."])


def _text(cell: str | None) -> str | None:
    """The passage in a cell as text; None where it is none."""
    found = parsed(cell, "[{")
    return None if found is None else _readable(found)


def _readable(value: Any) -> str | None:
    """Paragraphs with an empty line between them, each with its title before it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _of_object(value)
    if not isinstance(value, list) or not value:
        return None
    if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], list):
        return _titled(value[0], value[1])
    parts = [_readable(one) for one in value]
    return None if any(part is None for part in parts) else "\n\n".join(part for part in parts if part)


def _of_object(value: dict[str, Any]) -> str | None:
    name = next((key for key in _HELD if key in value), None)
    if name is None:
        return None
    title = next((value[key] for key in _TITLES if key in value), None)
    body = value[name]
    if isinstance(title, list) and isinstance(body, list) and len(title) == len(body):
        parts = [_titled(str(one), text) for one, text in zip(title, body, strict=True)]
        return None if any(part is None for part in parts) else "\n\n".join(part for part in parts if part)
    return _titled(title, body) if isinstance(title, str) else _readable(body)


def _titled(title: str, body: Any) -> str | None:
    """A title, and under it the sentences of its passage."""
    sentences = [body] if isinstance(body, str) else body
    if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
        return None
    return "\n".join(part for part in (title, " ".join(sentence.strip() for sentence in sentences)) if part)
