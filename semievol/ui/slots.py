"""The three slots of the Data page: a file, pasted text, or a file on the server becomes a table, or says why not.

What was read is kept in the session, so that a change of the mapping does not read it again. The bytes lie in the
project's folder under names of ours until they are imported or a day has passed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from semievol.data.contained import read_contained
from semievol.data.readers import ENDINGS
from semievol.data.tables import MEGABYTE, Table
from semievol.errors import UserError
from semievol.jobs import intake
from semievol.records import Split
from semievol.store import projects
from semievol.store.projects import Project
from semievol.ui import formats, parts
from semievol.ui.state import Place

SLOTS: dict[Split, str] = {
    "labeled": "With known answers. A few hundred work well.",
    "unlabeled": "Without answers. The model will answer these.",
    "test": "Optional. Known answers, only to judge by.",
}
PASTED = "pasted.txt"
_DAY = 24 * 3600


@dataclass(frozen=True)
class Given:
    """What is in a slot. path: our copy, or the server's own file; cells: where what is read from it is kept.
    key: changes with the content."""

    path: Path
    name: str
    key: str
    cells: Path
    ours: bool = True


@dataclass(frozen=True)
class Loaded:
    """What was read from it."""

    given: Given
    table: Table


def slots(here: Place, project: Project) -> dict[Split, Loaded]:
    """The slots side by side; those that hold a readable table."""
    kept = _kept(project)
    found: dict[Split, Loaded] = {}
    for column, (split, hint) in zip(st.columns(len(SLOTS)), SLOTS.items(), strict=True):
        with column, parts.card(f"slot_{split}", tight=True):
            parts.heading(split.capitalize(), hint)
            with parts.errors_shown():
                given = _given(here, project, split, kept.get(split))
                if given is None:
                    kept.pop(split, None)
                    continue
                if split not in kept or kept[split].given.key != given.key:
                    kept[split] = _loaded(given, kept)
                found[split] = _shown(here, project, split, kept)
    return found


def forget() -> None:
    """Empties all slots; the copies go."""
    st.session_state["upload_generation"] += 1
    for loaded in [entry for entry in st.session_state["uploads"].values() if isinstance(entry, Loaded)]:
        loaded.given.cells.unlink(missing_ok=True)
        if loaded.given.ours:
            loaded.given.path.unlink(missing_ok=True)
    st.session_state["uploads"] = {}
    for split in SLOTS:
        st.session_state.pop(f"other_{split}", None)


def _kept(project: Project) -> dict[Any, Any]:
    kept: dict[Any, Any] = st.session_state.setdefault("uploads", {})
    if kept.get("project") != project.id:
        kept.clear()
        kept["project"] = project.id
        for split in SLOTS:
            st.session_state.pop(f"other_{split}", None)
    return kept


def _given(here: Place, project: Project, split: Split, before: Loaded | None) -> Given | None:
    """What the visitor put into the slot: an uploaded file goes before what was pasted or named.

    before: what the slot held; the same upload is not written and hashed again.
    """
    generation = st.session_state.setdefault("upload_generation", 0)
    file = st.file_uploader(
        f"{split.capitalize()} file",
        type=[ending.lstrip(".") for ending in ENDINGS] + ["gz"],
        key=f"upload_{split}_{generation}",
        label_visibility="collapsed",
    )
    if file is not None:
        st.session_state.pop(f"other_{split}", None)
        if before is not None and before.given.key == file.file_id:
            return before.given
        path = _own_copy(here, project, file.getvalue())
        return Given(path, file.name, file.file_id, path.with_suffix(".arrow"))
    _other_ways(here, project, split)
    return st.session_state.get(f"other_{split}")


def _other_ways(here: Place, project: Project, split: Split) -> None:
    """Pasting, and files on the server where the operator opened a folder."""
    other = f"other_{split}"
    if other in st.session_state:
        left, right = st.columns([3, 2], vertical_alignment="center")
        with left:
            st.text(st.session_state[other].name)
        with right:
            st.button("Remove", key=f"remove_{split}", on_click=st.session_state.pop, args=(other,), width="stretch")
        return
    with st.popover("Paste text", icon=":material/content_paste:", width="stretch"):
        text = st.text_area(
            "Rows, with the column names first",
            key=f"paste_{split}",
            height=180,
            placeholder="question,answer\nWhich team takes this?,roads",
            help="CSV, tab-separated cells from a spreadsheet, JSON or JSON Lines.",
        )
        if st.button("Use this text", key=f"use_{split}", disabled=not (text or "").strip()):
            path = _own_copy(here, project, (text or "").encode("utf-8", "surrogatepass"))
            st.session_state[other] = Given(path, PASTED, path.name, path.with_suffix(".arrow"))
            st.rerun()
    if os.environ.get(intake.FOLDERS):
        with st.popover("File on the server", icon=":material/folder_open:", width="stretch"):
            named = st.text_input("Path", key=f"path_{split}", help="In a folder that the operator opened.")
            pressed = st.button("Use this file", key=f"use_path_{split}", disabled=not named)
        if pressed:
            path = intake.server_file(named or "")
            key = f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}"
            cells = _incoming(here, project) / f"{hashlib.sha256(key.encode()).hexdigest()}.arrow"
            st.session_state[other] = Given(path, path.name, key, cells, ours=False)
            st.rerun()


def _own_copy(here: Place, project: Project, raw: bytes) -> Path:
    folder = _incoming(here, project)
    path = folder / hashlib.sha256(raw).hexdigest()
    if not path.exists() or path.stat().st_size != len(raw):
        for old in _abandoned(folder):
            old.unlink(missing_ok=True)
        with path.with_suffix(".part").open("wb") as stream:
            stream.write(raw)
        path.with_suffix(".part").replace(path)
    return path


def _incoming(here: Place, project: Project) -> Path:
    folder = projects.project_folder(here.store, project.id) / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _abandoned(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _DAY:
                yield path


def _read(given: Given, sheet: str | None = None) -> Table:
    """Reads in a process of its own, with a bar for what takes longer."""
    size = max(1, given.path.stat().st_size)
    bar = st.progress(0.0, "Reading")
    began = time.monotonic()

    def watch(position: int) -> None:
        share = min(1.0, position / size)
        left = formats.duration((time.monotonic() - began) * (1 - share) / share) if share > 0.02 else ""
        told = f"Reading: {position / MEGABYTE:,.0f} of {size / MEGABYTE:,.0f} MB" + (f", {left} left" if left else "")
        bar.progress(share, told)

    try:
        return read_contained(given.path, given.name, given.cells, sheet=sheet, watch=watch)
    finally:
        bar.empty()


def _loaded(given: Given, kept: dict[Any, Any]) -> Loaded:
    """Reads what was given; what could not be read is not tried again on every rerun."""
    failed: dict[str, UserError] = kept.setdefault("failed", {})
    if given.key in failed:
        raise failed[given.key]
    try:
        return Loaded(given, _read(given))
    except UserError as error:
        failed[given.key] = error
        raise


def _shown(here: Place, project: Project, split: Split, kept: dict[Any, Any]) -> Loaded:
    """What was read: rows, columns, every interpretation; another sheet where there are several."""
    loaded: Loaded = kept[split]
    if len(loaded.table.sheets) > 1:
        sheets = sorted(loaded.table.sheets)
        chosen = st.selectbox("Sheet", sheets, sheets.index(loaded.table.sheets[0]), key=f"sheet_{loaded.given.key}")
        if chosen != loaded.table.sheets[0]:
            kept[split] = loaded = Loaded(loaded.given, _read(loaded.given, chosen))
    table = loaded.table
    rejected = f", {len(table.rejected):,} unreadable" if table.rejected else ""
    parts.note(f"{formats.plural(table.physical, 'row')}, {len(table.columns)} columns{rejected}")
    st.text(table.form)
    for remark in table.notes:
        st.text(remark)
    known = _same_file(here, project, loaded.given)
    if known is not None:
        parts.note(f"This is the very file of the {known[1]} data of version {known[0]}.")
    return loaded


def _same_file(here: Place, project: Project, given: Given) -> tuple[int, str] | None:
    """Newest version and split that were imported from the same bytes."""
    digest = given.path.name if given.ours else None
    for version in reversed(projects.versions(here.store, project.id)):
        for source in version["sources"]:
            if digest is not None and source.get("sha256") == digest:
                return version["number"], str(source["split"])
    return None
