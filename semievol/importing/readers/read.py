"""Reads a file into a table of text. The content decides the format first, the ending of the name second.

Values are never interpreted: `007` stays `007`. Only a bare `NA` among quoted texts is no value (`missing`). Knows
nothing of questions and answers.
"""

from __future__ import annotations

import re
from pathlib import Path

from semievol.errors import UserError
from semievol.importing.forms import unfold
from semievol.importing.readers.content import Content, Watch, decide_encoding, load, looks_wide
from semievol.importing.readers.delimited import read_delimited
from semievol.importing.readers.fasttext import is_coded, is_fasttext, read_coded, read_fasttext
from semievol.importing.readers.overrides import AS_FOUND, ReadAs
from semievol.importing.readers.parquet import read_parquet
from semievol.importing.readers.printed import is_printed, read_printed
from semievol.importing.readers.structured import read_json
from semievol.importing.table import LIMITS, Limits, Table

ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".manifest", ".json", ".parquet", ".xlsx")
_KNOWN = f"Known endings are {', '.join(ENDINGS)}, and .gz after each of them."
_DELIMITED = ("delimiter", "quotes", "header")
"""Choices of `ReadAs` that only files of delimited cells have."""
_BY_ENDING = {".csv": ",", ".tsv": "\t"}
_EXPORT = "Open it in the program that it belongs to, and export the table as .csv or .xlsx."
_SAVE = "Open it in a spreadsheet program, and save the table as .xlsx or .csv."
_FROM_DATABASE = "Export the table from the database as .csv."
_PICTURE = "A picture of a table cannot be read. Choose the file with the text itself: .csv, .xlsx or .jsonl."
_UNPACK = f"Unpack it first. {_KNOWN}"
_OTHER = f"Choose the file with the table. {_KNOWN}"
_BINARY: tuple[tuple[re.Pattern[bytes], str, str], ...] = tuple(
    (re.compile(beginning, re.DOTALL), kind, remedy)
    for beginning, kind, remedy in (
        (rb"\x89PNG", "a PNG picture", _PICTURE),
        (rb"\xff\xd8\xff", "a JPEG picture", _PICTURE),
        (rb"GIF8[79]a", "a GIF picture", _PICTURE),
        (rb"RIFF.{4}WEBP", "a WebP picture", _PICTURE),
        (rb"II\*\x00|MM\x00\*", "a TIFF picture", _PICTURE),
        (rb"BM.{4}\x00{4}", "a BMP picture", _PICTURE),
        (rb"\x00{3}.ftyp(heic|heix|hevc|mif1|avif)", "a HEIC or AVIF picture", _PICTURE),
        (rb"\x00{3}.ftyp|RIFF.{4}AVI |\x1a\x45\xdf\xa3", "a video", _OTHER),
        (rb"ID3[\x02-\x04]\x00|\xff[\xfb\xf3\xf2]|OggS\x00|fLaC\x00|RIFF.{4}WAVE", "a sound file", _OTHER),
        (rb"%PDF", "a PDF document", _EXPORT),
        (rb"\{\\rtf", "an RTF document", _EXPORT),
        (rb"SQLite format 3", "an SQLite database", _EXPORT),
        (rb"\xd0\xcf\x11\xe0", "an encrypted workbook or an old .xls file", _EXPORT),
        (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|BZh[1-9]1AY|\xfd7zXZ|\x28\xb5\x2f\xfd", "a packed archive", _UNPACK),
        (rb"(?:\xef\xbb\xbf)?\s*(?i:<!doctype html|<html[\s>]|<table[\s>])", "a web page (HTML)", _SAVE),
        (rb"(?:\xef\xbb\xbf)?\s*<\?xml", "an XML file", _SAVE),
        (rb"(?:\xef\xbb\xbf)?\s*(?:--[^\n]*\n\s*)+.*?(?:CREATE TABLE|INSERT INTO)", "an SQL dump", _FROM_DATABASE),
        (rb"\x7fELF|MZ.{56,}PE\x00\x00|MZ\x90\x00", "a program", _OTHER),
    )
)


def read_table(
    source: Path | bytes,
    name: str = "",
    read_as: ReadAs = AS_FOUND,
    *,
    limits: Limits = LIMITS,
    watch: Watch | None = None,
) -> Table:
    """The table in a file or an upload.

    source: a path on this machine or the uploaded bytes. name: what the file is called; it is never used as a path.
    read_as: how a person wants it to be read. watch: called with the number of bytes that were read.
    An untrusted file is read by `sandbox.read_contained`.
    Raises UserError where the file as a whole cannot be used; single bad rows are in `Table.rejected`.
    """
    table = _read(source, name, read_as, limits, watch)
    return table if read_as.whole else unfold(table, limits)


def _read(source: Path | bytes, name: str, read_as: ReadAs, limits: Limits, watch: Watch | None) -> Table:
    content = load(source, name or (source.name if isinstance(source, Path) else ""), limits, watch)
    ending = next((e for e in ENDINGS if content.name.lower().endswith(e)), None)
    head = content.head()
    if ending is None:
        _refuse_binary(content, head, wide=True)
        remedy = _FROM_DATABASE if content.name.lower().endswith(".sql") else _KNOWN
        raise UserError("The format of the file cannot be told from the ending of its name.", content.name, remedy)
    content.whole = read_as.whole
    if head.startswith(b"PK\x03\x04"):
        if ending != ".xlsx":
            content.notes.append(f"The file is a workbook, although its name ends in {ending}.")
        _refuse_choices(content, read_as, "encoding", "delimiter", "quotes")
        from semievol.importing.readers.spreadsheet import read_xlsx  # its library loads slowly and few files need it

        return read_xlsx(content, limits, read_as)
    _refuse_choices(content, read_as, "sheet")
    if head.startswith(b"PAR1"):
        if ending != ".parquet":
            content.notes.append(f"The file is Parquet, although its name ends in {ending}.")
        _refuse_choices(content, read_as, "encoding", *_DELIMITED)
        return read_parquet(content, limits)
    _refuse_binary(content, head, wide=looks_wide(head, read_as.encoding))
    if ending in (".xlsx", ".parquet"):
        raise UserError(
            f"The name ends in {ending}, but the content is something else.",
            content.name,
            "Rename it to what it is, such as .csv, or choose the right file.",
        )
    decide_encoding(content, read_as.encoding)
    if ending == ".txt" and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{"):
        ending = ".json"  # pasted text has no ending of its own
    if ending in (".jsonl", ".ndjson", ".manifest", ".json"):
        _refuse_choices(content, read_as, *_DELIMITED)
        return read_json(content, limits, lines=ending != ".json")
    if not any(getattr(read_as, thing) for thing in _DELIMITED):
        if is_fasttext(content):
            return read_fasttext(content, limits)
        if is_coded(content):
            return read_coded(content, limits)
        if is_printed(content):
            return read_printed(content, limits)
    unicode_text = ending == ".txt" and content.encoding == "utf-16"  # so Excel names it, with tabs
    return read_delimited(content, limits, read_as, expected="\t" if unicode_text else _BY_ENDING.get(ending, ""))


def _refuse_choices(content: Content, read_as: ReadAs, *things: str) -> None:
    """UserError where a person chose something that a file of this format does not have."""
    for thing in things:
        if getattr(read_as, thing) is not None:
            raise UserError(f"A file of this format has no {thing} to choose.", content.name, f"Leave the {thing} out.")


def _refuse_binary(content: Content, head: bytes, wide: bool) -> None:
    kind, remedy = next(((k, r) for begins, k, r in _BINARY if begins.match(head)), (None, _OTHER))
    if kind is None and not wide:
        control = sum(byte < 32 and byte not in b"\t\n\x0b\x0c\r\x1b" for byte in head)
        if control > 0.1 * len(head) and control > 8:
            kind = "binary data"
    if kind is not None:
        raise UserError(f"This is {kind}, not a table.", content.name, remedy)
