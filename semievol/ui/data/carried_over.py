"""Offers to keep splits of the current version in the new one, where no new file replaces them and the task fits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semievol.importing.accepted import AcceptedRows, kept_rows
from semievol.records import Split, Task
from semievol.store.data import versions
from semievol.store.data.records import known_answers, walk_records
from semievol.store.data.versions import Version
from semievol.store.database import Store
from semievol.task.answers import fold
from semievol.ui.data import slots, unfinished
from semievol.ui.shell import formats, parts, state
from semievol.ui.shell.state import Place


@dataclass(frozen=True)
class Offer:
    """The splits that could be kept. version: the current one, as the store describes it; splits: those whose slot is
    empty; where: the container on the page in which the visitor is asked."""

    store: Store
    version: Version
    splits: tuple[Split, ...]
    where: DeltaGenerator

    def labeled(self) -> bool:
        """Whether the labeled records are kept. If so, the task stays as it is."""
        return "labeled" in self.splits and self._wanted("labeled", True)

    def others(self, task: Task) -> list[Split]:
        """The other splits that the visitor keeps, of those that fit this task."""
        return [split for split in self.splits if split != "labeled" and self._fits(split, task)]

    def kept(self, splits: Collection[Split]) -> dict[Split, AcceptedRows]:
        number, id = self.version.number, self.version.id
        return {split: _loaded(self.store, id, number, split) for split in splits}

    def _fits(self, split: Split, task: Task) -> bool:
        if task.kind != self.version.task.kind:
            with self.where:
                before, now = formats.KIND_WORDS[self.version.task.kind].lower(), formats.KIND_WORDS[task.kind].lower()
                parts.note(
                    f"The {split} records of version {self.version.number} cannot be kept: "
                    f"their task is {before}, but the task of the new files is {now}."
                )
            return False
        strange = 0
        if task.kind == "classification" and split == "test":
            labels = {fold(label) for label in task.labels}
            answers = known_answers(self.store, self.version.id).get(split, {})
            strange = sum(times for answer, times in answers.items() if fold(answer) not in labels)
        return self._wanted(split, not strange, strange)

    def _wanted(self, split: Split, default: bool, strange: int = 0) -> bool:
        size, number = self.version.counts[split], self.version.number
        key = f"keep_{split}_{self.version.id}_{strange}"
        unfinished.settle(key, default)
        with self.where:
            wanted = st.toggle(
                f"Keep the {formats.plural(size, f'{split} record')} of version {number}",
                key=key,
                help="They are checked together with the new files and stay unchanged in the new version, including "
                "their hidden gold.",
            )
            if strange:
                have = "has" if strange == 1 else "have"
                parts.note(
                    f"{formats.plural(strange, 'record')} of them {have} a label that the new labeled file lacks."
                )
        return bool(wanted)


def offer(here: Place, taken: Collection[Split]) -> Offer | None:
    """Offers the splits of the current version whose slots are not `taken`; None if there are none."""
    empty = tuple(split for split in slots.SLOTS if split not in taken and here.project.counts.get(split))
    if here.project.version_id is None or not empty:
        return None
    version = versions.get_version(here.store, here.project.version_id)
    where = st.container(key="card_from_before")
    with where:
        parts.heading(f"From version {version.number}", "Splits without a new file can be kept.")
    return Offer(here.store, version, empty, where)


@st.cache_resource(max_entries=3, show_spinner="Reading the records that are kept", hash_funcs=state.HASH)
def _loaded(store: Store, version_id: int, number: int, split: Split) -> AcceptedRows:
    return kept_rows(f"version {number}", split, walk_records(store, version_id, split))
