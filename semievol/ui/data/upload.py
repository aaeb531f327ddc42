"""Importing: three slots, the mapping to confirm, the report with its remedies, and one button that stores everything.

Nothing is stored before that button is pressed, so a bad file cannot damage existing data.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from semievol.errors import UserError
from semievol.importing.build import check_tables
from semievol.importing.doubts import shared_instruction
from semievol.importing.earlier_mapping import count_from
from semievol.importing.imported import Imported
from semievol.importing.joined_columns import with_joined
from semievol.importing.label_spellings import label_variants, relabeled, relabeled_before
from semievol.importing.mapping import Mapping as Columns
from semievol.importing.nameless_columns import agreed
from semievol.importing.suggestions import align
from semievol.importing.table import Table
from semievol.jobs import intake
from semievol.progress import Watch
from semievol.records import Split, Task
from semievol.store.data import versions
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.task.answers import LONGEST_INSTRUCTION, instructed
from semievol.ui.data import carried_over, columns, corrections, drafts, import_draft, misspelled, report, slots
from semievol.ui.shell import background, formats, notices, parts, state
from semievol.ui.shell.state import Place

TEST_SHARE = 0.2
INSTRUCTION = "Instruction"
INSTRUCTION_HELP = (
    "What to do with every record, for example what the labels mean. It is sent as the system message before every "
    "prompt, except to collaborators of the variant `bare`."
)
INSTRUCTION_EXAMPLE = "Sort each call by the team that has to go."
_STORING = "storing"


def upload(here: Place) -> None:
    """Draws all steps of an import, from files to a new dataset version."""
    with import_draft.choices_kept(slots.incoming(here)):
        loaded, failed = slots.slots(here)
        if loaded or failed:
            st.button(
                "Start over",
                type="tertiary",
                icon=":material/restart_alt:",
                on_click=_start_over,
                help="Removes the files and choices of this import. Imported versions stay.",
            )
        if loaded:
            _after_files(here, loaded, failed)
        else:
            parts.note(
                "CSV, TSV, JSONL, JSON, Parquet or XLSX, up to 500 MB each. Nothing is stored before you confirm."
            )


def _start_over() -> None:
    if not background.busy(_STORING):
        slots.forget()


def _after_files(here: Place, loaded: Mapping[Split, import_draft.Loaded], failed: Sequence[Split]) -> None:
    read = agreed({split: one.table for split, one in loaded.items()})
    offer = carried_over.offer(here, loaded)
    with parts.card("mapping"):
        parts.heading("What the columns mean", "Suggested from their names and content. Correct what is wrong.")
        mapping = columns.mapping(here, read)
        read = with_joined(read, mapping.columns())
        aligned = align(read, mapping)
        for split, table in aligned.items():
            if table is not read[split]:
                st.text(f"{split}: {table.notes[-1]}")
            if mapping.id and mapping.id not in table.columns:
                st.text(f'{split}: has no column "{mapping.id}", so these records have no id of their own.')
        settled = offer.settled(aligned, mapping) if offer else None
        task, hide_gold = columns.task(here, aligned, mapping, settled)
        if settled is None:
            named, task = corrections.label_names(aligned, mapping, task)
            aligned = dict(named)
        whole_task = instructed(task, _instruction(here.project, shared_instruction(aligned)))
        kept: list[Split] = ["labeled"] if settled else []
        kept += offer.others(task, aligned, mapping) if offer else []
        share = _test_share([*aligned, *kept])
    earlier = offer.kept(kept) if offer else {}
    alike = label_variants(aligned, mapping, task, hide_gold, earlier)
    spelled = misspelled.chosen(alike, task, relabeled_before(offer.version.sources) if offer else {})
    whole_task = relabeled(whole_task, spelled.read_as)
    checked = _checked(loaded, aligned, mapping, task, hide_gold, offer, kept, spelled.read_as)
    with parts.card("report"):
        where = st.container()
        taken = frozenset[str]()
        if checked.findings:
            parts.heading(
                f"Findings ({len(checked.findings)})",
                "Possible problems in the data. What you leave on Keep is imported as it is.",
            )
            taken = report.remedies(checked.findings, spelled)
        imported, measured, problem = checked, None, None
        try:
            imported, measured = _decided(here.project, checked, whole_task, taken, share)
        except UserError as error:
            problem = error
        with where:
            report.report(imported)
    if problem is not None:
        _refused(problem)
        return
    report.preview(imported)
    if measured is not None and len(measured.sample):
        with parts.card("lengths"):
            parts.heading("Length in tokens")
            report.token_tiles(measured, state.config_of(here.project).model)
    sources = intake.kept_sources(offer.version, kept) if offer else []
    _confirm(here, loaded, failed, imported, sources, kept)


def _refused(problem: UserError) -> None:
    """Shows why nothing can be imported and what to change, beside the disabled button."""
    with parts.card("confirm"):
        left, right = st.columns([4, 2], vertical_alignment="center")
        left.text(problem.what)
        left.text(f"What to do: {problem.remedy}")
        right.button("Import records", type="primary", icon=":material/check:", width="stretch", disabled=True)


def _confirm(
    here: Place,
    loaded: Mapping[Split, import_draft.Loaded],
    failed: Sequence[Split],
    imported: Imported,
    sources: Sequence[dict[str, Any]],
    kept: Collection[Split],
) -> None:
    """Says what will be stored. kept: the splits whose records are kept from the version in use; sources: theirs."""
    records = imported.records
    with parts.card("confirm"):
        left, right = st.columns([4, 2], vertical_alignment="center")
        with left:
            version = 1 + max((one.number for one in versions.versions(here.store, here.project.id)), default=0)
            parts.note(f"{formats.plural(len(records), 'record')} will become dataset version {version}.")
            missing = [split for split in ("labeled", "unlabeled") if split not in imported.report]
            if missing:
                parts.note(f"There is no {' and no '.join(missing)} file. Propagation needs both.")
            for split in failed:
                parts.note(f"The {split} file could not be read and will not be imported.")
            left_open = [one for one in imported.findings if one.asks and one.kind not in imported.taken]
            if left_open:
                parts.note(f"Findings that ask for a decision, and are left as they are: {len(left_open)}.")
            for sentence in carried_over.what_changes(here, version, imported, kept):
                parts.note(sentence)
        pressed = right.button("Import records", type="primary", icon=":material/check:", width="stretch")
        if pressed:
            store(here.store, here.project, imported, {split: one.given for split, one in loaded.items()}, sources)
            st.rerun()


def _instruction(project: Project, shared: str) -> str:
    """The field for the task's instruction; it begins with the project's present one, else with the system turn that
    the conversations of the files share."""
    key, before = "instruction", project.task.instruction if project.task else ""
    if shared and not before:
        key, before = f"instruction_{hashlib.sha256(shared.encode()).hexdigest()[:12]}", shared
    import_draft.settle(key, before, (import_draft.current().choices.get(key), before))
    text = st.text_area(
        f"{INSTRUCTION} (optional)",
        key=key,
        height=80,
        max_chars=LONGEST_INSTRUCTION,
        placeholder=INSTRUCTION_EXAMPLE,
        help=INSTRUCTION_HELP,
    )
    return text or ""


def _test_share(splits: Collection[Split]) -> float:
    """The share of the labeled records to split off for testing, offered only if there are no test records; else 0."""
    if "test" in splits or "labeled" not in splits:
        return 0.0
    import_draft.settle("split_off", False)
    wanted = st.toggle(
        "Split off a fifth of the labeled records for testing",
        key="split_off",
        help="Every answer keeps its share (stratified). Without test records no model can be evaluated.",
    )
    return TEST_SHARE if wanted else 0.0


def _checked(
    loaded: Mapping[Split, import_draft.Loaded],
    aligned: Mapping[Split, Table],
    mapping: Columns,
    task: Task,
    hide_gold: bool,
    offer: carried_over.Offer | None,
    kept: Sequence[Split],
    read_as: Mapping[str, str],
) -> Imported:
    """The checked records of the files and of the kept splits; computed once per combination of files and choices."""
    given = repr([(split, one.given.key, one.table.sheets[:1]) for split, one in loaded.items()])
    before = count_from(offer.version.sources) if offer and set(loaded) <= set(kept) else None
    base_key = f"count_from_{hashlib.sha256(f'{given}{mapping}{before}'.encode()).hexdigest()[:12]}"
    import_draft.settle(base_key, before, (0, 1))
    base = st.session_state[base_key]
    files = tuple((split, id(one.table)) for split, one in loaded.items())
    key = (files, mapping, task, hide_gold, base, offer.version.id if offer else None, tuple(kept), repr(read_as))
    import_ = import_draft.current()
    if import_.checked is None or import_.checked[0] != key:
        bar = st.progress(0.0, "Checking every row")
        last = None if import_.checked is None else import_.checked[1]
        earlier = offer.kept(kept) if offer else {}
        made = check_tables(aligned, mapping, task, hide_gold, base, _progress(bar), last, earlier, read_as)
        bar.empty()
        import_.checked, import_.decided = (key, made), None
    result = import_.checked[1]
    if base != before or result.counted:
        if base is None:
            st.session_state[base_key] = result.base
        with parts.card("base", tight=True):
            st.segmented_control("Numeric answers count the options from", [0, 1], required=True, key=base_key)
    return result


def _decided(
    project: Project, checked: Imported, task: Task, taken: frozenset[str], share: float
) -> tuple[Imported, intake.TokenLengths | None]:
    """The records that remain after the visitor's choices, and their lengths; computed once per choice."""
    model = state.config_of(project).model
    key = (task, taken, share, model)
    import_ = import_draft.current()
    if import_.decided is None or import_.decided[0] != key:
        with st.spinner("Applying your choices"):
            imported = replace(checked, task=task).decided(taken, share)
            import_.decided = (key, imported, intake.token_lengths(imported, model))
    return import_.decided[1:]


