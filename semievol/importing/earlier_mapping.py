"""What the columns of new files mean, as it was said for an earlier version: roles by the names of columns.

A few new rows show less than the whole data did, so what they leave open is not guessed anew. Knows nothing of how the
earlier version is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Tables
from dataclasses import replace
from typing import Any

from semievol.errors import UserError
from semievol.importing.forms.unfolding import EARLIER
from semievol.importing.mapping import ROLES, Mapping
from semievol.importing.suggestions import suggest_mapping
from semievol.importing.table import Table
from semievol.records import Split

_GUESSED = ("question", "answer", "options", "id")
"""Roles for which another column is suggested where the earlier one is missing; the others are left out then."""

_WORDS = {"options": "The options are", "gold": "Hidden gold is", "earlier": "Earlier turns are"}


def mapping_again(
    sources: Iterable[Tables[str, Any]], tables: Tables[Split, Table]
) -> tuple[Mapping, list[str]] | None:
    """The earlier mapping for these tables, and a sentence for every role that has another column now; None if nothing
    is known of an earlier one.

    sources: those of the earlier version, see `intake.store_imported`. The mapping may name columns that
    `joined_columns.with_joined` adds to the tables.
    """
    names = {column for table in tables.values() for column in table.columns}
    before = _earlier(sources, names)
    if before is None:
        return None
    names |= {column for column in before.columns() if set(column.split("+")) <= names}  # `joined_columns`
    found = replace(before, choices=before.choices if set(before.choices) <= names else ())
    gone = {role: column for role in ROLES if (column := getattr(before, role)) and column not in names}
    nothing: dict[str, Any] = dict.fromkeys(gone)
    found = replace(found, **nothing)
    if before.choices and not found.choices:
        gone["options"] = ", ".join(before.choices)
    if set(tables) <= {"unlabeled"}:
        gone.pop("answer", None)  # unlabeled records need none
    own = _suggested(tables, found.question) if set(gone) & set(_GUESSED) else Mapping("")
    remarks = []
    for role, column in gone.items():
        instead = getattr(own, role) if role in _GUESSED else None
        if role == "options" and not instead and not set(own.choices) & set(found.columns()):
            found, instead = replace(found, choices=own.choices), ", ".join(own.choices)
        elif instead in found.columns():
            instead = None
        elif instead:
            found = replace(found, **{role: instead})
        now = f'read from "{instead}"' if instead else "not read"
        remarks.append(f'{_WORDS.get(role, f"The {role} is")} {now}: there is no column "{column}".')
    if found.earlier is None and EARLIER in names:
        found = replace(found, earlier=EARLIER)
    return replace(found, question=found.question or ""), remarks


def count_from(sources: Iterable[Tables[str, Any]]) -> int | None:
    """Number of the first option, where answers of the earlier version were numbers; else None."""
    return next((source["count_from"] for source in sources if source.get("count_from") in (0, 1)), None)


def _earlier(sources: Iterable[Tables[str, Any]], names: set[str]) -> Mapping | None:
    """The mapping of the earlier version. Of files that came one after the other, the first says what a role means."""
    roles: dict[str, str] = {}
    for source in sources:
        roles = {**source.get("mapping", {}), **roles}
    if "question" not in roles:
        return None
    options = roles.pop("options", None)
    listed: Sequence[str] = options.split("+") if options and "+" in options and options not in names else ()
    return Mapping(**roles, options=None if listed else options, choices=tuple(listed))


def _suggested(tables: Tables[Split, Table], question: str | None) -> Mapping:
    try:
        return suggest_mapping(tables, question or "")
    except UserError:
        return Mapping("")
