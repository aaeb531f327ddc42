"""JSON Lines and JSON arrays of objects: strings decoded, every other value kept as it is written.

Numbers are never parsed (a 23-digit number stays as written); lists and objects inside a record stay JSON text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from semievol.errors import UserError
from semievol.importing.readers.content import SAVE_AS_UTF8, Content
from semievol.importing.table import Limits, Table, check_columns
from semievol.importing.table_writer import TableWriter

OBJECT = "object"
"""Name of the only column where records are read whole (`ReadAs.whole`)."""
KEY = "key"
"""Name of the column with the names under which records stand in one object."""
_SPACE = re.compile(r"[ \t\r\n]*")
_ONE_PER_LINE = "Write one JSON object per line, or one array of objects in a .json file."
_GATHERED = 1_024
_FIELDS = 10
"""More names than this, the same in a few objects, are those of rows."""
_CORRECT = "Correct this record or delete it."


class _Bad(ValueError):
    """Why one record cannot be read."""


class _Constant(str):
    """NaN or an infinity, which are no JSON but which many programs write."""


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Bad(f'The key "{key[:60]}" is given twice.')
        found[key] = value
    return found


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_Constant, object_pairs_hook=_refuse_repeats)


def read_json(content: Content, limits: Limits, lines: bool) -> Table:
    """Table of a JSONL (`lines`) or JSON file; the other one of the two is recognised and noted."""
    try:
        first = next((line.strip()[0] for line in content.lines() if line.strip()), None) if lines else ""
        if first is None:
            raise _blank(content)
        if first == "[":
            content.notes.append("The file is one JSON array, not JSON Lines; its elements are the records.")
        return _read_lines(content, limits) if lines and first != "[" else _read_array(content, limits)
    except RecursionError:
        raise UserError(
            "The JSON is nested too deeply to be read.", content.name, "Flatten the records to plain fields."
        ) from None


def _read_lines(content: Content, limits: Limits) -> Table:
    reading = _Reading(content, limits)
    for number, line in enumerate(content.lines(), 1):
        text = line.strip(" \t\r\n")
        if not text:
            continue
        if not reading.writer.physical and text in ("{", "{,"):
            raise UserError(
                "The file is pretty-printed JSON, not JSON Lines.", f"{content.name}, row {number}", _ONE_PER_LINE
            )
        if number in content.bad_lines:
            reason = f"Byte {content.bad_lines[number]:,} of the file is not valid UTF-8."
            reading.writer.reject(number, "", text, reason, SAVE_AS_UTF8)
        else:
            reading.take(number, text)
    return reading.table()


def _read_array(content: Content, limits: Limits) -> Table:
    if content.size > limits.decoded:
        raise UserError(f"The JSON is larger than {limits.decoded:,} bytes, the limit.", content.name, _ONE_PER_LINE)
    if content.errors != "strict":
        raise UserError("The file is not valid UTF-8.", content.name, SAVE_AS_UTF8)
    text = content.text()
    position = _skip(text, 0)
    if position == len(text):
        raise _blank(content)
    if text[position] == "{":
        return _read_object(content, text, position, limits)
    if text[position] != "[":
        raise UserError("The file holds no array of objects.", content.name, _ONE_PER_LINE)
    return _elements(content, text, position, limits, alone=True)


def _read_object(content: Content, text: str, position: int, limits: Limits) -> Table:
    """`{"data": [...]}` is unwrapped; objects line by line are JSON Lines under another name. Other forms of one object
    are those of pandas: rows by their index, columns by their name, and names apart from the rows."""
    try:
        _, end = _DECODER.raw_decode(text, position)
    except _Bad as error:
        raise UserError(str(error), content.name, _CORRECT) from None
    except json.JSONDecodeError as error:
        raise _syntax(content, error) from None
    if _skip(text, end) < len(text):
        content.notes.append("The file is JSON Lines, one object per line.")
        return _read_lines(content, limits)
    arrays = [(key, start) for key, _, start, _ in _fields(text, position) if text[start] == "["]
    of_objects = [(key, start) for key, start in arrays if text[_skip(text, start + 1)] == "{"]
    arrays = of_objects or arrays
    if (rows := _by_name(text, position) or _split(text, position)) is not None:
        content.notes.append("The file is one object, as pandas writes it; its rows are the records.")
        reading = _Reading(content, limits)
        for number, row in enumerate(rows, 1):
            reading.take(number, row)
        return reading.table()
    if len(arrays) != 1:
        named = f"Several of its fields are arrays: {', '.join(key for key, _ in arrays)}. Keep one of them, or write"
        remedy = _ONE_PER_LINE.replace("Write", named, 1) if arrays else _ONE_PER_LINE
        raise UserError("The file is one object, not an array of objects.", content.name, remedy)
    content.notes.append(f'The records are the elements of "{arrays[0][0]}".')
    return _elements(content, text, arrays[0][1], limits)


def _elements(content: Content, text: str, position: int, limits: Limits, alone: bool = False) -> Table:
    """Records of the array at `position`; nothing may follow it if it is `alone`."""
    reading = _Reading(content, limits)
    position = _skip(text, position + 1)
    number = 0
    while text[position : position + 1] != "]":
        number += 1
        try:
            _, end = json.JSONDecoder(parse_int=str).raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise _syntax(content, error) from None
        reading.take(number, text[position:end])
        position = _skip(text, end)
        if text[position : position + 1] == ",":
            position = _skip(text, position + 1)
        elif text[position : position + 1] != "]":
            raise _syntax(content, json.JSONDecodeError("Expecting ',' or ']'", text, position))
    after = _skip(text, position + 1)
    if alone and after < len(text):
        raise _syntax(content, json.JSONDecodeError("there is more after the end of the array", text, after))
    return reading.table()


def _by_name(text: str, position: int) -> Iterator[str] | None:
    """The records of an object of objects: each is a record under its id, or a column with its cells under the number
    or name of their row, where a few have the same many names. None where the object is something else."""
    outer = [(key, value, start, end) for key, value, start, end in _fields(text, position)]
    if len(outer) < 2 or not all(isinstance(value, dict) and value for _, value, _, _ in outer):
        return None
    names = [list(value) for _, value, _, _ in outer]
    alike = all(other == names[0] for other in names)
    if all(name.isdecimal() for name in names[0]) and not alike:
        return None
    if alike and (names[0][0].isdecimal() or len(names[0]) > max(_FIELDS, len(outer))):
        columns = [(key, [text[a:b] for _, _, a, b in _fields(text, start)]) for key, _, start, _ in outer]
        return (_object((key, cells[row]) for key, cells in columns) for row in range(len(names[0])))
    shared = set(names[0]).intersection(*names[1:])
    if not shared or KEY in shared:
        return None
    fields = ([(name, text[a:b]) for name, _, a, b in _fields(text, start)] for _, _, start, _ in outer)
    return (_object([(KEY, json.dumps(key)), *cells]) for (key, _, _, _), cells in zip(outer, fields, strict=True))


def _split(text: str, position: int) -> Iterator[str] | None:
    """The records of `{"columns": [...], "index": [...], "data": [[...], ...]}`; None where the object is another."""
    found = {key: (value, start) for key, value, start, _ in _fields(text, position)}
    if not {"columns", "data"} <= set(found) <= {"columns", "data", "index"}:
        return None
    (columns, _), (rows, start) = found["columns"], found["data"]
    fits = isinstance(columns, list) and isinstance(rows, list) and all(isinstance(name, str) for name in columns)
    if not fits or not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        return None
    return (
        _object(zip(columns, (text[a:b] for a, b in _items(text, row)), strict=True)) for row, _ in _items(text, start)
    )


def _items(text: str, position: int) -> Iterator[tuple[int, int]]:
    """Where every element of the (valid) array at `position` starts and ends."""
    position = _skip(text, position + 1)
    while text[position] != "]":
        _, end = _DECODER.raw_decode(text, position)
        yield position, end
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)


def _object(fields: Iterable[tuple[str, str]]) -> str:
    """An object of fields whose values are JSON already."""
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in fields) + "}"


class _Reading:
    """Collects records; a key that no earlier record had becomes another column."""

    def __init__(self, content: Content, limits: Limits) -> None:
        form = f"JSON, {content.encoding_name}"
        file = Table(content.name, notes=content.notes, form=form, read_as=content.read_as, guessed=content.guessed)
        self.writer = TableWriter(file, limits=limits)
        self.whole = content.whole
        self.nested: dict[str, None] = {}
        self.not_numbers = 0
        self.columns: dict[str, None] = {}
        self.keys: Counter[int] = Counter()
        """Number of fields -> records that have so many."""
        self.waiting: list[tuple[int, dict[str, str | None]]] = []

    def take(self, number: int, text: str) -> None:
        try:
            record = self._record(text)
        except json.JSONDecodeError as error:
            reason = f"The record is not valid JSON ({error.msg}, character {error.pos + 1})."
            self.writer.reject(number, "", text, reason, _CORRECT)
        except _Bad as error:
            self.writer.reject(number, "", text, str(error), _CORRECT)
        else:
            self.waiting.append((number, record))
            self.keys[len(record)] += 1
            if new := [key for key in record if key not in self.columns]:
                self.columns.update(dict.fromkeys(new))
                check_columns(list(self.columns), self.writer.file.name, self.writer.limits)
            if len(self.waiting) >= _GATHERED:
                self._write()

    def _write(self) -> None:
        """Passes the waiting records to the writer, after all the columns that came with them at once."""
        self.writer.widen(list(self.columns)[len(self.writer.columns) :])
        for number, record in self.waiting:
            self.writer.add(number, [record.get(column) for column in self.columns])
        self.waiting = []

    def _record(self, text: str) -> dict[str, str | None]:
        if text[0] != "{":
            raise _Bad("The record is not an object with named fields.")
        if text[_skip(text, 1) : _skip(text, 1) + 1] == "}":
            raise _Bad("The record has no fields.")
        end = _DECODER.raw_decode(text, 0)[1]
        if _skip(text, end) < len(text):
            raise json.JSONDecodeError("Extra data", text, end)
        if self.whole:
            return {OBJECT: text}
        record: dict[str, str | None] = {}
        for key, decoded, start, end in _fields(text, 0):
            if not key.strip():
                raise _Bad("A field has no name.")
            missing = decoded is None or (isinstance(decoded, _Constant) and decoded == "NaN")
            self.not_numbers += missing and decoded is not None
            record[key] = decoded if text[start] == '"' else None if missing else text[start:end]
            if text[start] in "[{":
                self.nested[key] = None
        return record

    def table(self) -> Table:
        self._write()
        varying = self.keys.total() - self.keys[len(self.columns)]
        if varying:
            self.writer.file.notes.append(f"Records that lack some of the fields, whose cells are empty: {varying:,}.")
        if self.not_numbers:
            self.writer.file.notes.append(f"Values NaN, which were read as empty cells: {self.not_numbers:,}.")
        if self.nested:
            self.writer.file.notes.append(f"Nested values are kept as JSON text: {', '.join(list(self.nested)[:6])}.")
        self.writer.file.nested = list(self.nested)
        return self.writer.finished("record")


def _fields(text: str, position: int) -> Iterator[tuple[str, Any, int, int]]:
    """Key, value, and where the value starts and ends, of every field of the (valid) object at `position`."""
    position = _skip(text, position + 1)
    while text[position] != "}":
        key, end = _DECODER.raw_decode(text, position)
        start = _skip(text, _skip(text, end) + 1)
        value, end = _DECODER.raw_decode(text, start)
        yield key, value, start, end
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)


def _blank(content: Content) -> UserError:
    return UserError("The file holds nothing but white space.", content.name, "Choose the file that holds the data.")


def _skip(text: str, position: int) -> int:
    """The first position from `position` on that is no white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _syntax(content: Content, error: json.JSONDecodeError) -> UserError:
    where = f"{content.name}, row {error.lineno}, column {error.colno}"
    return UserError(f"The file is not valid JSON ({error.msg}).", where, "Correct the file.")
