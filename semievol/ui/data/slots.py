"""The three slots of the Data page: a file, pasted text, or a file on the server becomes a table, or says why not.

What was read is kept in the session, so that a change of the mapping does not read it again. The bytes lie in the
project's folder under names of ours until they are imported or a day has passed; a new session finds them there.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from semievol.errors import UserError
from semievol.importing.readers.overrides import AS_FOUND, ReadAs
from semievol.importing.readers.read import ENDINGS
from semievol.importing.readers.sandbox import read_contained
from semievol.importing.table import MEGABYTE, Table
from semievol.jobs import intake
from semievol.records import Split
from semievol.store.data import projects
from semievol.store.data.projects import Project
from semievol.ui.data import choices, drafts, reading
from semievol.ui.shell import formats, parts
from semievol.ui.shell.state import Place

SLOTS: dict[Split, str] = {
    "labeled": "With known answers. A few hundred work well.",
    "unlabeled": "Without answers. The model will answer these.",
    "test": "Optional. Known answers, only to judge by.",
}
PASTED = "pasted.txt"


@dataclass(frozen=True)
class Given:
    """What is in a slot. path: our copy; cells: where what is read from it is kept; key: changes with what is given;
    before: it was given in an earlier session."""

    path: Path
    name: str
    key: str
    cells: Path
    sha256: str
    before: bool = False


@dataclass(frozen=True)
class Loaded:
    """What was read from it, as the visitor asked for."""

    given: Given
    table: Table
    asked: ReadAs = AS_FOUND


def slots(here: Place, project: Project) -> tuple[dict[Split, Loaded], list[Split]]:
    """The slots side by side: those that hold a readable table, and those whose file could not be read."""
    kept = _kept(here, project)
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


def occupied(here: Place, project: Project) -> bool:
    """Whether a slot holds something, now or from before."""
    _kept(here, project)
    return any(_holding(split) in st.session_state for split in SLOTS)


def forget() -> None:
    """Empties all slots and forgets what was chosen; the copies go."""
    st.session_state["upload_generation"] += 1
    held = {split: given for split in SLOTS if (given := st.session_state.pop(_holding(split), None))}
    for split, given in held.items():
        drafts.forget(given.path.parent, {split: given.key})
        given.cells.unlink(missing_ok=True)
        given.path.unlink(missing_ok=True)
    st.session_state["uploads"] = {"project": st.session_state["uploads"].get("project")}
    choices.forget()


def _holding(split: Split) -> str:
    """Where the session keeps what is in a slot. Streamlit forgets an upload when its page is left; this does not."""
    return f"holding_{split}"


def _kept(here: Place, project: Project) -> dict[Any, Any]:
    kept: dict[Any, Any] = st.session_state.setdefault("uploads", {})
    generation = st.session_state.setdefault("upload_generation", 0)
    if kept.get("project") != project.id:
        if "project" in kept:  # what was uploaded for another project stays there
            st.session_state["upload_generation"] = generation + 1
            for split in SLOTS:
                st.session_state.pop(_holding(split), None)
            choices.forget()
        kept.clear()
        kept["project"] = project.id
        _restore(incoming(here, project))
    return kept


def _restore(folder: Path) -> None:
    """What an earlier session left in the slots."""
    drafts.sweep(folder)
    for split in SLOTS:
        found = drafts.restored(folder, split)
        if found is not None:
            given, path = found
            held = Given(path, given.name, given.key, path.with_suffix(".arrow"), given.sha256, before=True)
            st.session_state[_holding(split)] = held
            choices.restore(folder)


def _emptied(split: Split) -> None:
    """The slot is empty. The copy stays for a day: it may be on its way into the store."""
    held: Given | None = st.session_state.pop(_holding(split), None)
    if held is not None:
        drafts.forget(held.path.parent, {split: held.key})


def _given(here: Place, project: Project, split: Split) -> Given | None:
    """What the visitor put into the slot."""
    holding, key = _holding(split), f"upload_{split}_{st.session_state['upload_generation']}"

    def changed() -> None:
        if st.session_state.get(key) is None:
            _emptied(split)

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
            held = _copied(here, project, split, file.getvalue(), file.name, file.file_id)
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
            st.text(f"Kept from before: {held.name}" if held.before else held.name)
        with right:
            st.button("Remove", key=f"remove_{split}", on_click=_emptied, args=(split,), width="stretch")
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
            st.session_state[holding] = _copied(here, project, split, raw, PASTED, uuid.uuid4().hex)
            st.rerun()
    if os.environ.get(intake.FOLDERS):
        with st.popover("File on the server", icon=":material/folder_open:", width="stretch"):
            named = st.text_input("Path", key=f"path_{split}", help="In a folder that the operator opened.")
            if st.button("Use this file", key=f"use_path_{split}") and named:
                with parts.errors_shown():
                    path = intake.server_file(named)
                    st.session_state[holding] = _copied(here, project, split, path, path.name, uuid.uuid4().hex)
                    st.rerun()


def _copied(here: Place, project: Project, split: Split, source: bytes | Path, name: str, key: str) -> Given:
    """What was given, under a name of this session's own: another tab may hold and forget the same content."""
    folder = incoming(here, project)
    drafts.sweep(folder)
    path = folder / uuid.uuid4().hex
    if isinstance(source, bytes):
        path.write_bytes(source)
    else:
        shutil.copyfile(source, path)
    given = Given(path, name, key, path.with_suffix(".arrow"), intake.sha256(path))
    drafts.keep(folder, split, drafts.Upload(file=path.name, name=name, key=key, sha256=given.sha256))
    return given


def incoming(here: Place, project: Project) -> Path:
    """Where the copies of what was given lie until they are imported."""
    folder = projects.project_folder(here.store, project.id) / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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
        for source in version.sources:
            if source.get("sha256") == given.sha256:
                return version.number, str(source["split"])
    return None
