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
from semievol.ui.data import choices

FOUND = ""
_TEXT = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")


def asked(kept: dict[Any, Any], key: str) -> ReadAs:
    """The visitor's choice for the file with this key; everything as detected if there is none."""
    found: ReadAs | None = kept.get("read_as", {}).get(key)
    if found is None:
        before = {name: choices.made(f"{name}_{key}") or None for name in ("sheet", "encoding", "delimiter")}
        found = replace(AS_FOUND, **before)
    return found


def differently(kept: dict[Any, Any], key: str, name: str, table: Table | None) -> None:
    """Draws the choices that this file offers; a change reads the file again. table: None if it could not be read."""
    known = asked(kept, key)
    wished = known
    if table is not None and len(table.sheets) > 1:
        sheets = sorted(table.sheets)
        choices.settle(f"sheet_{key}", table.sheets[0], sheets)
        chosen = st.selectbox("Sheet", sheets, key=f"sheet_{key}")
        wished = known if chosen == table.sheets[0] else replace(known, sheet=chosen)
    elif table is None and known.sheet is not None:
        if st.button("Read the first sheet", key=f"sheet_back_{key}"):
            choices.drop(f"sheet_{key}")
            wished = replace(known, sheet=None)
    elif table.read_as.encoding if table is not None else name.casefold().removesuffix(".gz").endswith(_TEXT):
        wished = _as_text(known, key, table)
    if wished != known:
        kept.setdefault("read_as", {})[key] = wished
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
    choices.settle(key, known or FOUND, options)
    chosen = st.selectbox(label, options, format_func=lambda option: words.get(option, "As detected"), key=key)
    return chosen or None
