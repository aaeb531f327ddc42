"""Which entries of the append-only history of decisions still stand: those that no later entry undoes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from semievol.store import schema

_undoing = schema.decisions.alias("undoing")


def was_undone(decision_id: Any) -> Any:
    """SQL condition: this column names a decision that was taken back; false where it names none."""
    return select(_undoing.c.id).where(_undoing.c.undoes == decision_id).exists()


STANDS = (schema.decisions.c.action != "undo", ~was_undone(schema.decisions.c.id))
"""SQL conditions: the entry is a decision, and was not taken back."""
