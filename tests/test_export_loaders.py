"""Training data leaves so that other programs read the same conversations: `datasets`, openpyxl, LLaMA-Factory.

What is expected comes from the examples themselves; every file is read by a loader that is not ours.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from openpyxl.utils.escape import unescape

os.environ["HF_DATASETS_OFFLINE"] = "1"  # before `datasets` loads
import datasets

from semievol.config import Policy
from semievol.export import export
from semievol.export.tables import pairs
from semievol.presets import load
from semievol.records import Example, Message, Record, Task
from semievol.store.data import projects, versions
from semievol.store.database import open_store
from semievol.store.runs import rounds
from tests.exported import World, lines
from tests.store.world import freeze

Turns = list[tuple[str, str]]
DOCUMENTED = Path(__file__).parents[1] / "docs" / "data.md"
AWKWARD = (
    "=HYPERLINK(1)",
    'one\ntwo\r\nthree, "quoted" \\n \t and \u2028 \x85',
    "👩🏽‍🚒 مرحبا بالعالم שלום \u202eabc",
    "\x01 \x1b[31m \x7f",
    "NA",
    "007",
    "  spaces around  ",
)
LONG = "word " * 10_000  # 50 kB, more than a cell of a workbook holds


class Awkward:
    """A project of open answers without an instruction, so that only some of its records have a system turn."""

    def __init__(self, home: Path, *more: str) -> None:
        texts = (*AWKWARD, *more)
        self.store, task = open_store(home), Task("text")
        talk = (Message("system", "Be brief."), Message("user", AWKWARD[1]), Message("assistant", AWKWARD[0]))
        labeled = [Record(f"l{i}", text, (), text, "labeled", i) for i, text in enumerate(texts)]
        pool = [Record(f"u{i}", f"{text}?", (), None, "unlabeled", i, earlier=talk) for i, text in enumerate(texts)]
        made = projects.create_project(self.store, "Awkward", task)
        versions.store_version(self.store, made.id, [*labeled, *pool], {}, [], [], task)
        self.project = projects.find_project(self.store, made.id)
        self.round = rounds.open_round(self.store, made.id, load("paper"))
        freeze(self.store, self.round.id, Policy(), {f"u{i}": text for i, text in enumerate(texts)}, {"u1": "expert"})

    def export(self, out: Path) -> Path:
        return export(self.store, self.project, "training", out)

    @property
    def examples(self) -> list[Example]:
        return [example for _, example in pairs(self.store, self.project, self.round, 1)]

    @property
    def told(self) -> list[Turns]:
        """The conversation of every example, with its answer."""
        return [[*((t.role, t.content) for t in e.messages), ("assistant", e.answer)] for e in self.examples]


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Awkward:
    made = Awkward(tmp_path_factory.mktemp("awkward"), LONG)
    assert {turns[0][0] for turns in made.told} == {"system", "user"}
    return made


def loaded(path: Path, **options: Any) -> list[dict[str, Any]]:
    """The rows, as the `datasets` library reads them."""
    builder = {"csv": "csv", "parquet": "parquet"}.get(path.suffix[1:], "json")
    cache = str(path.parent / "cache")
    return list(datasets.load_dataset(builder, data_files=str(path), split="train", cache_dir=cache, **options))


def chat(row: dict[str, Any]) -> Turns:
    return [(turn["role"], turn["content"]) for turn in row["messages"]]


def described(kind: str) -> dict[str, Any]:
    """The entry of `dataset_info.json` that our documentation gives for files of this ending."""
    [block] = re.findall(r"```json\n(\{.*?file_name.*?)```", DOCUMENTED.read_text(encoding="utf-8"), re.DOTALL)
    [entry] = [one for one in json.loads(block).values() if one["file_name"] == f"train{kind}"]
    assert isinstance(entry, dict)
    return entry


def as_llama_factory(entry: dict[str, Any], row: dict[str, Any]) -> Turns:
    """An example as LLaMA-Factory's documentation (data/README.md, with the defaults given there) says it is read."""
    columns, tags = entry.get("columns", {}), entry.get("tags", {})
    system = row[columns["system"]] if "system" in columns else ""
    if entry.get("formatting", "alpaca") == "alpaca":
        said = [turn for pair in row[columns["history"]] for turn in zip(("user", "assistant"), pair, strict=True)]
        asked = [row[columns.get("prompt", "instruction")], row[columns.get("query", "input")]]
        said += [("user", "\n".join(filter(None, asked))), ("assistant", row[columns.get("response", "output")])]
    else:
        role, content = tags.get("role_tag", "from"), tags.get("content_tag", "value")
        turns = [(turn[role], turn[content]) for turn in row[columns.get("messages", "conversations")]]
        if turns[0][0] == tags.get("system_tag", "system"):
            (_, system), *turns = turns
        names = {tags.get("user_tag", "human"): "user", tags.get("assistant_tag", "gpt"): "assistant"}
        said = [(names[who], text) for who, text in turns]
        assert [who for who, _ in said] == ["user", "assistant"] * (len(said) // 2), "turns take turns"
    return [("system", system), *said] if system else said


@pytest.mark.parametrize("name", ["train.jsonl", "train.json", "train.openai.jsonl"])
def test_datasets_reads_the_messages_letter_by_letter(awkward: Awkward, tmp_path: Path, name: str) -> None:
    rows = loaded(awkward.export(tmp_path / name))
    assert [chat(row) for row in rows] == awkward.told
    if "openai" not in name:
        assert [row["record_id"] for row in rows] == [example.record_id for example in awkward.examples]
        assert [row["answer"] for row in rows] == [example.answer for example in awkward.examples]


@pytest.mark.parametrize("kind", [".alpaca.json", ".sharegpt.json", ".jsonl"])
def test_llama_factory_reads_the_same_conversations(awkward: Awkward, tmp_path: Path, kind: str) -> None:
    rows = loaded(awkward.export(tmp_path / f"train{kind}"))
    assert [as_llama_factory(described(kind), row) for row in rows] == awkward.told


@pytest.mark.parametrize("name", ["train.jsonl", "train.alpaca.jsonl", "train.sharegpt.jsonl"])
def test_a_file_of_which_the_first_part_is_all_gold_is_read_as_well(tmp_path: Path, name: str) -> None:
    path = World(tmp_path / "home").export("training", tmp_path / name)
    # `datasets` takes the types of the columns from the first part that it reads, by default 10 MB.
    passports = [json.loads(row["passport"]) for row in loaded(path, chunksize=100)]
    assert [passport["origin"] for passport in passports][3:6] == ["gold", "pseudo", "expert"]


def apostrophe(text: str) -> str:
    """What a spreadsheet would run has an apostrophe in front."""
    return f"'{text}" if text.startswith("=") else text


def test_datasets_reads_a_parquet_file_with_the_messages_as_json(awkward: Awkward, tmp_path: Path) -> None:
    rows = loaded(awkward.export(tmp_path / "train.parquet"))
    assert [chat({"messages": json.loads(row["messages"])}) for row in rows] == awkward.told
    assert [row["answer"] for row in rows] == [example.answer for example in awkward.examples]


def test_datasets_reads_a_csv_file_once_told_that_all_is_text(awkward: Awkward, tmp_path: Path) -> None:
    # It reads CSV with pandas, which would take `NA` for no value and `007` for a number.
    path = awkward.export(tmp_path / "train.csv")
    text = datasets.Features({str(name): datasets.Value("string") for name in pd.read_csv(path, nrows=0)})
    rows = loaded(path, keep_default_na=False, features=text)
    assert [chat({"messages": json.loads(row["messages"])}) for row in rows] == awkward.told
    assert [row["answer"] for row in rows] == [apostrophe(example.answer) for example in awkward.examples]


def test_openpyxl_reads_a_workbook_without_control_characters(tmp_path: Path) -> None:
    short = Awkward(tmp_path / "home")
    sheet = openpyxl.load_workbook(short.export(tmp_path / "train.xlsx"), read_only=True)["export"]
    head, *cells = sheet.iter_rows(values_only=True)
    rows = [dict(zip(head, row, strict=True)) for row in cells]
    assert [chat({"messages": json.loads(row["messages"])}) for row in rows] == short.told
    kept = [re.sub("[\x01\x1b]", "\ufffd", apostrophe(example.answer)) for example in short.examples]
    assert [unescape(row["answer"]) for row in rows] == kept


def test_datasets_reads_every_other_table_row_by_row(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    for what, ending in itertools.product(("answers", "all_answers", "candidates", "selection"), ("jsonl", "parquet")):
        told = lines(world.export(what, tmp_path / f"{what}-beside-{ending}.jsonl"))
        for row, known in zip(loaded(world.export(what, tmp_path / f"{what}.{ending}")), told, strict=True):
            for name, value in known.items():
                if isinstance(row[name], datetime):  # it reads ISO 8601 as a time
                    assert row[name].replace(tzinfo=UTC) == datetime.fromisoformat(value)
                elif not isinstance(value, list | dict):
                    assert row[name] == value, (what, ending, name)
