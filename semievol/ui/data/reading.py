"""How a file in a slot is read: as detected, or with the sheet, encoding or delimiter that the visitor chooses.

The choice belongs to the uploaded file and is kept beside the table, so that a wrong choice can be undone even if the
file could not be read with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from semievol.importing.readers.overrides import AS_FOUND, DELIMITERS, ENCODINGS, ReadAs
from semievol.importing.table import Table
from semievol.ui.data import unfinished

FOUND = ""
_TEXT = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")


def asked(key: str) -> ReadAs:
    """The visitor's choice for the file with this key; everything as detected if there is none."""
    kept = unfinished.current()
    if key in kept.read_as:
        return kept.read_as[key]
    before: dict[str, Any] = {n: kept.choices.get(f"{n}_{key}") or None for n in ("sheet", "encoding", "delimiter")}
    return replace(AS_FOUND, **before)


def differently(key: str, name: str, table: Table | None) -> None:
    """Draws the choices that this file offers; a change reads the file again. table: None if it could not be read."""
    known = asked(key)
    wished = known
    if table is not None and len(table.sheets) > 1:
        sheets = sorted(table.sheets)
        unfinished.settle(f"sheet_{key}", table.sheets[0], sheets)
        chosen = st.selectbox("Sheet", sheets, key=f"sheet_{key}")
        wished = known if chosen == table.sheets[0] else replace(known, sheet=chosen)
    elif table is None and known.sheet is not None:
        if st.button("Read the first sheet", key=f"sheet_back_{key}"):
            unfinished.drop(f"sheet_{key}")
            wished = replace(known, sheet=None)
    elif table.read_as.encoding if table is not None else name.casefold().removesuffix(".gz").endswith(_TEXT):
        wished = _as_text(known, key, table)
    if wished != known:
        unfinished.current().read_as[key] = wished
        st.rerun()


def _as_text(known: ReadAs, key: str, table: Table | None) -> ReadAs:
    with st.popover("Read differently", icon=":material/translate:", width="stretch"):
        encoding = _choice("Encoding", ENCODINGS, known.encoding, f"encoding_{key}")
        delimiter = known.delimiter
        if table is None or table.read_as.delimiter is not None:
            delimiter = _choice("Columns are separated by", DELIMITERS, delimiter, f"delimiter_{key}")
    return replace(known, encoding=encoding, delimiter=delimiter)


def _choice(label: str, words: Mapping[str, str], known: str | None, key: str) -> str | None:
    options = [FOUND, *words]
    unfinished.settle(key, known or FOUND, options)
    chosen = st.selectbox(label, options, format_func=lambda option: words.get(option, "As detected"), key=key)
    return chosen or None
