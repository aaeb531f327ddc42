"""No cell changes on its way: questions, answers and ids have the same hashes in the file, the store, the export."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semievol.config import Policy
from semievol.export import export
from semievol.importing.build import build_records
from semievol.importing.mapping import Mapping
from semievol.importing.readers.read import read_table
from semievol.presets import load
from semievol.records import Task
from semievol.store.data import projects, records, versions
from semievol.store.database import open_store
from semievol.store.runs import rounds
from tests.importing.files import csv_bytes, parquet_bytes, xlsx_bytes
from tests.store.world import freeze

HEAD = ["question", "answer", "name"]
TRICKY = ["NA", "null", "None", "007", "1.0", "1e5", "9007199254740993", "TRUE", "=1+1", "'x", '"', "a,b;c\td|e", "#"]
_VALID = st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0")
ANY = st.text(_VALID, min_size=1, max_size=20)
PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=20)


def cells(text: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    cell = st.sampled_from(TRICKY) | text
    filled = cell.filter(lambda value: bool(value.strip()))
    bare = filled.map(str.strip)  # an answer's outer white space means nothing, and is not kept
    return st.lists(st.tuples(filled, bare, filled).map(list), min_size=1, max_size=6)


def as_json(rows: list[list[str]]) -> bytes:
    return json.dumps([dict(zip(HEAD, row, strict=True)) for row in rows]).encode()


def as_lines(rows: list[list[str]]) -> bytes:
    return "\n".join(json.dumps(dict(zip(HEAD, row, strict=True)), ensure_ascii=False) for row in rows).encode()


def as_parquet(rows: list[list[str]]) -> bytes:
    return parquet_bytes({name: [row[i] for row in rows] for i, name in enumerate(HEAD)})


WRITERS: dict[str, tuple[st.SearchStrategy[str], Callable[[list[list[str]]], bytes]]] = {
    "a.csv": (ANY, lambda rows: csv_bytes([HEAD, *rows], quoting=csv.QUOTE_ALL)),
    "a.tsv": (ANY, lambda rows: csv_bytes([HEAD, *rows], quoting=csv.QUOTE_ALL, delimiter="\t")),
    "a.json": (ANY, as_json),
    "a.jsonl": (PLAIN, as_lines),  # a line end inside a value is escaped by who writes JSON Lines
    "a.parquet": (ANY, as_parquet),
    "a.xlsx": (PLAIN.filter(lambda text: not text.startswith("=")), lambda rows: xlsx_bytes([HEAD, *rows])),
}


def digest(cell: str | None) -> str:
    return hashlib.sha256((cell or "").encode()).hexdigest()


@pytest.mark.parametrize("name", WRITERS)
@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_cell_leaves_as_it_came(name: str, tmp_path: Path, data: st.DataObject) -> None:
    alphabet, write = WRITERS[name]
    rows = data.draw(cells(alphabet))
    if name == "a.xlsx":  # there, "=" makes a formula
        rows = [[cell.lstrip("=") or "x" for cell in row] for row in rows]
    source = [[digest(cell) for cell in row] for row in rows]
    table = read_table(write(rows), name)
    assert table.rejected == []
    task = Task("text")
    imported = build_records({"labeled": table}, Mapping("question", "answer", id="name"), task)
    store = open_store(tmp_path)
    project = projects.create_project(store, f"exact {len(projects.list_projects(store))}", task)
    version = versions.store_version(store, project.id, imported.records, imported.gold(), [], [], task)
    stored = records.load_records(store, version)
    assert [[digest(r.question), digest(r.answer), digest(r.source_id)] for r in stored] == source
    round_ = rounds.open_round(store, project.id, load("studio", assignments=["calibration=0"]))
    freeze(store, round_.id, Policy(), {}, {})
    out = tmp_path / f"{project.id}.{data.draw(st.sampled_from(['jsonl', 'json', 'parquet']))}"
    export(store, projects.find_project(store, project.id), "training", out)
    told = read_table(out)
    left = zip(told.column("question"), told.column("answer"), told.column("source_id"), strict=True)
    assert [[digest(cell) for cell in row] for row in left] == source
