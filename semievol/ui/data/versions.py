"""The dataset versions of a project: what changed from one to the next, and a button to use another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol.store.data.projects import Project
from semievol.store.data.versions import Version, changes, use_version
from semievol.store.database import open_store
from semievol.store.runs import rounds
from semievol.ui.shell import formats, notices, parts, state, tables
from semievol.ui.shell.state import Place


def versions(here: Place, project: Project, known: Sequence[Version]) -> None:
    """The table of versions, oldest first, and the button that changes which one is in use."""
    lines = []
    for before, version in zip([None, *known], known, strict=False):
        told = "first version" if before is None else _changes(here, before, version)
        lines.append(
            {
                "number": version.number,
                "used": "in use" if version.id == project.version_id else "",
                "created": formats.moment(version.created),
                "records": sum(version.counts.values()),
                "changes": told,
                "files": ", ".join(_file(source) for source in version.sources),
            }
        )
    names = {"number": "Version", "used": "In use", "created": "Imported", "records": "Records"}
    tables.table(pd.DataFrame(lines), "versions", names | {"changes": "Compared with the one before", "files": "Files"})
    if len(known) > 1:
        _another(here, project, known)


def _another(here: Place, project: Project, known: Sequence[Version]) -> None:
    """Choosing another version: its differences from the current one, and the button that puts it in use."""
    others = {version.number: version for version in reversed(known) if version.id != project.version_id}
    in_use = next(version for version in known if version.id == project.version_id)
    left, middle, right = st.columns([2, 6, 3], vertical_alignment="bottom")
    with left:
        number = st.selectbox("Another version", list(others), key=f"other_version_{project.version_id}")
    wanted = others[number]
    with middle:
        found = [f"Compared with version {in_use.number}: {_changes(here, in_use, wanted)}."]
        if wanted.task.kind != in_use.task.kind:
            found.append(f"Its task is {formats.KIND_WORDS[wanted.task.kind].lower()}.")
        elif set(wanted.task.labels) != set(in_use.task.labels):
            found.append("It has other labels.")
        found.append("Nothing is deleted. Rounds keep their version.")
        parts.note(" ".join(found))
    with right:
        st.button(
            "Use this version",
            icon=":material/history:",
            width="stretch",
            on_click=_use,
            args=(project.id, number, wanted.id),
        )


@notices.errors_kept()
def _use(project_id: int, number: int, version_id: int) -> None:
    store = open_store()
    use_version(store, project_id, number)
    opened = [round_.id for round_ in rounds.list_rounds(store, project_id) if round_.version_id == version_id]
    state.visit(project_id, opened[-1] if opened else None)
    notices.say(f"Dataset version {number} is in use.")


def _changes(here: Place, earlier: Version, later: Version) -> str:
    found = changes(here.store, earlier.id, later.id)
    counts = {"new": found.added, "gone": found.gone, "relabeled": found.relabeled, "moved": found.moved}
    return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number) or "the same records"


def _file(source: Mapping[str, Any]) -> str:
    """Name of a source file and how it was read; for a kept split, the version it was kept from."""
    kept = source.get("kept_from")
    told = [source.get("form"), f"kept from version {kept}" if kept else None]
    words = "; ".join(word for word in told if word)
    return str(source.get("name", "")) + (f" ({words})" if words else "")
