"""Parquet: every column as text. The size is counted while decoding, since the metadata does not reveal a bomb."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from semievol.errors import UserError
from semievol.importing.readers.content import Content
from semievol.importing.table import Limits, Table, check_cells, check_columns
from semievol.importing.table_writer import TableWriter

# pa.ArrowException does not cover all that a file with flipped bytes provokes.
_UNREADABLE = (pa.ArrowException, OSError, ValueError, LookupError, ArithmeticError, MemoryError)
_DOWNLOAD_AGAIN = "Write or download the file again."
# Small, because lists and structs can only be measured once a batch is decoded.
_BATCH = 512


def read_parquet(content: Content, limits: Limits) -> Table:
    """Table of a Parquet file; rows are counted from 1. Lists, structs and maps become JSON text."""
    source: Any = pa.BufferReader(content.source) if isinstance(content.source, bytes) else str(content.source)
    try:
        names = pq.read_schema(source)
        texts = [f.name for f in names if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        if isinstance(content.source, bytes):
            source = pa.BufferReader(content.source)
        # Kept as dictionaries while decoding: a value repeated a million times is held once until it is counted.
        file = pq.ParquetFile(source, read_dictionary=texts)
        schema = file.schema_arrow
    except _UNREADABLE as error:
        raise UserError(
            f"The Parquet file is damaged or cut off ({_first_line(error)}).", content.name, _DOWNLOAD_AGAIN
        ) from None
    columns = list(schema.names)
    check_columns(columns, content.name, limits)
    for column in schema:
        _check_type(column, content.name)
    check_cells(file.metadata.num_rows, len(columns), content.name, limits)
    labels = _class_labels(schema)
    nested = [field.name for field in schema if pa.types.is_nested(_value_type(field.type))]
    table = Table(content.name, notes=content.notes, form="Parquet", label_names=labels, nested=nested)
    writer = TableWriter(table, columns, limits)
    rendered = [f"{f.name} ({_value_type(f.type)})" for f in schema if not _is_text(f.type) and f.name not in labels]
    if rendered:
        content.notes.append(f"These columns are not text and were rendered as text: {', '.join(rendered[:6])}.")
    if labels:
        content.notes.append(f"Numbers of labels were read as their names, which the file holds: {', '.join(labels)}.")
    number = 0
    try:
        _check_size(file, content.name, limits)
        for batch in file.iter_batches(batch_size=_BATCH):
            named = zip(columns, batch.columns, strict=True)
            cells = [_as_names(column, labels[name]) if name in labels else _as_text(column) for name, column in named]
            for row in zip(*cells, strict=True):
                number += 1
                writer.add(number, row)
    except _UNREADABLE as error:
        raise UserError(
            f"The Parquet file is damaged ({_first_line(error)}).", f"{content.name}, row {number + 1}", _DOWNLOAD_AGAIN
        ) from None
    return writer.finished()


def _check_size(file: pq.ParquetFile, name: str, limits: Limits) -> None:
    """UserError past the limit of decoded text, before any of it is held: a batch is decoded, counted, forgotten."""
    total = 0
    for batch in file.iter_batches(batch_size=_BATCH):
        total += sum(_text_bytes(column) for column in batch.columns)
        if total > limits.decoded:
            raise UserError(
                f"The file decodes to more than {limits.decoded:,} bytes, which is the limit.",
                name,
                "Split the file into parts.",
            )


def _check_type(column: pa.Field, name: str) -> None:
    kind = _value_type(column.type)
    if isinstance(kind, pa.BaseExtensionType):
        found = f"an extension type ({kind.extension_name})"
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        found = "binary data"
    else:
        return
    raise UserError(
        f"This column holds {found}, which is not text.", f"{name}, column {column.name}", "Write the file without it."
    )


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    value = _value_type(kind)
    return pa.types.is_string(value) or pa.types.is_large_string(value)


def _text_bytes(column: pa.Array) -> int:
    if pa.types.is_dictionary(column.type) and _is_text(column.type):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
        return pc.sum(lengths).as_py() or 0
    return column.nbytes


def _as_text(column: pa.Array) -> list[str | None]:
    kind = _value_type(column.type)
    if pa.types.is_dictionary(column.type):
        values = _as_text(column.dictionary)
        return [None if index is None else values[index] for index in column.indices.to_pylist()]
    if _is_text(kind):
        return column.to_pylist()
    if pa.types.is_nested(kind):
        return [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in column.to_pylist()]
    if pa.types.is_floating(kind):
        return [None if v is None or v != v else repr(v) for v in column.to_pylist()]
    try:
        return column.cast(pa.string()).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return [None if v is None else str(v) for v in column.to_pylist()]


def _class_labels(schema: pa.Schema) -> dict[str, list[str]]:
    """Column -> names of its labels, as the `datasets` library writes them beside the schema: ClassLabel, or lists of
    such."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        kinds = {name: _element(kind) for name, kind in features.items() if name in schema.names}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
    found = {}
    for name, kind in kinds.items():
        names = kind.get("names") if isinstance(kind, dict) and kind.get("_type") == "ClassLabel" else None
        type_ = _value_type(schema.field(name).type)
        whole = pa.types.is_integer(type_.value_type if _is_list(type_) else type_)
        if whole and isinstance(names, list) and names and all(isinstance(one, str) for one in names):
            found[name] = names
    return found


def _element(kind: Any) -> Any:
    """The feature, or that of the elements of a list, in any of the forms that the library has had."""
    if isinstance(kind, list) and len(kind) == 1:
        return kind[0]
    return kind.get("feature", kind) if isinstance(kind, dict) else kind


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _as_names(column: pa.Array, names: list[str]) -> list[str | None]:
    """Labels by their number. The library writes -1 where a label is not known; numbers without a name stay numbers."""
    known = {str(place): name for place, name in enumerate(names)}
    if _is_list(column.type):
        lists = ([known.get(str(one), one) for one in some or ()] for some in column.to_pylist())
        return [json.dumps(some, ensure_ascii=False) for some in lists]
    numbers = _as_text(column)
    return [None if number in (None, "-1") else known.get(str(number), number) for number in numbers]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
