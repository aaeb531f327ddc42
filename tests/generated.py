"""Projects of every kind, drawn by hypothesis from the schema itself: a table added later is filled, too."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, Double, Integer, Table, insert, select

from semievol import presets
from semievol.records import SPLITS, STAGES
from semievol.store import schema
from semievol.store.archives import ownership
from semievol.store.archives.export_rows import ADAPTERS, FOLDS
from semievol.store.columns import Json
from semievol.store.data import projects
from semievol.store.data.projects import Project
from semievol.store.database import Store

_TASK = {"kind": "classification", "labels": ["a", "b"], "instruction": "", "tolerance": 1e-6}
_CONFIGS = [
    presets.load(name, assignments=[f"model={model}", f"seed={seed}"]).model_dump(mode="json")
    for name, model, seed in (("studio", "starter", 0), ("paper", "/home/ada/models/tiny", 1), ("studio", "o/m", 2))
]
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
_NUMBERS = st.floats(allow_nan=False, width=64)
_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=5,
)
_SPECIAL: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("projects", "settings"): st.sampled_from([{}, {"model": "/home/ada/m"}]),
    ("projects", "task"): st.sampled_from([None, _TASK]),
    ("versions", "task"): st.just(_TASK),
    ("versions", "counts"): st.just({"labeled": 1}),
    ("versions", "sources"): st.just([]),
    ("rounds", "config"): st.sampled_from(_CONFIGS),
    ("runs", "config"): st.sampled_from(_CONFIGS),
    ("runs", "status"): st.sampled_from(["queued", "running", "stopping", "done", "failed", "cancelled"]),
    ("runs", "first"): st.sampled_from(STAGES),
    ("runs", "until"): st.sampled_from(STAGES),
    ("stages", "stage"): st.sampled_from(STAGES),
    ("costs", "stage"): st.sampled_from(STAGES),
    ("stages", "status"): st.sampled_from(["waiting", "running", "done"]),
    ("records", "split"): st.sampled_from(SPLITS),
    ("decisions", "action"): st.sampled_from(["accept", "reject", "edit", "skip", "ambiguous", "undo"]),
    ("records", "earlier"): st.none()
    | st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), _TEXT).map(list)),
    ("reviews", "policy"): st.just(_CONFIGS[0]["policy"]),
    ("selections", "policy"): st.sampled_from([None, _CONFIGS[0]["policy"]]),
}


def project(store: Store, name: str, draw: Any, adapters: list[str]) -> Project:
    """A project with up to three rows in every table. adapters: folders of finished ones, as they are stored."""
    made = projects.create_project(store, name)
    known: dict[str, list[int]] = {"projects": [made.id]}
    with store.write() as connection:
        for table in ownership.tables():
            if table is schema.projects:
                continue
            for _ in range(draw(st.integers(0, 3))):
                row = _row(table, draw, known, adapters)
                if row is not None:
                    # what the schema forbids is left out
                    connection.execute(insert(table).prefix_with("OR IGNORE").values(**row))
            if (key := ownership.number(table)) is not None:
                mine = select(key).where(ownership.owned(table, made.id)).order_by(key)
                known[table.name] = list(connection.execute(mine).scalars())
    return projects.find_project(store, made.id)


def _row(table: Table, draw: Any, known: dict[str, list[int]], adapters: list[str]) -> dict[str, Any] | None:
    """Values of a row, None where it would have to point at a row and there is none."""
    row: dict[str, Any] = {}
    for column in table.columns:
        if column is ownership.number(table):
            continue
        if (target := ownership.pointers(table).get(column.name)) is not None:
            there = known.get(target, [])
            if not there and not column.nullable:
                return None
            row[column.name] = draw(st.sampled_from([*there, None] if column.nullable else there))
        else:
            row[column.name] = _value(table, column, draw, known, adapters)
    return row


def _value(table: Table, column: Column[Any], draw: Any, known: dict[str, list[int]], adapters: list[str]) -> Any:
    here = (table.name, column.name)
    if here in _SPECIAL:
        return draw(_SPECIAL[here])
    if here in ADAPTERS:
        return draw(st.sampled_from([None, *adapters]))
    if here == FOLDS:
        return draw(st.none() | st.dictionaries(st.sampled_from("012"), st.sampled_from(adapters), max_size=2))
    if here in ownership.LISTS:
        return draw(st.lists(st.sampled_from(known["records"]), max_size=3)) if known["records"] else []
    if column.nullable and draw(st.booleans()):
        return None
    kind = column.type
    if isinstance(kind, Boolean):
        return draw(st.booleans())
    if isinstance(kind, Integer):
        return draw(st.integers(-(2**40), 2**40))
    if isinstance(kind, Double):
        return draw(_NUMBERS)
    return draw(_DOCUMENTS if isinstance(kind, Json) else _TEXT)
