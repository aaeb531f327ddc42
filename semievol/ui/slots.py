"""The three slots of the Data page: a file, pasted text, or a file on the server becomes a table, or says why not.

What was read is kept in the session, so that a change of the mapping does not read it again. The bytes lie in the
project's folder under names of ours until they are imported or a day has passed.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from semievol.data.contained import read_contained
from semievol.data.read_as import AS_FOUND, ReadAs
from semievol.data.readers import ENDINGS
from semievol.data.tables import MEGABYTE, Table
from semievol.errors import UserError
from semievol.jobs import intake
from semievol.records import Split
from semievol.store import projects
from semievol.store.projects import Project
from semievol.ui import formats, parts, reading
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
    """What is in a slot. path: our copy; cells: where what is read from it is kept; key: changes with what is given."""

    path: Path
    name: str
    key: str
    cells: Path
    sha256: str


@dataclass(frozen=True)
class Loaded:
    """What was read from it, as the visitor asked for."""

    given: Given
    table: Table
    asked: ReadAs = AS_FOUND


def slots(here: Place, project: Project) -> tuple[dict[Split, Loaded], list[Split]]:
    """The slots side by side: those that hold a readable table, and those whose file could not be read."""
    kept = _kept(project)
    found: dict[Split, Loaded] = {}
    failed: list[Split] = []
    for column, (split, hint) in zip(st.columns(len(SLOTS)), SLOTS.items(), strict=True):
        with column, parts.card(f"slot_{split}", tight=True):
            parts.heading(split.capitalize(), hint)
            given = None
            with parts.errors_shown():
                given = _given(here, project, split)
                if given is None:
                    kept.pop(split, None)
                    continue
                failed.append(split)
                asked = reading.asked(kept, given.key)
                if split not in kept or (kept[split].given.key, kept[split].asked) != (given.key, asked):
                    kept[split] = _loaded(given, asked, kept)
                found[split] = _shown(here, project, kept[split])
                failed.remove(split)
            if given is not None:
                table = found[split].table if split in found else None
                reading.differently(kept, given.key, given.name, table)
    return found, failed


def forget() -> None:
    """Empties all slots; the copies go."""
    st.session_state["upload_generation"] += 1
    for loaded in [entry for entry in st.session_state["uploads"].values() if isinstance(entry, Loaded)]:
        loaded.given.cells.unlink(missing_ok=True)
        loaded.given.path.unlink(missing_ok=True)
    st.session_state["uploads"] = {}
    for split in SLOTS:
        st.session_state.pop(_holding(split), None)


def _holding(split: Split) -> str:
    """Where the session keeps what is in a slot. Streamlit forgets an upload when its page is left; this does not."""
    return f"holding_{split}"


def _kept(project: Project) -> dict[Any, Any]:
    kept: dict[Any, Any] = st.session_state.setdefault("uploads", {})
    generation = st.session_state.setdefault("upload_generation", 0)
    if kept.get("project") != project.id:
        if "project" in kept:  # what was uploaded for another project stays there
            st.session_state["upload_generation"] = generation + 1
            for split in SLOTS:
                st.session_state.pop(_holding(split), None)
            for switch in ("split_off", "hide_gold"):
                st.session_state.pop(switch, None)
        kept.clear()
        kept["project"] = project.id
    return kept


def _given(here: Place, project: Project, split: Split) -> Given | None:
    """What the visitor put into the slot."""
    holding, key = _holding(split), f"upload_{split}_{st.session_state['upload_generation']}"

    def changed() -> None:
        if st.session_state.get(key) is None:
            st.session_state.pop(holding, None)

    file = st.file_uploader(
        f"{split.capitalize()} file",
        type=[ending.lstrip(".") for ending in ENDINGS] + ["gz"],
        key=key,
        label_visibility="collapsed",
        on_change=changed,
    )
    held: Given | None = st.session_state.get(holding)
    if file is not None:
        if held is None or held.key != file.file_id:
            held = _copied(here, project, file.getvalue(), file.name, file.file_id)
            st.session_state[holding] = held
        return held
    _other_ways(here, project, split, held)
    return st.session_state.get(holding)


def _other_ways(here: Place, project: Project, split: Split, held: Given | None) -> None:
    """Pasting, and files on the server where the operator opened a folder; what the slot holds can be removed."""
    holding = _holding(split)
    if held is not None:
        left, right = st.columns([3, 2], vertical_alignment="center")
        with left:
            st.text(held.name)
        with right:
            st.button("Remove", key=f"remove_{split}", on_click=st.session_state.pop, args=(holding,), width="stretch")
        return
    with st.popover("Paste text", icon=":material/content_paste:", width="stretch"):
        text = st.text_area(
            "Rows, with the column names first",
            key=f"paste_{split}",
            height=180,
            placeholder="question,answer\nWhich team takes this?,roads",
            help="CSV, tab-separated cells from a spreadsheet, JSON or JSON Lines.",
        )
        if st.button("Use this text", key=f"use_{split}") and (text or "").strip():
            raw = (text or "").encode("utf-8", "surrogatepass")
            st.session_state[holding] = _copied(here, project, raw, PASTED, uuid.uuid4().hex)
            st.rerun()
    if os.environ.get(intake.FOLDERS):
        with st.popover("File on the server", icon=":material/folder_open:", width="stretch"):
            named = st.text_input("Path", key=f"path_{split}", help="In a folder that the operator opened.")
            if st.button("Use this file", key=f"use_path_{split}") and named:
                with parts.errors_shown():
                    path = intake.server_file(named)
                    st.session_state[holding] = _copied(here, project, path, path.name, uuid.uuid4().hex)
                    st.rerun()


def _copied(here: Place, project: Project, source: bytes | Path, name: str, key: str) -> Given:
    """What was given, under a name of this session's own: another tab may hold and forget the same content."""
    folder = _incoming(here, project)
    for old in _abandoned(folder):
        old.unlink(missing_ok=True)
    path = folder / uuid.uuid4().hex
    if isinstance(source, bytes):
        path.write_bytes(source)
    else:
        shutil.copyfile(source, path)
    return Given(path, name, key, path.with_suffix(".arrow"), intake.sha256(path))


def _incoming(here: Place, project: Project) -> Path:
    folder = projects.project_folder(here.store, project.id) / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _abandoned(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _DAY:
                yield path


def _read(given: Given, asked: ReadAs) -> Table:
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
        return read_contained(given.path, given.name, given.cells, read_as=asked, watch=watch)
    finally:
        bar.empty()


def _loaded(given: Given, asked: ReadAs, kept: dict[Any, Any]) -> Loaded:
    """Reads what was given; what could not be read is not tried again on every rerun."""
    failed: dict[tuple[str, ReadAs], UserError] = kept.setdefault("failed", {})
    if (given.key, asked) in failed:
        raise failed[given.key, asked]
    try:
        return Loaded(given, _read(given, asked), asked)
    except UserError as error:
        failed[given.key, asked] = error
        raise


def _shown(here: Place, project: Project, loaded: Loaded) -> Loaded:
    """What was read: rows, columns, every interpretation."""
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
    for version in reversed(projects.versions(here.store, project.id)):
        for source in version["sources"]:
            if source.get("sha256") == given.sha256:
                return version["number"], str(source["split"])
    return None
