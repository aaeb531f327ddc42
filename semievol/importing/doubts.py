"""Findings about guesses that change what records mean: a person confirms them, or gives the right reading.

Some are made in reading a file (`Table.doubts`), others show in the mapping and the task. Each has a remedy: a click on
the page, an option of the command line. `--strict` refuses them unless `--accept KIND` confirms them.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Tables

from semievol.importing.checks import Finding, example
from semievol.importing.mapping import Mapping
from semievol.importing.table import Table
from semievol.records import SPLITS, Split, Task


def doubts(tables: Tables[Split, Table], mapping: Mapping, task: Task) -> Iterator[Finding]:
    """All of them, those of the files first."""
    yield from _of_files(tables)
    yield from _differing_instructions(tables)


def _of_files(tables: Tables[Split, Table]) -> Iterator[Finding]:
    for split, table in tables.items():
        for one in table.doubts:
            examples = tuple(example(split, row, text) for row, text in one.examples)
            yield Finding(
                one.kind, one.rows, f"{split}: {one.what}", one.remedy, examples, {split: one.rows}, asks=True
            )


def _differing_instructions(tables: Tables[Split, Table]) -> Iterator[Finding]:
    """Files whose conversations share another system turn than those of the first file."""
    first = shared_instruction(tables)
    for split, table in tables.items():
        if table.instruction and table.instruction != first:
            what = f"{split}: The system turn of its conversations differs from that of the other file and is left out."
            remedy = "Give an instruction that is right for all records."
            yield Finding(
                "system_turn_left_out", len(table), what, remedy, (example(split, 0, table.instruction),), asks=True
            )


def shared_instruction(tables: Tables[Split, Table]) -> str:
    """The system turn that the conversations of the first such file share; "" if there is none."""
    return next((tables[split].instruction for split in SPLITS if split in tables and tables[split].instruction), "")
