"""Labels that look misspelled: what the visitor reads each of them as, and the boxes to choose it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from semievol.importing.label_spellings import Variant
from semievol.records import Task
from semievol.task.answers import fold
from semievol.ui.data import import_draft

KEEP = ""
_A_ROW = 4


@dataclass(frozen=True)
class Misspelled:
    """variants: the labels that look like another one; labels: of the task; read_as: what was chosen, see
    `label_spellings.relabeled`."""

    variants: Sequence[Variant]
    labels: Sequence[str]
    read_as: Mapping[str, str]

    def draw(self) -> None:
        """A box for each of the labels, and a button for all."""
        taken = [one for one in self.variants if fold(one.label) in self.read_as]
        whole = len(taken) == len(self.variants)
        words = "Keep all as labels of their own" if whole else f"Read all as suggested ({len(self.variants):,})"
        st.button(words, key="misspelled_all", on_click=_choose_all, args=(self.variants, not whole))
        for start in range(0, len(self.variants), _A_ROW):
            row = self.variants[start : start + _A_ROW]
            for column, one in zip(st.columns(_A_ROW), row, strict=False):
                column.text(f'"{one.label}" ({one.count:,})')
                column.selectbox(
                    f"Label {_key(one)} is read as",
                    _options(one, self.labels),
                    format_func=_said,
                    key=_key(one),
                    label_visibility="collapsed",
                )


def chosen(variants: Sequence[Variant], task: Task, before: Mapping[str, str]) -> Misspelled:
    """What the visitor chose; at first, what was chosen for the version in use (`before`)."""
    known = {fold(label) for label in task.labels}
    read_as = {old: new for old, new in before.items() if old in known or fold(new) in known}
    for one in variants:
        import_draft.settle(_key(one), before.get(fold(one.label), KEEP), _options(one, task.labels))
        value = st.session_state[_key(one)]
        read_as = {old: new for old, new in read_as.items() if old != fold(one.label)}
        if value != KEEP:
            read_as[fold(one.label)] = value
    return Misspelled(variants, task.labels, read_as)


def _options(one: Variant, labels: Sequence[str]) -> list[str]:
    return [KEEP, one.likely, *(label for label in labels if label not in (one.likely, one.label))]


def _said(option: str) -> str:
    return "Keep" if option == KEEP else f"Read as {option}"


def _key(one: Variant) -> str:
    return f"spelling_{hashlib.sha256(fold(one.label).encode()).hexdigest()[:12]}"


def _choose_all(variants: Sequence[Variant], suggested: bool) -> None:
    for one in variants:
        st.session_state[_key(one)] = one.likely if suggested else KEEP
