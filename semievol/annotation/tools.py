"""The tools by name, and reading what any of them exported."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from semievol.annotation import argilla, label_studio, prodigy
from semievol.annotation.exchange import Json, Returned, Suggestion
from semievol.errors import UserError
from semievol.records import Task


@dataclass(frozen=True)
class Tool:
    """name: for a person. files: a task's suggestions as files that the tool imports, by name. records: name of
    the file with the records. recognises: whether an object is a record of the tool's export. returned: such a
    record."""

    name: str
    records: str
    files: Callable[[Task, Sequence[Suggestion]], dict[str, bytes]]
    recognises: Callable[[Json], bool]
    returned: Callable[[Json], Returned]


TOOLS = {
    key: Tool(tool.NAME, tool.RECORDS, tool.files, tool.recognises, tool.returned)
    for key, tool in {"label_studio": label_studio, "argilla": argilla, "prodigy": prodigy}.items()
}


@dataclass(frozen=True)
class Export:
    """What a tool exported: records in the order of the file, and how many entries could not be read."""

    tool: str
    returned: tuple[Returned, ...]
    unread: int = 0


def read(texts: Iterable[str], file: str, unread: int = 0) -> Export:
    """The export that consists of these JSON objects. file: its name, for messages. unread: how many entries of the
    file are no objects. Raises UserError if no tool has written it."""
    tool: Tool | None = None
    found: dict[Returned, Returned] = {}
    for text in texts:
        one = json.loads(text, parse_int=str, parse_float=str)  # no number matters, and one of many digits is refused
        if tool is None:
            tool = next((known for known in TOOLS.values() if known.recognises(one)), None)
        if tool is None or not tool.recognises(one):
            unread += 1
            continue
        _add(found, tool.returned(one))
    if tool is None:
        names = ", ".join(known.name for known in TOOLS.values())
        raise UserError(
            f"The file is not an export of a known tool ({names}).", file, "Export from the tool as JSON, as it is."
        )
    return Export(tool.name, tuple(found.values()), unread)


def _add(found: dict[Returned, Returned], one: Returned) -> None:
    """Some tools write a record once for each annotator; its annotations come together."""
    content = replace(one, annotations=())
    before = found.get(content)
    found[content] = one if before is None else replace(before, annotations=before.annotations + one.annotations)