def _progress(bar: st.delta_generator.DeltaGenerator) -> Watch:
    """A function that draws progress on the bar: records done, records per second, time left."""
    began: dict[str, float] = {}

    def watch(what: str, done: int, total: int) -> None:
        since = time.monotonic() - began.setdefault(what, time.monotonic())
        bar.progress(min(1.0, done / max(1, total)), f"{what}: {formats.progress(done, total, 'records', since)}")

    return watch


def store(
    store: Store,
    project: Project,
    imported: Imported,
    given: Mapping[Split, import_draft.Given],
    sources: Sequence[dict[str, Any]] = (),
) -> None:
    """Starts storing, in a thread that a click or another page does not interrupt; `follow` shows how far it is."""
    paths = {split: one.path for split, one in given.items()}

    def work(watch: Callable[[int], None]) -> int | None:
        stored = intake.store_imported(
            store, project, imported, paths, lambda _what, done, _total: watch(done), sources
        )
        for split, one in given.items():  # even if the page was left: the next session must find empty slots
            drafts.forget(one.path.parent, {split: one.key})
        return stored.version_number

    background.begin(_STORING, work, len(imported.records))


def follow() -> None:
    """If this session is storing an import, draws its progress until it is stored."""
    if not background.busy(_STORING):
        return
    with parts.card("storing"):
        version = background.follow(_STORING, "Storing", "records")
    slots.forget()
    notices.say(f"Dataset version {version} is stored.")
    st.rerun()
