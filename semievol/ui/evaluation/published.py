"""The paper's own table, beside a project on one of its data sets: what the method gave its authors.

Figures of the first version of the preprint (SemiEvol, arXiv 2410.14745v1): accuracy in percent of the base model
(vanilla), after plain fine-tuning (SFT) and after SemiEvol. A project is on a data set if the data set's name is a word
of the project's name or of a file's name, and its task is of a kind that fits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from semievol.records import Task
from semievol.store.data import versions
from semievol.ui.shell import parts, tables
from semievol.ui.shell.state import Place

LLAMA, GPT = "Llama-3.1-8B", "GPT-4o-mini"
PUBLISHED: dict[str, dict[str, tuple[float, float, float]]] = {
    "MMLU": {LLAMA: (66.4, 67.9, 70.3), GPT: (77.4, 77.8, 79.9)},
    "MMLU-Pro": {LLAMA: (47.1, 49.8, 54.3), GPT: (57.8, 58.8, 60.8)},
    "ARC": {LLAMA: (81.1, 81.8, 83.4), GPT: (91.5, 90.3, 92.7)},
    "FPB": {LLAMA: (81.7, 96.2, 96.9), GPT: (93.4, 98.0, 98.9)},
    "USMLE": {LLAMA: (70.2, 70.8, 71.6), GPT: (73.8, 75.0, 77.2)},
    "PubMedQA": {LLAMA: (73.5, 75.0, 76.0), GPT: (77.5, 77.5, 79.5)},
    "ConvFinQA": {LLAMA: (51.1, 81.3, 83.6), GPT: (63.9, 88.8, 89.2)},
}
_CHOICE, _CLOSED, _NUMBER = ("multiple_choice",), ("multiple_choice", "classification"), ("numeric", "text")
_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "mmlu pro": ("MMLU-Pro", _CHOICE),
    "mmlupro": ("MMLU-Pro", _CHOICE),
    "mmlu": ("MMLU", _CHOICE),
    "arc": ("ARC", _CHOICE),
    "fpb": ("FPB", _CLOSED),
    "financial phrasebank": ("FPB", _CLOSED),
    "usmle": ("USMLE", _CHOICE),
    "medqa": ("USMLE", _CHOICE),
    "pubmedqa": ("PubMedQA", _CLOSED),
    "convfinqa": ("ConvFinQA", _NUMBER),
}
"""Words of a name -> the data set, and the kinds of task that it may be; the longer name first."""


def data_set(task: Task, names: Sequence[str]) -> str | None:
    """The data set of the paper that a project with these names (its own, its files') is on; None for any other."""
    spelled = [f" {' '.join(re.findall(r'[a-z0-9]+', name.lower()))} " for name in names]
    for words, (found, kinds) in _NAMES.items():
        if task.kind in kinds and any(f" {words} " in one for one in spelled):
            return found
    return None


def published(here: Place) -> None:
    """The paper's figures, if the project is on one of its data sets; nothing otherwise."""
    sources = versions.get_version(here.store, here.round.version_id).sources
    found = data_set(here.task, [here.project.name, *(str(source.get("name", "")) for source in sources)])
    if found is None:
        return
    with parts.card("published"):
        parts.heading(
            f"{found} in the paper",
            "As published (first version of the preprint), other models and splits: for orientation. Accuracy in %.",
        )
        lines = [(model, *figures) for model, figures in PUBLISHED[found].items()]
        shown = pd.DataFrame(lines, columns=["Model", "Not fine-tuned", "Plain fine-tuning", "SemiEvol"])
        tables.table(shown, "published", forms=dict.fromkeys(shown.columns[1:], "%.1f"))
