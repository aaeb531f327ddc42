"""Importing: three slots, the column mapping to confirm, the report, and one button that stores it all.

Nothing reaches the project before that button; a bad file spoils nothing that is there. What was read is kept in the
session, so that a change of the mapping does not read the files again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import streamlit as st

from semievol.data.importing import Imported, build_records
from semievol.data.mapping import Mapping as Columns
from semievol.data.mapping import infer_task, suggest_mapping
from semievol.data.readers import ENDINGS, read_table
from semievol.data.tables import Table
from semievol.errors import UserError
from semievol.jobs import intake
from semievol.records import Kind, Split, Task
from semievol.store import projects
from semievol.store.projects import Project
from semievol.ui import formats, notices, parts, preview, tables
from semievol.ui.state import Place

SLOTS: dict[Split, str] = {
    "labeled": "With known answers. A few hundred work well.",
    "unlabeled": "Without answers. The model will answer these.",
    "test": "Optional. Known answers, only to judge by.",
}
NONE = "(none)"
TEST_SHARE = 0.2
ROLE_HELP = {
    "question": "What the model is asked.",
    "answer": "The known answer: a letter, a label, a number or a text.",
    "options": "The answers to choose from, as a list in one cell.",
    "id": "A name of your own for each record; optional.",
}


def upload(here: Place, project: Project) -> None:
    """The whole way from files to a new dataset version."""
    found = _slots(here, project)
    if not found:
        return
    read = {split: table for split, (_, table) in found.items()}
    with parts.card("mapping"):
        parts.heading("What the columns mean", "Suggested from names and content; correct what is wrong.")
        mapping = _mapping(read)
        task, hide_gold = _task(read, mapping, project)
        share = _test_share(read)
    imported = _built(read, mapping, task, hide_gold, share)
    with parts.card("report"):
        _report(imported)
        _findings(imported)
    preview.preview(task, imported.records)
    missing = [split for split in ("labeled", "unlabeled") if split not in read]
    with parts.card("confirm"):
        line, button = st.columns([4, 2], vertical_alignment="center")
        with line:
            version = (project.version_number or 0) + 1
            parts.note(f"{formats.plural(len(imported.records), 'record')} will become dataset version {version}.")
            if missing:
                parts.note(f"There is no {' and no '.join(missing)} file; propagating needs both.")
        with button:
            if st.button("Import records", type="primary", icon=":material/check:", width="stretch"):
                with parts.errors_shown():
                    draft = intake.Draft(read, mapping, task, imported)
                    intake.store_draft(here.store, project, draft, {split: path for split, (path, _) in found.items()})
                    _forget()
                    notices.say(f"Dataset version {version} is stored.")
                    st.rerun()


def _slots(here: Place, project: Project) -> dict[Split, tuple[Path, Table]]:
    """The uploaded files as (our copy, table) by split; a file that cannot be read says why in its own slot."""
    kept: dict[str, Any] = st.session_state.setdefault("uploads", {})
    if kept.get("project") != project.id:
        kept.clear()
        kept["project"] = project.id
    generation = st.session_state.setdefault("upload_generation", 0)
    found: dict[Split, tuple[Path, Table]] = {}
    for column, (split, hint) in zip(st.columns(len(SLOTS)), SLOTS.items(), strict=True):
        with column, parts.card(f"slot_{split}", tight=True):
            parts.heading(split.capitalize(), hint)
            file = st.file_uploader(
                f"{split.capitalize()} file",
                type=[ending.lstrip(".") for ending in ENDINGS] + ["gz"],
                key=f"upload_{split}_{generation}",
                label_visibility="collapsed",
            )
            if file is None:
                kept.pop(split, None)
                continue
            with parts.errors_shown():
                if split not in kept or kept[split][0] != file.file_id:
                    path = _own_copy(here, project, file.getvalue())
                    with st.spinner("Reading"):
                        kept[split] = (file.file_id, path, read_table(path, file.name))
                _, path, table = kept[split]
                found[split] = (path, table)
                rejected = f", {len(table.rejected):,} unreadable" if table.rejected else ""
                parts.note(f"{formats.plural(table.physical, 'row')}, {len(table.columns)} columns{rejected}")
                for remark in table.notes:
                    st.text(remark)
    return found


def _own_copy(here: Place, project: Project, raw: bytes) -> Path:
    folder = projects.project_folder(here.store, project.id) / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(raw).hexdigest()
    if not path.exists():
        path.write_bytes(raw)
    return path


def _forget() -> None:
    st.session_state["upload_generation"] += 1
    for _, path, _ in [entry for entry in st.session_state["uploads"].values() if isinstance(entry, tuple)]:
        path.unlink(missing_ok=True)
    st.session_state["uploads"] = {}
    st.session_state.pop("built", None)


def _mapping(read: Mapping[Split, Table]) -> Columns:
    """One select box per role. Column names are data; select boxes show their options as plain text."""
    try:
        suggested = suggest_mapping(read)
    except UserError as error:
        st.text(error.what)
        suggested = Columns("")
    names = list(dict.fromkeys(column for table in read.values() for column in table.columns))
    files = hashlib.sha256(repr([(split, table.columns) for split, table in read.items()]).encode()).hexdigest()[:12]
    chosen: dict[str, str | None] = {}
    for column, role in zip(st.columns(4), ROLE_HELP, strict=True):
        options = names if role == "question" else [NONE, *names]
        value = getattr(suggested, role)
        with column:
            picked = st.selectbox(
                role.capitalize() if role != "id" else "Id",
                options,
                index=options.index(value) if value in options else 0,
                key=f"map_{role}_{files}",
                help=ROLE_HELP[role],
            )
        chosen[role] = None if picked == NONE else picked
    choices = suggested.choices if chosen["options"] is None else ()
    if choices:
        st.text(f"Options from the columns {', '.join(choices)}")
    return Columns(chosen["question"] or "", chosen["answer"], chosen["options"], chosen["id"], choices)


def _task(read: Mapping[Split, Table], mapping: Columns, project: Project) -> tuple[Task, bool]:
    """Task kind, inferred and changeable; and what to do with answers that the unlabeled file has."""
    inferred = infer_task(read, mapping)
    wished = project.task.kind if project.task is not None and project.version_id is None else inferred.kind
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        kind = st.segmented_control(
            "Task",
            get_args(Kind),
            format_func=lambda k: formats.KIND_WORDS[k],
            default=wished,
            required=True,
            key=f"kind_{inferred.kind}_{wished}_{mapping}",
            help="Multiple choice: options vary from record to record. Classification: one set of labels for all.",
        )
    with right:
        known = "unlabeled" in read and mapping.answer in read["unlabeled"].columns
        hide_gold = st.toggle(
            "Keep answers of the unlabeled file as hidden gold",
            disabled=not known,
            key="hide_gold",
            help="Kept for measuring only: never shown to a model, never used by a policy. Off: they are ignored.",
        )
    task = inferred if kind == inferred.kind else infer_task(read, mapping, kind)
    if task.labels:
        st.text(f"Labels: {', '.join(task.labels)}")
    return task, bool(hide_gold and known)


def _test_share(read: Mapping[Split, Table]) -> float:
    """Where there is no test file: the share of the labeled records to be split off, stratified; 0 for none."""
    if "test" in read or "labeled" not in read:
        return 0.0
    wanted = st.toggle(
        "Split off a fifth of the labeled records for testing",
        key="split_off",
        help="Drawn with the same share of every answer. Without test records nothing can be evaluated.",
    )
    return TEST_SHARE if wanted else 0.0


def _built(read: Mapping[Split, Table], mapping: Columns, task: Task, hide_gold: bool, share: float) -> Imported:
    """The records, built once per combination of files and choices."""
    key = (tuple((split, id(table)) for split, table in read.items()), mapping, task, hide_gold, share)
    built = st.session_state.get("built")
    if built is None or built[0] != key:
        with st.spinner("Checking every row"):
            made = build_records(read, mapping, task, hide_gold)
            built = (key, made.decided(made.taken, share))
        st.session_state["built"] = built
    result: Imported = built[1]
    return result


def _report(imported: Imported) -> None:
    """What was read: physical, accepted, rejected; and every rejected row with reason and remedy, downloadable."""
    parts.heading("What was read")
    lines = [
        {"split": split, "physical": r.physical, "accepted": r.accepted, "rejected": r.rejected, "removed": r.removed}
        for split, r in imported.report.items()
    ]
    names = {"split": "Split", "physical": "Physical rows", "accepted": "Accepted", "rejected": "Rejected"}
    tables.table(pd.DataFrame(lines), "report", names | {"removed": "Left for test"})
    rejects = [{"split": split, **one.as_dict()} for split, r in imported.report.items() for one in r.rejects]
    if rejects:
        frame = pd.DataFrame(rejects)
        parts.heading(f"Rejected rows ({len(rejects):,})", "The other rows can be imported without them.")
        headings = {c: c.capitalize() for c in ("split", "row", "column", "value", "reason", "remedy")}
        tables.table(frame, "rejects", headings, height=min(320, 40 + 35 * len(rejects)))
        st.download_button(
            "Download rejected rows", lambda: tables.spreadsheet(frame), "rejected-rows.csv", on_click="ignore"
        )


def _findings(imported: Imported) -> None:
    if imported.findings:
        parts.heading(f"Findings ({len(imported.findings)})", "Worth knowing before the import.")
        preview.findings([finding.as_dict() for finding in imported.findings], "import")
