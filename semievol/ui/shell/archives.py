"""Large files: export and import of a whole project, a merged model. The work is done by `semievol.export`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import streamlit as st

from semievol.export import archive, export, restoring
from semievol.store.data.projects import incoming_folder, project_folder
from semievol.ui.shell import notices, parts, router, session, state
from semievol.ui.shell.state import Place


def import_button() -> None:
    """The button that opens the import form: a file and, if the archive's own name is taken, another name.

    `restoring.restore` checks the whole archive before it stores anything.
    """
    with st.popover("Import archive", icon=":material/unarchive:"):
        hint = f"A {archive.ENDING} file made by “Export whole project”."
        file = st.file_uploader("Project archive", type="zip", help=hint)
        name = st.text_input("Name", max_chars=120, placeholder="As in the archive", key="archive_name")
        pressed = st.button("Import project", type="primary", disabled=file is None)
        if not pressed or file is None:
            return
        with parts.errors_shown():
            store = state.open_store()
            with incoming_folder(store) as folder, parts.progress() as watch:
                path = folder / "archive.zip"
                with path.open("wb") as stream:
                    shutil.copyfileobj(file, stream)
                made = restoring.restore(store, path, name.strip() or None, watch)
            notices.say("The project was imported.")
            router.go("overview", project=made.id, round=None)


def export_button(here: Place) -> None:
    """Writes the project's archive on request, then offers it."""
    path = project_folder(here.store, here.project.id) / "exports" / f"project-{here.project.id}{archive.ENDING}"
    exported = session.shell().exported
    if st.button("Export whole project", key=f"prepare_{here.project.id}", width="stretch", icon=":material/archive:"):
        with parts.errors_shown(), parts.progress() as watch:
            _, exported[here.project.id] = archive.write(here.store, here.project, path, overwrite=True, watch=watch)
    if here.project.id not in exported or not path.is_file():
        return
    for sentence in exported[here.project.id]:
        parts.note(sentence)
    _offer(path, f"download_{here.project.id}")


def merged_button(here: Place, name: str, **which: Any) -> None:
    """Merges an adapter into its base on request, then offers the model under this name. which: the adapter, as for
    `export`."""
    path = project_folder(here.store, here.project.id) / "exports" / name
    if st.button("Merged model (ZIP)", key=f"merge_{name}", width="stretch"):
        path.unlink(missing_ok=True)
        with parts.errors_shown(), parts.progress() as watch:
            export(here.store, here.project, "merged", path, watch=watch, **which)
    if path.is_file():
        _offer(path, f"download_{name}")


def _offer(path: Path, key: str) -> None:
    """The download of a file; of a very large one the place in the workspace."""
    size = path.stat().st_size
    if size > parts.LARGEST_DOWNLOAD:
        parts.note(f"At {size / 2**20:,.0f} MB the file is too large to download here. It is in the workspace:")
        st.code(str(path), language=None, wrap_lines=True)
        return
    st.download_button(
        f"Download ({size / 2**20:,.1f} MB)",
        path.read_bytes,
        path.name,
        on_click="ignore",
        width="stretch",
        type="primary",
        key=key,
    )
