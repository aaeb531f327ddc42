"""An import as numbers and in sentences, for the command line: what was taken for what, what became of the rows, and
one record as a model will see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from semievol.importing.imported import Imported
from semievol.records import SPLITS, Split
from semievol.task.prompts import render

_SHOWN = 5  # rejected rows that are printed for each split
_LONGEST = 600  # characters of the record that is printed


def as_dict(imported: Imported) -> dict[str, Any]:
    """Task, splits with their mapping, findings, and a record as a model sees it."""
    task = imported.task
    splits = {
        split: part.as_dict() | {"mapping": mapping_of(imported, split)} for split, part in imported.report.items()
    }
    found = {"task": task.kind, "labels": list(task.labels), "instruction": task.instruction}
    return found | {"splits": splits, "record": seen(imported), "findings": imported.findings_with_outcome()}


def sentences(imported: Imported) -> list[str]:
    """The same, line by line."""
    return [line for part in (_rows, _understood, _findings) for line in part(imported)]


def mapping_of(imported: Imported, split: Split) -> dict[str, str]:
    """Role -> column of a split's file; the answer's column of unlabeled records only if it is hidden gold."""
    if split not in imported.tables:
        return {}
    mapping, columns = imported.mapping, imported.tables[split].columns
    roles = {role: column for role, column in mapping.as_dict().items() if role == "options" or column in columns}
    if split == "unlabeled":
        roles.pop("answer", None)
        gold = mapping.answer_in(split)
        if imported.hides_gold and gold in columns:
            roles["gold"] = str(gold)
    else:
        roles.pop("gold", None)
    return roles


def seen(imported: Imported) -> dict[str, Any] | None:
    """One record as a model sees it: the turns of its prompt without demonstrations, and its answer. The first with
    earlier turns among some, else the first."""
    some = imported.records[:200]
    if not some:
        return None
    record = next((one for one in some if one.earlier), some[0])
    turns = [{"role": turn.role, "content": turn.content} for turn in render(imported.task, record)]
    return {"split": record.split, "row": record.row, "turns": turns, "answer": record.answer}


def _rows(imported: Imported) -> Iterator[str]:
    for split, part in imported.report.items():
        yield f"  {split}: {part.accepted:,} of {part.physical:,} records"
    for split, part in imported.report.items():
        yield from (f"    {split}: {note}" for note in part.notes)
    for split, part in imported.report.items():
        for one in part.rejects[:_SHOWN]:
            yield f"  rejected, {split} row {one.row}, {one.column or 'whole row'}: {one.reason}"
        if part.rejected > _SHOWN:
            yield f"  {part.rejected - _SHOWN:,} more (--rejected FILE writes all)"


def _understood(imported: Imported) -> Iterator[str]:
    labels = imported.task.labels
    if labels:
        more = f" and {len(labels) - 12:,} more" if len(labels) > 12 else ""
        yield f"  labels: {', '.join(labels[:12])}{more}"
    for split in SPLITS:
        if roles := mapping_of(imported, split):
            yield f"  {split} columns: " + ", ".join(f"{role}={column}" for role, column in roles.items())
    if (record := seen(imported)) is not None:
        yield f"  As a model will see {record['split']} row {record['row']}:"
        for turn in record["turns"]:
            yield f"    [{turn['role']}] {_shortened(turn['content'])}"
        if record["answer"] is not None:
            yield f"    [answer] {_shortened(record['answer'])}"


def _shortened(text: str) -> str:
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return shown.replace("\n", "\n      ")


def _findings(imported: Imported) -> Iterator[str]:
    for one in imported.findings:
        where = f" In {one.where}." if one.where else ""
        todo = f" {one.remedy}" if one.asks and one.remedy else ""
        todo += f" ({one.option})" if one.option else ""
        yield f"  {one.kind}: {one.count:,}. {one.what}{where}{todo}"
