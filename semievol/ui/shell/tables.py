"""Tables and figures of the pages. Text cells stay text, and a long table is shown one page at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from semievol.ui.shell import session

PAGE = 100
QUESTION = 210
"""Least pixels of a question. More would push the columns after it off a screen of 1280 pixels."""
NAMED = 4
"""Most headings that a table's name for screen readers is made of."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(
    frame: pd.DataFrame,
    key: str,
    names: dict[str, str] | None = None,
    widths: Mapping[str, int] | None = None,
    forms: Mapping[str, str] | None = None,
    **options: Any,
) -> Any:
    """Draws a table. names: column -> heading; only these columns are shown, in this order.

    widths: column -> minimum width in pixels. Longer text is cut with an ellipsis; spare width is shared out. forms:
    column of floats -> how it is written, as in `printf`; by default with three decimals.
    """
    least: dict[str, Any] = {"question": QUESTION, "Question": QUESTION, **(widths or {})}
    columns = names or {str(column): str(column) for column in frame.columns}
    shown = frame[list(columns)].copy()
    config: dict[str, Any] = {}
    for column, heading in columns.items():
        kind, width = shown[column].dtype, least.get(column)
        if pd.api.types.is_bool_dtype(kind):
            config[column] = st.column_config.CheckboxColumn(heading, width=width)
        elif pd.api.types.is_float_dtype(kind):
            shown[column] = shown[column].round(3)  # the table's own CSV has the numbers as they are
            form = (forms or {}).get(column, "%.3f")
            config[column] = st.column_config.NumberColumn(heading, width=width, format=form)
        elif pd.api.types.is_integer_dtype(kind):
            config[column] = st.column_config.NumberColumn(heading, width=width, format="localized")
        else:
            # A text column: whatever a cell holds, it never becomes a link or Markdown.
            shown[column] = shown[column].astype(object).where(shown[column].notna(), "")
            config[column] = st.column_config.TextColumn(heading, width=width)
    options.setdefault("hide_index", True)
    options.setdefault("alt", f"Table: {', '.join(list(columns.values())[:NAMED])}")
    return st.dataframe(shown, column_config=config, key=key, **options)


def offset_of(key: str, size: int) -> int:
    """The offset of the page shown, before its pager is drawn."""
    named = st.session_state.get(key) or st.query_params.get(key, "1")
    return (max(1, int(named)) - 1) * size if str(named).isdecimal() else 0


def pages_of(total: int, key: str, size: int = PAGE, addressed: bool = False) -> int:
    """Draws the pager of a table with several pages; returns the offset of the page shown.

    addressed: the address holds the number of the page, under `key`.
    """
    pages = max(1, math.ceil(total / size))
    if pages == 1:
        return 0
    if st.session_state.get(key, 1) > pages:
        st.session_state[key] = pages
    # Among other elements of a row it would take the room of one page only, and look as if there was no other.
    width = max(180, 36 * (min(pages, 8) + 2))
    bind: Any = "query-params" if addressed else None
    return (st.pagination(pages, key=key, width=width, bind=bind) - 1) * size


def pick(
    frame: pd.DataFrame,
    key: str,
    names: dict[str, str] | None = None,
    widths: Mapping[str, int] | None = None,
    **options: Any,
) -> int | None:
    """Draws a table in which one row can be selected; returns its position, None if none is selected."""
    state = table(frame, key, names, widths, on_select="rerun", selection_mode="single-row", **options)
    rows = [int(row) for row in state.selection.rows if row < len(frame)] if state else []
    return rows[0] if rows else None


def pick_several(frame: pd.DataFrame, key: str, names: dict[str, str] | None = None, **options: Any) -> list[int]:
    """Draws a table in which rows can be ticked; returns their positions."""
    state = table(frame, key, names, on_select="rerun", selection_mode="multi-row", **options)
    return [int(row) for row in state.selection.rows if row < len(frame)] if state else []


def figure(chart: go.Figure, key: str, alt: str, height: int = 280) -> None:
    """Draws a Plotly figure at this height, in our own theme. alt: its name for screen readers, our own words."""
    chart.update_layout(height=height)
    st.plotly_chart(chart, theme=None, key=key, config={"displayModeBar": False}, alt=alt)


def fetch_libraries() -> None:
    """Draws an invisible table and figure once per session, after everything visible.

    The browser then loads the libraries that draw them while the visitor reads the first page, not when a page with a
    table or a figure is opened: Plotly alone blocks a tab for 0.7 s, once. Drawn before the page, they would delay it
    by 1.4 s. A page that stops early (`st.stop`) skips this, and so does every page with SEMIEVOL_FETCH_AHEAD=no: tests
    in a browser open many sessions, and few of them get to a figure.
    """
    kept = session.shell()
    if not kept.libraries_fetched and os.environ.get("SEMIEVOL_FETCH_AHEAD") != "no":
        kept.libraries_fetched = True
        with st.container(key="unseen"):
            st.dataframe(pd.DataFrame(), key="unseen_table", alt="Unseen")
            st.plotly_chart(go.Figure(), key="unseen_figure", alt="Unseen")


def spreadsheet(frame: pd.DataFrame) -> bytes:
    """CSV for a spreadsheet program. A text cell that it would read as a formula gets an apostrophe in front."""
    safe = frame.copy()
    for column in safe.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in safe.dtypes]]:
        safe[column] = safe[column].map(lambda v: f"'{v}" if isinstance(v, str) and v[:1] in FORMULA else v)
    return safe.to_csv(index=False).encode("utf-8-sig")
