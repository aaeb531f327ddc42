"""Backup and restore of the whole workspace. The work is done by `semievol.export.backup`."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import streamlit as st

from semievol.export import backup
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.ui.shell import formats, notices, parts, session

FOLDER = "backups"
WORD = "replace"
_UPLOADED = "a file of mine"


def backups(store: Store) -> None:
    """Making a backup, downloading the newest one, and restoring one."""
    parts.heading(
        "Backup",
        "One file with the database and the files of all projects: records, answers, decisions, adapters, checkpoints "
        "and logs. Keys and passwords are not in it, because the Studio stores none. It may be made while a run works.",
    )
    if store.file is None:
        parts.note("The database is on a server. Its administrator can back it up (pg_dump).")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        if st.button("Make a backup", icon=":material/save:"):
            name = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
            with parts.errors_shown(), parts.progress() as watch:
                backup.write(store, store.home / FOLDER / f"{name}{backup.ENDING}", watch=watch)
        there = sorted((store.home / FOLDER).glob(f"*{backup.ENDING}"), reverse=True)
        if there:
            _newest(there[0], len(there))
    with right, st.expander("Restore a backup"):
        _restore(store, there)


def _newest(path: Path, count: int) -> None:
    size = path.stat().st_size
    others = f" {formats.plural(count - 1, 'older backup')} beside it." if count > 1 else ""
    parts.note(f"Newest backup, {size / 2**20:,.1f} MB.{others} It is in the workspace:")
    st.code(str(path), language=None, wrap_lines=True)
    if size <= parts.LARGEST_DOWNLOAD:
        st.download_button("Download the newest backup", path.read_bytes, path.name, on_click="ignore")


def _restore(store: Store, there: list[Path]) -> None:
    """Replaces the workspace after a typed confirmation; what was there is kept."""
    names = {path.name: path for path in there}
    chosen = st.selectbox("Backup", [*names, _UPLOADED], key="restore_from")
    file = st.file_uploader("Backup file", type="zip", key="restore_file") if chosen == _UPLOADED else None
    here = projects.list_projects(store, archived=True)
    typed = WORD
    if here:
        parts.note(
            f"The backup takes the place of everything here ({formats.plural(len(here), 'project')}). What is here now "
            f"is kept in the workspace's folder {backup.KEPT}."
        )
        typed = st.text_input(f"Type “{WORD}” to confirm", key="restore_confirmed") or ""
    ready = typed.strip().lower() == WORD and (file is not None or chosen != _UPLOADED)
    if not st.button("Restore", type="primary", disabled=not ready, icon=":material/settings_backup_restore:"):
        return
    with parts.errors_shown():
        with projects.incoming_folder(store) as folder, parts.progress() as watch:
            path = names.get(chosen or "") or folder / f"uploaded{backup.ENDING}"
            if file is not None:
                with path.open("wb") as stream:
                    shutil.copyfileobj(file, stream)
            kept = backup.restore(store, path, replace=bool(here), watch=watch)
        st.cache_data.clear()  # the caches of the pages are keyed by ids, which now mean something else
        st.cache_resource.clear()
        session.shell().project_id = None
        st.query_params.clear()
        before = f" What was there is kept in {backup.KEPT}/{kept.name}." if kept else ""
        notices.say(f"The backup was restored.{before}")
        st.rerun()
