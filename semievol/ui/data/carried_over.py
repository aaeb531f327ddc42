"""Offers to keep the records of the current version in the new one: those of splits without a new file, and those that
a new file would otherwise replace."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semievol.errors import UserError
from semievol.importing.accepted import AcceptedRows, kept_rows
from semievol.importing.mapping import Mapping as Columns
from semievol.importing.table import Table
from semievol.importing.task_kind import joined_task
from semievol.records import Split, Task
from semievol.store.data import versions
from semievol.store.data.records import known_answers, walk_records
from semievol.store.data.versions import Version
from semievol.store.database import Store
from semievol.task.answers import fold
from semievol.ui.data import slots, unfinished
from semievol.ui.shell import formats, parts, state
from semievol.ui.shell.state import Place

ADD, REPLACE = "add", "replace"


@dataclass(frozen=True)
class Offer:
    """The splits that could be kept. version: the current one, as the store describes it; splits: those that have
    records; given: those of them with a new file; again: those whose file is the one that the version was made of;
    where: the container on the page in which the visitor is asked."""

    store: Store
    version: Version
    splits: tuple[Split, ...]
    given: frozenset[Split]
    again: frozenset[Split]
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
            self._say(f"The labeled file cannot be added to version {self.version.number}. {error.what}")
            return None
        rows = len(read["labeled"])
        if not self._wanted("labeled", 2 * strange <= rows):
            return None
        if new := task.labels[len(self.version.task.labels) :]:
            self._say(f"New labels: {', '.join(new)} ({formats.plural(strange, 'record')}).")
        return task

    def others(self, task: Task) -> list[Split]:
        """The other splits that the visitor keeps, of those that fit this task."""
        return [split for split in self.splits if split != "labeled" and self._fits(split, task)]

    def kept(self, splits: Collection[Split]) -> dict[Split, AcceptedRows]:
        number, id = self.version.number, self.version.id
        return {split: _loaded(self.store, id, number, split) for split in splits}

    def _fits(self, split: Split, task: Task) -> bool:
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
        wanted = self._wanted(split, not strange, f"_{strange}")
        if strange:
            have = "has" if strange == 1 else "have"
            self._say(f"{formats.plural(strange, 'record')} of them {have} a label that the new labeled file lacks.")
        return wanted

    def _wanted(self, split: Split, default: bool = True, kind: str = "") -> bool:
        """Asks whether the records of this split are kept. kind: tells apart questions with different defaults."""
        size, number = formats.plural(self.version.counts[split], f"{split} record"), self.version.number
        key = f"keep_{split}_{self.version.id}{kind}"
        with self.where:
            if split in self.given:
                default = default and split not in self.again
                key = f"join_{split}_{self.version.id}{kind}_{default}"
                unfinished.settle(key, ADD if default else REPLACE, (ADD, REPLACE))
                words = {ADD: f"Add it to the {size} of version {number}", REPLACE: f"Replace the {size}"}
                wanted = st.segmented_control(
                    f"The new {split} file",
                    [ADD, REPLACE],
                    format_func=words.__getitem__,
                    required=True,
                    key=key,
                    help="Added records join those of the version in use; copies are found below and can be left out. "
                    f"Replaced records stay in version {number}, which can be used again.",
                )
                return wanted == ADD
            unfinished.settle(key, default)
            return st.toggle(
                f"Keep the {size} of version {number}",
                key=key,
                help="They are checked together with the new files and stay unchanged in the new version, including "
                "their hidden gold.",
            )

    def _say(self, sentence: str) -> None:
        with self.where:
            st.text(sentence)


def offer(here: Place, given: Mapping[Split, unfinished.Loaded]) -> Offer | None:
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
    files = {(source["split"], source.get("sha256")) for source in version.sources}
    again = frozenset(split for split, one in given.items() if (split, one.given.sha256) in files)
    return Offer(here.store, version, there, frozenset(given) & frozenset(there), again, where)


@st.cache_resource(max_entries=3, show_spinner="Reading the records that are kept", hash_funcs=state.HASH)
def _loaded(store: Store, version_id: int, number: int, split: Split) -> AcceptedRows:
    return kept_rows(f"version {number}", split, walk_records(store, version_id, split))
