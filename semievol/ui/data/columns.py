"""The mapping of columns to roles (suggested, or as in the current version, then confirmed) and the kind of task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import get_args

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semievol.errors import UserError
from semievol.importing.earlier_mapping import mapping_again
from semievol.importing.mapping import Mapping as Columns
from semievol.importing.suggestions import suggest_mapping
from semievol.importing.table import Table
from semievol.importing.task_kind import infer_task
from semievol.records import Kind, Split, Task
from semievol.store.data import records, versions
from semievol.store.data.projects import Project
from semievol.ui.data import import_draft
from semievol.ui.shell import formats, parts
from semievol.ui.shell.state import Place

NONE = "(none)"
ROLE_HELP = {
    "question": "What the model is asked.",
    "answer": "The known answer: a letter, a label, a number or a text.",
    "options": "The answers to choose from, as a list in one cell.",
    "id": "Your own identifier of each record; exports contain it.",
    "context": "A passage that the question is about. It is placed before the question.",
    "group": "Records of one group (such as a patient or a document) always go into the same split.",
    "gold": "Known answers of unlabeled records, used for measuring only and never shown to a model.",
    "earlier": "What was said before the question. Each of these turns becomes a turn of the prompt.",
}
WIDE, SHOWN = 20, 20
_WORDS = {"gold": "Hidden gold", "earlier": "Earlier turns"}
_MORE = ("context", "group", "gold", "earlier")


def mapping(here: Place, read: Mapping[Split, Table]) -> Columns:
    """One select box per role. Column names are text from data; select boxes show their options as plain text.

    The context may be a column that `joined_columns.with_joined` adds.
    """
    names = list(dict.fromkeys(column for table in read.values() for column in table.columns))
    suggested = _suggested(here, read)
    files = hashlib.sha256(repr([(split, table.columns) for split, table in read.items()]).encode()).hexdigest()[:12]
    chosen: dict[str, str | None] = {}
    first = [role for role in ROLE_HELP if role not in _MORE]
    for column, role in zip(st.columns(len(first)), first, strict=True):
        chosen[role] = _box(column, role, suggested, names, files)
    opened = any(getattr(suggested, role) for role in _MORE)
    with st.expander("Context, groups, hidden gold, earlier turns", expanded=opened):
        for column, role in zip(st.columns(len(_MORE)), _MORE, strict=True):
            chosen[role] = _box(column, role, suggested, names, files)
    choices = suggested.choices if chosen["options"] is None else ()
    if choices:
        st.text(f"Options from the columns {', '.join(choices)}")
    roles = {role: chosen[role] for role in ROLE_HELP if role != "question"}
    found = Columns(chosen["question"] or "", choices=choices, **roles)
    used = {name for column in found.columns() for name in (column, *column.split("+"))}
    if unused := [name for name in names if name not in used]:
        st.text(f"Not used, and not kept: {', '.join(unused[:SHOWN])}{' …' if unused[SHOWN:] else ''}")
    return found


def _box(column: DeltaGenerator, role: str, suggested: Columns, names: list[str], files: str) -> str | None:
    options = names if role == "question" else [NONE, *names]
    value, key = getattr(suggested, role), f"map_{role}_{files}"
    kept = st.session_state.get(key, import_draft.current().choices.get(key))
    options = [*options, *(one for one in {kept, value} - set(options) if one and set(one.split("+")) <= set(names))]
    import_draft.settle(key, value if value in options else options[0], options)
    import_draft.current().boxes[role] = key
    picked = column.selectbox(_WORDS.get(role, role.capitalize()), options, key=key, help=ROLE_HELP[role])
    if picked is not None and len(picked) > WIDE:
        column.text(picked)  # the box shows only the beginning of a long name
    return None if picked == NONE else picked


def _suggested(here: Place, read: Mapping[Split, Table]) -> Columns:
    """The mapping of the current version, as far as the new files have its columns; else one by names and content."""
    if here.project.version_id is not None:
        version = versions.get_version(here.store, here.project.version_id)
        if (again := mapping_again(version.sources, read)) is not None:
            found, differences = again
            but = ", except, as suggested:" if differences else "."
            parts.note(f"The columns mean the same as in version {version.number}{but}")
            for sentence in differences:
                st.text(sentence)
            return found
    try:
        return suggest_mapping(read)
    except UserError as error:
        st.text(error.what)
        return Columns("")


def task(here: Place, read: Mapping[Split, Table], columns: Columns, settled: Task | None) -> tuple[Task, bool]:
    """The task, inferred and changeable, and whether answers in the unlabeled file are kept as hidden gold.

    settled: the task if labeled records are kept from the current version, None if none are.
    """
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        if settled is None:
            found = _inferred(here.project, read, columns)
        else:
            found = settled
            if settled.kind == "multiple_choice":
                infer_task(read, columns, settled.kind)  # raises a UserError if the files have no options
            st.text(f"Task: {formats.KIND_WORDS[settled.kind]}, as in version {here.project.version_number}")
    with right:
        known = "unlabeled" in read and columns.answer_in("unlabeled") in read["unlabeled"].columns
        if columns.gold is not None:
            st.text(f'Hidden gold is kept from "{columns.gold}".')
            hide_gold = known
        else:
            if known:
                before = here.project.version_id
                import_draft.settle(
                    import_draft.HIDE_GOLD, before is not None and records.hidden_gold_count(here.store, before) > 0
                )
            hide_gold = st.toggle(
                "Keep answers of the unlabeled file as hidden gold",
                disabled=not known,
                key=import_draft.HIDE_GOLD if known else "no_gold_to_hide",
                help="Hidden gold is used for measuring only: no model sees it and no policy uses it. If off, these "
                "answers are ignored.",
            )
    if found.labels:
        st.text(f"Labels: {', '.join(found.labels)}")
    return found, bool(hide_gold and known)


def _inferred(project: Project, read: Mapping[Split, Table], columns: Columns) -> Task:
    inferred = infer_task(read, columns)
    wished = project.task.kind if project.task is not None and project.version_id is None else inferred.kind
    key = f"kind_{inferred.kind}_{wished}"
    import_draft.settle(key, wished, get_args(Kind))
    import_draft.current().boxes["task"] = key
    kind = st.segmented_control(
        "Task",
        get_args(Kind),
        format_func=lambda k: formats.KIND_WORDS[k],
        required=True,
        key=key,
        help="Multiple choice: every record has its own options. Classification: all records share one set of labels.",
    )
    return inferred if kind == inferred.kind else infer_task(read, columns, kind)
