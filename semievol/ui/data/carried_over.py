"""Offers to keep the records of the current version in the new one: those of splits without a new file, and those that
a new file would otherwise replace."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semievol.errors import UserError
from semievol.importing.accepted import AcceptedRows, content_keys, kept_rows
from semievol.importing.column_cells import MOST_LABELS
from semievol.importing.imported import Imported
from semievol.importing.mapping import Mapping as Columns
from semievol.importing.mapping import check_mapping
from semievol.importing.rows import rows_of
from semievol.importing.table import Table
from semievol.importing.task_kind import joined_task
from semievol.records import Split, Task, content_hash
from semievol.store.data import versions
from semievol.store.data.records import content_hashes, known_answers, walk_records
from semievol.store.data.versions import Version
from semievol.store.database import Store
from semievol.task.answers import fold
from semievol.ui.data import import_draft, slots
from semievol.ui.shell import formats, parts, state
from semievol.ui.shell.state import Place

ADD, REPLACE = "add", "replace"
Compared = Literal["same", "part"]


@dataclass(frozen=True)
class Offer:
    """The splits that could be kept. version: the current one, as the store describes it; splits: those that have
    records; given: key of the upload of those with a new file; where: the container on the page in which the visitor is
    asked."""

    store: Store
    version: Version
    splits: tuple[Split, ...]
    given: Mapping[Split, str]
    where: DeltaGenerator

    def settled(self, read: Mapping[Split, Table], columns: Columns) -> Task | None:
        """The task that stays as it is, because the labeled records are kept; None if they are not.

        Labels that only a new labeled file has are added to it.
        """
        if "labeled" not in self.splits:
            return None
        if "labeled" not in self.given:
            return self.version.task if self._wanted("labeled") else None
        try:
            task, strange = joined_task(self.version.task, read, columns)
        except UserError as error:
            self._replaced(error)
            return None
        if not self._added("labeled", read["labeled"], columns, task):
            return None
        if new := task.labels[len(self.version.task.labels) :]:
            more = f" and {len(new) - MOST_LABELS:,} more" if len(new) > MOST_LABELS else ""
            self._say(f"New labels: {', '.join(new[:MOST_LABELS])}{more} ({formats.plural(strange, 'record')}).")
            if 2 * strange > len(read["labeled"]):
                self._say("Most answers of the new file are new labels. Check which column holds the answer.")
        return task

    def _replaced(self, reason: UserError) -> None:
        """The labeled file cannot join the others: it replaces them only if the visitor says so, else a UserError."""
        key, size = (
            f"replace_labeled_{self.version.id}",
            formats.plural(self.version.counts["labeled"], "labeled record"),
        )
        what = f"The labeled file cannot be added to version {self.version.number}. {reason.what}"
        self._say(what)
        import_draft.settle(key, False)
        with self.where:
            if not st.toggle(f"Replace the {size}", key=key):
                raise UserError(what, reason.where, f'{reason.remedy} Or switch on "Replace the {size}".')

    def others(self, task: Task, read: Mapping[Split, Table], columns: Columns) -> list[Split]:
        """The other splits that the visitor keeps, of those that fit this task."""
        return [split for split in self.splits if split != "labeled" and self._fits(split, task, read, columns)]

    def kept(self, splits: Collection[Split]) -> dict[Split, AcceptedRows]:
        number, id = self.version.number, self.version.id
        return {split: _loaded(self.store, id, number, split) for split in splits}

    def _fits(self, split: Split, task: Task, read: Mapping[Split, Table], columns: Columns) -> bool:
        if task.kind != self.version.task.kind:
            before, now = formats.KIND_WORDS[self.version.task.kind].lower(), formats.KIND_WORDS[task.kind].lower()
            self._say(
                f"The {split} records of version {self.version.number} cannot be kept: "
                f"their task is {before}, but the task of the new files is {now}."
            )
            return False
        strange = 0
        if task.kind == "classification" and split == "test":
            labels = {fold(label) for label in task.labels}
            answers = known_answers(self.store, self.version.id).get(split, {})
            strange = sum(times for answer, times in answers.items() if fold(answer) not in labels)
        if split in self.given:
            wanted = self._added(split, read[split], columns, task)
        else:
            wanted = self._wanted(split, not strange, f"_{strange}")
        if strange:
            have = "has" if strange == 1 else "have"
            self._say(f"{formats.plural(strange, 'record')} of them {have} a label that the new labeled file lacks.")
        return wanted

    def _added(self, split: Split, table: Table, columns: Columns, task: Task) -> bool:
        """Asks whether the new file joins the split's records or replaces them. It joins them at first, so that nothing
        is lost unseen, unless it holds these very records: then it may hold other answers of theirs."""
        store, version, key = self.store, self.version, f"{self.given[split]} {columns} {task.kind}"
        found = _compared(store, version.id, split, key, table, columns, task)
        if found is not None:
            self._say(f"Every record of the new {split} file is in version {version.number} already; none is new.")
        size = formats.plural(version.counts[split], f"{split} record")
        default, words = found != "same", {ADD: f"Add it to the {size} of version {version.number}"}
        words[REPLACE] = f"Replace the {size}"
        widget = f"join_{split}_{version.id}_{default}"
        import_draft.settle(widget, ADD if default else REPLACE, (ADD, REPLACE))
        with self.where:
            wanted = st.segmented_control(
                f"The new {split} file",
                [ADD, REPLACE],
                format_func=words.__getitem__,
                required=True,
                key=widget,
                help="Added records join those of the version in use; copies are found below and left out. "
                f"Replaced records stay in version {version.number}, which can be used again.",
            )
        return wanted == ADD

    def _wanted(self, split: Split, default: bool = True, kind: str = "") -> bool:
        """Asks whether the records of this split are kept. kind: tells apart questions with different defaults."""
        size, number = formats.plural(self.version.counts[split], f"{split} record"), self.version.number
        key = f"keep_{split}_{self.version.id}{kind}"
        import_draft.settle(key, default)
        with self.where:
            return st.toggle(
                f"Keep the {size} of version {number}",
                key=key,
                help="They are checked together with the new files and stay unchanged in the new version, including "
                "their hidden gold.",
            )

    def _say(self, sentence: str) -> None:
        with self.where:
            st.text(sentence)


def offer(here: Place, given: Mapping[Split, import_draft.Loaded]) -> Offer | None:
    """Offers the splits of the current version; None if it has no records. given: the new files."""
    there = tuple(split for split in slots.SLOTS if here.project.counts.get(split))
    if here.project.version_id is None or not there:
        return None
    version = versions.get_version(here.store, here.project.version_id)
    where = st.container(key="card_from_before")
    with where:
        parts.heading(
            f"From version {version.number}",
            "Choose which of its records the new version has, too. Nothing is deleted: it stays as it is.",
        )
    keys = {split: f"{one.given.key} {one.read_as}" for split, one in given.items() if split in there}
    return Offer(here.store, version, there, keys, where)


def what_changes(here: Place, number: int, imported: Imported, kept: Collection[Split]) -> Iterator[str]:
    """A sentence for every split of which the new version has other records than the one in use.

    number: the new version's. kept: the splits whose records are kept from the version in use.
    """
    id, in_use = here.project.version_id, f"version {here.project.version_number}"
    for split in slots.SLOTS if id is not None else ():
        before, now = here.project.counts.get(split, 0), imported.records.size(split)
        if not before or (split in kept and split not in imported.tables):
            continue
        assert id is not None, "a project without data has no counts"
        known, keys = _keys(here.store, id, split), imported.records.keys(split)
        gone, new = int((~np.isin(known, keys)).sum()), int((~np.isin(keys, known)).sum())
        has = f"Version {number} will have {now:,}." if now else f"Version {number} will have none."
        records = formats.plural(before, f"{split} record")
        if split in kept:
            yield f"Added to the {records} of {in_use}: {new:,}. {has}"
        elif now:
            yield f"The {records} of {in_use} are replaced: {gone:,} removed, {new:,} new. {has}"
        else:
            yield f"Removed: the {records} of {in_use}. {has}"


@st.cache_resource(max_entries=6, show_spinner=False, hash_funcs=state.HASH)
def _keys(store: Store, version_id: int, split: Split) -> np.ndarray:
    """What the records of a stored split are compared by."""
    return content_keys(content_hashes(store, version_id, split))


@st.cache_data(max_entries=20, show_spinner="Comparing with the records that are there", hash_funcs=state.HASH)
def _compared(
    store: Store, version_id: int, split: Split, key: str, _table: Table, _columns: Columns, _task: Task
) -> Compared | None:
    """Whether the stored split has all records of the file ("part"), and the file all of the split's ("same"); None if
    one is new. key: stands for the file and what its columns mean."""
    check_mapping(_columns, {split: _table})
    known, seen = set(_keys(store, version_id, split).tolist()), set[int]()
    for row in rows_of(split, _table, _columns, _task, []):
        options = row.options if _task.kind == "multiple_choice" else ()
        (one,) = content_keys([content_hash(row.question, options)]).tolist()
        if one not in known:
            return None
        seen.add(one)
    return None if not seen else "same" if seen == known else "part"


@st.cache_resource(max_entries=3, show_spinner="Reading the records that are kept", hash_funcs=state.HASH)
def _loaded(store: Store, version_id: int, number: int, split: Split) -> AcceptedRows:
    return kept_rows(f"version {number}", split, walk_records(store, version_id, split))
