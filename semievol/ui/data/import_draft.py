"""An import that is not finished: its files and choices, kept in the session and, for a reload, on disk by `drafts`.

Streamlit forgets uploads and the values of widgets when their page is left. A widget that is drawn after `settle`
begins with the last choice, if it is still among the options.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from semievol.errors import UserError
from semievol.importing.imported import Imported
from semievol.importing.readers.overrides import ReadAs
from semievol.importing.table import Table
from semievol.jobs.intake import TokenLengths
from semievol.records import Split
from semievol.ui.data import drafts
from semievol.ui.shell import session

HIDE_GOLD = "hide_gold"
"""Key of the switch that keeps the answers of the unlabeled file as hidden gold."""


@dataclass(frozen=True)
class Given:
    """The file in a slot. path: our copy; key: identifies the upload; before: it is from an earlier session."""

    path: Path
    name: str
    key: str
    sha256: str
    before: bool = False

    @property
    def cells(self) -> Path:
        """The file for the table that is read from the copy."""
        return self.path.with_suffix(".arrow")


@dataclass(frozen=True)
class Loaded:
    """The table of a slot's file, and how the visitor wants it read."""

    given: Given
    table: Table
    read_as: ReadAs


@dataclass
class Import:
    """What the session keeps of an import. The tables are kept so that a new mapping does not read the files again."""

    project_id: int | None = None
    generation: int = 0  # part of the keys of the upload fields: fields with new keys are empty
    given: dict[Split, Given] = field(default_factory=dict)
    loaded: dict[Split, Loaded] = field(default_factory=dict)
    read_as: dict[str, ReadAs] = field(default_factory=dict)  # key of an upload -> the visitor's choice
    failed: dict[tuple[str, ReadAs], UserError] = field(default_factory=dict)  # files that could not be read
    checked: tuple[Hashable, Imported] | None = None  # the records of all files, and what they were made of
    decided: tuple[Hashable, Imported, TokenLengths | None] | None = None  # the records that remain, and the choices
    choices: dict[str, drafts.Choice] = field(default_factory=dict)  # key of a widget -> its last value
    drawn: set[str] = field(default_factory=set)  # keys of the widgets that were drawn
    boxes: dict[str, str] = field(default_factory=dict)  # "task" or a role -> key of the widget that shows it


def current() -> Import:
    return session.of(Import)


def begin(project_id: int | None) -> Import:
    """Replaces the import by an empty one. Call it before anything is drawn: a drawn widget keeps its value."""
    before = current()
    for key in before.drawn:
        st.session_state.pop(key, None)
    return session.put(Import(project_id, before.generation + (before.project_id is not None)))


def settle(key: str, default: Any, among: Collection[Any] = (True, False)) -> None:
    """Gives the widget of this key its value before it is drawn. among: the options of the widget."""
    kept = current()
    kept.drawn.add(key)
    if key not in st.session_state:
        value = kept.choices.get(key, default)
        st.session_state[key] = value if value in among else default


@contextmanager
def choices_kept(folder: Path) -> Iterator[None]:
    """Wraps all widgets of the import: saves their values in the folder, even if drawing the page ends early."""
    try:
        yield
    finally:
        kept = current()
        made = {key: value for key in kept.drawn if (value := st.session_state.get(key)) is not None}
        if kept.choices | made != kept.choices:
            kept.choices |= made
            drafts.keep_choices(folder, kept.choices)


def drop(key: str) -> None:
    """Forgets one choice. Call it only while its widget is not drawn."""
    st.session_state.pop(key, None)
    current().choices.pop(key, None)
