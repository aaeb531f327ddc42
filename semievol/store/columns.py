"""Column types and recurring columns that the tables are made of."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Column, Double, ForeignKey, Integer, Text, TypeDecorator

as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Json(TypeDecorator[Any]):
    """A small document as compact JSON text; floats survive exactly, NaN and infinities too."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> str | None:
        return None if value is None else as_json(value)

    def process_result_value(self, value: str | None, dialect: object) -> Any:
        return None if value is None else json.loads(value)


def numbered() -> Column[int]:
    """The row's number, given by the database."""
    return Column("id", Integer, primary_key=True, autoincrement=True)


def belongs_to(name: str, target: str, **options: Any) -> Column[int]:
    """The number of the owning row; deleting the owner deletes this row."""
    return Column(name, Integer, ForeignKey(f"{target}.id", ondelete="CASCADE"), **{"nullable": False} | options)


def response() -> list[Column[Any]]:
    """The columns of a model's response, which `responses` and `predictions` share."""
    return [
        Column("input_hash", Text, nullable=False),
        Column("text", Text, nullable=False),
        Column("answer", Text),
        Column("probabilities", Json, nullable=False),
        Column("mass", Double),
        Column("token_logprobs", Json, nullable=False),
        Column("token_entropies", Json, nullable=False),
        Column("exactness", Text, nullable=False),
    ]
