"""The stored dataset version: its records, labels, instruction and findings, and the other versions of the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol.jobs import intake
from semievol.store.data.records import hidden_gold_count, known_answers, records_page
from semievol.store.data.versions import Version, changes, use_version
from semievol.store.data.versions import versions as list_versions
from semievol.store.database import open_store
from semievol.store.decisions.history import last_entry
from semievol.store.runs import rounds
from semievol.task.answers import LONGEST_INSTRUCTION, answer_text
from semievol.ui.data import label_errors, report, upload
from semievol.ui.shell import formats, notices, parts, record, state, tables
from semievol.ui.shell.state import Place


def stored(here: Place) -> None:
    """The current version: counts, records to browse, labels, instruction, findings, and the list of versions."""
    version_id = here.project.version_id
    assert version_id is not None, "drawn without data"
    with parts.card("stored"):
        words = {"labeled": "known answers", "unlabeled": "to be answered", "test": "to test models on"}
        hidden = hidden_gold_count(here.store, version_id)
        cells = [(s.capitalize(), formats.count(here.project.counts.get(s, 0)), words[s]) for s in words]  # type: ignore[call-overload]
        cells.append(("Version", str(here.project.version_number), formats.KIND_WORDS[here.task.kind]))
        if hidden:
            cells.append(("Hidden gold", formats.count(hidden), "for measuring only"))
        parts.tiles(cells)
        if last_entry(here.store, here.project.id):
            counts = "count in every later round, beside the labeled records"
            parts.note(f"Answers that experts accepted or corrected {counts}.")
    left, right = st.columns([7, 5], gap="medium")
    with left, parts.card("browse"):
        _browse(here, version_id)
    with right, parts.card("labels_now"):
        report.labels(here.task, known_answers(here.store, version_id), "stored")
        if here.task.labels:
            st.text(f"Labels: {', '.join(here.task.labels)}")
    label_errors.label_errors_of(here)
    _instruction(here)
    known = list_versions(here.store, here.project.id)
    in_use = next(version for version in known if version.id == version_id)
    if in_use.findings:
        with st.expander(f"Findings of this version ({len(in_use.findings)})"):
            report.findings(in_use.findings, "stored")
    with st.expander(f"Versions ({len(known)})"):
        _versions(here, known)


def _browse(here: Place, version_id: int) -> None:
    parts.heading("Records")
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    search = left.text_input("Search", key="data_search", placeholder="Part of the question", live="300ms") or ""
    split = right.selectbox("Split", ["All", "labeled", "unlabeled", "test"], key="data_split")
    chosen = None if split == "All" else split
    _, total = records_page(here.store, version_id, chosen, search, 0, 1)  # type: ignore[arg-type]
    offset = tables.pages_of(total, "data_page")
    page, _ = records_page(here.store, version_id, chosen, search, offset, tables.PAGE)  # type: ignore[arg-type]
    # The question is long: columns after it would be out of sight.
    names = {"split": "Split", "source_id": "Id", "answer": "Answer", "question": "Question"}
    if not page["source_id"].any():
        del names["source_id"]
    row = tables.pick(page, f"records_{offset}_{split}", names, height=300)
    if row is not None:
        one = record.of_line(page.iloc[row])
        words = None if one.answer is None else answer_text(here.task, one, one.answer)
        report.example(here.task, state.config_of(here.project), one, words)


def _instruction(here: Place) -> None:
    """The task's instruction, which is sent with every record, and the form that changes it."""
    with st.expander(upload.INSTRUCTION if here.task.instruction else f"{upload.INSTRUCTION} (none)"):
        with st.form("instruct", border=False):
            text = st.text_area(
                upload.INSTRUCTION,
                here.task.instruction,
                key=f"instruction_of_{here.project.version_id}",
                height=100,
                max_chars=LONGEST_INSTRUCTION,
                placeholder=upload.INSTRUCTION_EXAMPLE,
                help=upload.INSTRUCTION_HELP,
                label_visibility="collapsed",
            )
            parts.note("Saving makes a new dataset version with the same records. Existing rounds do not change.")
            pressed = st.form_submit_button("Save instruction", icon=":material/check:")
        if pressed:
            with parts.errors_shown(), st.spinner("Storing"):
                saved = intake.instruct(here.store, here.project, text or "")
                if saved.version_id != here.project.version_id:
                    notices.say(f"The instruction was saved as dataset version {saved.version_number}.")
                st.rerun()


def _versions(here: Place, known: Sequence[Version]) -> None:
    """The table of versions, oldest first, and the button that changes which one is in use."""
    lines = []
    for before, version in zip([None, *known], known, strict=False):
        difference = "first version" if before is None else _changes(here, before, version)
        lines.append(
            {
                "Version": version.number,
                "In use": "in use" if version.id == here.project.version_id else "",
                "Imported": formats.moment(version.created),
                "Records": sum(version.counts.values()),
                "Compared with the one before": difference,
                "Files": ", ".join(_file(source) for source in version.sources),
            }
        )
    tables.table(pd.DataFrame(lines), "versions")
    if len(known) > 1:
        _another(here, known)


def _another(here: Place, known: Sequence[Version]) -> None:
    """Choosing another version: its differences from the current one, and the button that puts it in use."""
    others = {version.number: version for version in reversed(known) if version.id != here.project.version_id}
    in_use = next(version for version in known if version.id == here.project.version_id)
    left, middle, right = st.columns([2, 6, 3], vertical_alignment="bottom")
    number = left.selectbox("Another version", list(others), key=f"other_version_{here.project.version_id}")
    wanted = others[number]
    with middle:
        found = [f"Compared with version {in_use.number}: {_changes(here, in_use, wanted)}."]
        if wanted.task.kind != in_use.task.kind:
            found.append(f"Its task is {formats.KIND_WORDS[wanted.task.kind].lower()}.")
        elif set(wanted.task.labels) != set(in_use.task.labels):
            found.append("It has other labels.")
        found.append("Nothing is deleted. Rounds keep their version.")
        parts.note(" ".join(found))
    right.button(
        "Use this version",
        icon=":material/history:",
        width="stretch",
        on_click=_use,
        args=(here.project.id, number, wanted.id),
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
    remarks = [source.get("form"), f"kept from version {kept}" if kept else None]
    words = "; ".join(word for word in remarks if word)
    return str(source.get("name", "")) + (f" ({words})" if words else "")
