"""Export and import of a whole project as one file. The work is done by `semievol.export`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from semievol.export import archive, restoring
from semievol.importing.near_duplicates import Watch
from semievol.store.data.projects import Project, incoming_folder, project_folder
from semievol.ui.shell import notices, parts, router, state
from semievol.ui.shell.state import Place

_LARGEST_DOWNLOAD = 500 * 2**20  # a browser's download goes through this process's memory


def bring() -> None:
    """The button that opens the import form: a file and, if the archive's own name is taken, another name."""
    with st.popover("Import archive", icon=":material/unarchive:"):
        _bring()


def _bring() -> None:
    """The form. `restoring.restore` checks the whole archive before it stores anything."""
    told = f"A {archive.ENDING} file made by “Export whole project”."
    brought = st.file_uploader("Project archive", type="zip", help=told)
    name = st.text_input("Name", max_chars=120, placeholder="As in the archive", key="archive_name")
    if not st.button("Import project", type="primary", disabled=brought is None) or brought is None:
        return
    with parts.errors_shown():
        store = state.open_store()
        with incoming_folder(store) as folder, _progress() as watch:
            path = folder / "archive.zip"
            with path.open("wb") as stream:
                shutil.copyfileobj(brought, stream)
            made = restoring.restore(store, path, name.strip() or None, watch)
        notices.say("The project was imported.")
        router.go("overview", project=made.id, round=None)


def take(here: Place, project: Project) -> None:
    """Writes the project's archive on request, then offers it."""
    path = project_folder(here.store, project.id) / "exports" / f"project-{project.id}{archive.ENDING}"
    ready = f"exported_{project.id}"
    if st.button("Export whole project", key=f"prepare_{project.id}", width="stretch", icon=":material/archive:"):
        with parts.errors_shown(), _progress() as watch:
            _, st.session_state[ready] = archive.write(here.store, project, path, overwrite=True, watch=watch)
    if ready not in st.session_state or not path.is_file():
        return
    for sentence in st.session_state[ready]:
        parts.note(sentence)
    size = path.stat().st_size
    if size > _LARGEST_DOWNLOAD:
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
        key=f"download_{project.id}",
    )


@contextmanager
def _progress() -> Iterator[Watch]:
    """Shows a progress bar while the block runs. If the visitor leaves the page, the work stops and undoes itself."""
    bar = st.progress(0.0)

    def watch(what: str, done: int, total: int) -> None:
        bar.progress(min(1.0, done / max(total, 1)), what)

    try:
        yield watch
    finally:
        bar.empty()
