"""Importing: three slots, the mapping to confirm, the report with its remedies, and one button that stores it all.

Nothing reaches the project before that button; a bad file spoils nothing that is there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import streamlit as st

from semievol.data.importing import Imported, check_tables
from semievol.data.mapping import Mapping as Columns
from semievol.data.mapping import align
from semievol.data.near import Watch
from semievol.data.tables import Table
from semievol.jobs import intake
from semievol.records import Split, Task
from semievol.store.projects import Project
from semievol.ui import columns, formats, parts, preview, report, slots, state, storing
from semievol.ui.state import Place

TEST_SHARE = 0.2
_TELLING = 0.5
"""Seconds after which a rate says something."""


def upload(here: Place, project: Project) -> None:
    """The whole way from files to a new dataset version."""
    loaded, failed = slots.slots(here, project)
    if not loaded:
        return
    read = {split: one.table for split, one in loaded.items()}
    with parts.card("mapping"):
        parts.heading("What the columns mean", "Suggested from names and content; correct what is wrong.")
        mapping = columns.mapping(here, project, read)
        aligned = align(read, mapping)
        for split, table in aligned.items():
            if table is not read[split]:
                st.text(f"{split}: {table.notes[-1]}")
        task, hide_gold = columns.task(aligned, mapping, project)
        share = _test_share(aligned)
    checked = _checked(read, aligned, mapping, task, hide_gold)
    with parts.card("report"):
        where = st.container()
        taken = frozenset[str]()
        if checked.findings:
            parts.heading(f"Findings ({len(checked.findings)})", "Worth knowing before the import; decide each.")
            taken = report.remedies(checked.findings)
        imported, measured = checked, None
        with parts.errors_shown():
            imported, measured = _decided(project, checked, taken, share)
        with where:
            report.report(imported)
    if imported is checked:
        return  # a split would be empty, which was said
    preview.preview(task, imported.records)
    if measured is not None and len(measured.sample):
        with parts.card("lengths"):
            parts.heading("Length in tokens")
            report.token_tiles(measured, state.config_of(project).model)
    _confirm(here, project, loaded, failed, intake.Draft(aligned, mapping, task, imported))


def _confirm(
    here: Place, project: Project, loaded: Mapping[Split, slots.Loaded], failed: Sequence[Split], draft: intake.Draft
) -> None:
    records = draft.imported.records
    with parts.card("confirm"):
        line, button = st.columns([4, 2], vertical_alignment="center")
        with line:
            version = (project.version_number or 0) + 1
            parts.note(f"{formats.plural(len(records), 'record')} will become dataset version {version}.")
            missing = [split for split in ("labeled", "unlabeled") if split not in loaded]
            if missing:
                parts.note(f"There is no {' and no '.join(missing)} file; propagating needs both.")
            for split in failed:
                parts.note(f"The {split} file could not be read and will not be part of it.")
            for split in slots.SLOTS:
                if project.counts.get(split) and not records.size(split):
                    known = formats.plural(project.counts[split], f"{split} record")
                    parts.note(f"Version {project.version_number} has {known}, version {version} will have none.")
        with button:
            pressed = st.button("Import records", type="primary", icon=":material/check:", width="stretch")
        if pressed:
            storing.begin(here.store, project, draft, {split: one.given.path for split, one in loaded.items()})
            st.rerun()


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


def _checked(
    read: Mapping[Split, Table], aligned: Mapping[Split, Table], mapping: Columns, task: Task, hide_gold: bool
) -> Imported:
    """What the files come to, made once per combination of files and choices."""
    files = tuple((split, id(table)) for split, table in read.items())
    asked = f"count_from_{hash((files, mapping))}"
    base = st.session_state.get(asked)
    key = (files, mapping, task, hide_gold, base)
    checked = st.session_state.get("checked")
    if checked is None or checked[0] != key:
        bar = st.progress(0.0, "Checking every row")
        before = None if checked is None else checked[1]
        made = check_tables(aligned, mapping, task, hide_gold, base, _drawn(bar), before)
        bar.empty()
        st.session_state["checked"] = checked = (key, made)
        st.session_state.pop("decided", None)
    result: Imported = checked[1]
    if base is not None or any(finding.kind == "digit_answers" for finding in result.findings):
        with parts.card("base", tight=True):
            st.segmented_control(
                "Answers that are numbers count the options from",
                [0, 1],
                default=result.base,
                required=True,
                key=asked,
            )
    return result


def _decided(
    project: Project, checked: Imported, taken: frozenset[str], share: float
) -> tuple[Imported, intake.Lengths | None]:
    """The records that are left after the visitor's choices, and how long they are; made once per choice."""
    model = state.config_of(project).model
    key = (taken, share, model)
    decided = st.session_state.get("decided")
    if decided is None or decided[0] != key:
        with st.spinner("Working out what is left"):
            imported = checked.decided(taken, share)
            decided = (key, imported, intake.token_lengths(checked.task, imported, model))
        st.session_state["decided"] = decided
    return decided[1], decided[2]


def _drawn(bar: st.delta_generator.DeltaGenerator) -> Watch:
    """Draws what is being done now: how many records, how fast, how long still."""
    began: dict[str, float] = {}

    def watch(what: str, done: int, total: int) -> None:
        since = time.monotonic() - began.setdefault(what, time.monotonic())
        told = f"{what}: {done:,} of {total:,} records"
        if done and since > _TELLING:
            told += f", {done / since:,.0f} a second, {formats.duration((total - done) * since / done)} left"
        bar.progress(min(1.0, done / max(1, total)), told)

    return watch
