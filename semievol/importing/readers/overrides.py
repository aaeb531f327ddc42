"""How a person wants a file to be read, instead of as it is found: sheet, encoding, delimiter, quotes, header.

Knows the names of encodings and delimiters, not the files.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from semievol.errors import UserError
from semievol.records import SPLITS, Split

ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252",
    "iso8859-1": "Latin-1",
    "cp932": "Shift-JIS",
    "gb18030": "GB18030",
    "big5": "Big5",
    "cp949": "Korean (cp949)",
    "euc_jp": "EUC-JP",
    "iso8859-15": "Latin-9",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "koi8-r": "KOI8-R",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1255": "Windows-1255 (Hebrew)",
    "cp1256": "Windows-1256 (Arabic)",
    "cp850": "cp850 (DOS)",
    "mac-roman": "Mac Roman",
    "utf-16-le": "UTF-16, little-endian",
    "utf-16-be": "UTF-16, big-endian",
}
"""Canonical name -> words for a person."""
# The web and Windows use these names for a larger encoding that includes the named one.
_WIDER = {"utf-8-sig": "utf-8", "ascii": "utf-8", "shift_jis": "cp932", "gbk": "gb18030", "gb2312": "gb18030"}
_WIDER |= {"euc_kr": "cp949", "cp950": "big5"}
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SPELLED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|", "space": " "}
QUOTES = {
    "standard": "They enclose cells",
    "literal": "They are ordinary characters",
    "backslash": 'They enclose cells, with \\" for one inside',
}
"""What quotation marks mean in a file of delimited cells."""
HEADER = {"yes": "Names of the columns", "no": "The first record"}
"""What the first row of such a file holds."""
_TEXT = (".csv", ".tsv", ".txt")
_BINARY = (".xlsx", ".parquet")


@dataclass(frozen=True)
class ReadAs:
    """sheet: of a workbook. encoding: one of `ENCODINGS`. delimiter: one character. quotes: one of `QUOTES`. header:
    one of `HEADER`. None means as it is found.

    whole: the records of a JSON file are not taken apart; each is a cell, as it is written.
    """

    sheet: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quotes: str | None = None
    header: str | None = None
    whole: bool = False


AS_FOUND = ReadAs()


def encoding_named(name: str) -> str:
    """Canonical name of an encoding under any of its names (`latin1`, `Windows-1252`); UserError for others."""
    try:
        found = codecs.lookup(name.strip()).name
    except (LookupError, ValueError):
        found = ""
    found = _WIDER.get(found, found)
    if found not in ENCODINGS:
        raise UserError(f'There is no encoding "{name}".', "encoding", f"Choose one of: {', '.join(ENCODINGS)}.")
    return found


def delimiter_named(text: str) -> str:
    """The delimiter that `text` is, or names (`tab`); UserError for anything else, such as a letter."""
    found = _SPELLED.get(text.strip().casefold(), text)
    if len(found) != 1 or found.isalnum() or found in "\"'\r\n\0":
        raise UserError(
            f'"{text}" is no delimiter.', "delimiter", f"Give one character, or one of: {', '.join(_SPELLED)}."
        )
    return found


def words_for(delimiter: str) -> str:
    """The delimiter, in words for a sentence."""
    return DELIMITERS.get(delimiter, f'"{delimiter}"')


def per_file(
    names: Mapping[Split, str],
    sheets: Iterable[str] = (),
    encodings: Iterable[str] = (),
    delimiters: Iterable[str] = (),
    quotes: Iterable[str] = (),
    headers: Iterable[str] = (),
) -> dict[Split, ReadAs]:
    """How to read each file, from options of the command line: `VALUE`, or `labeled=VALUE` for one file.

    names: split -> name of its file. A value without a split is for all files that can have it, by their ending;
    UserError where there is none.
    """
    plain = {split: name.casefold().removesuffix(".gz") for split, name in names.items()}
    workbooks = [split for split, name in plain.items() if name.endswith(".xlsx")]
    texts = [split for split, name in plain.items() if not name.endswith(_BINARY)]
    tables = [split for split, name in plain.items() if name.endswith(_TEXT)]
    sheet = _given("--sheet", sheets, names, workbooks)
    encoding = _given("--encoding", encodings, names, texts, encoding_named)
    delimiter = _given("--delimiter", delimiters, names, tables, delimiter_named)
    quote = _given("--quotes", quotes, names, tables, partial(_one_of, "--quotes", QUOTES))
    header = _given("--header", headers, names, tables + workbooks, partial(_one_of, "--header", HEADER))
    return {
        one: ReadAs(sheet.get(one), encoding.get(one), delimiter.get(one), quote.get(one), header.get(one))
        for one in names
    }


def _one_of(option: str, values: Mapping[str, str], text: str) -> str:
    if text not in values:
        raise UserError(f'"{text}" is not known.', option, f"Choose one of: {', '.join(values)}.")
    return text


def refuse_guesses(guesses: Mapping[Split, tuple[ReadAs, Sequence[str]]]) -> None:
    """UserError naming the options to give, where an encoding or a delimiter was guessed (`--strict`).

    guesses: for every file how it was read, and which fields of that were guessed.
    """
    found = [(split, thing, taken) for split, (taken, guessed) in guesses.items() for thing in guessed]
    if found:
        named = [f"{thing} of the {split} file ({_in_words(thing, taken)})" for split, thing, taken in found]
        options = [f"--{thing} {split}={_option(thing, taken)}" for split, thing, taken in found]
        raise UserError(
            f"Guessed, because the files do not state it: {'; '.join(named)}.",
            "--strict",
            f"If this is right, add {' '.join(options)}. If not, give the right values, or import without --strict.",
        )


def _in_words(thing: str, taken: ReadAs) -> str:
    return ENCODINGS[taken.encoding or ""] if thing == "encoding" else words_for(taken.delimiter or "")


def _option(thing: str, taken: ReadAs) -> str:
    """The value as it is typed into a shell."""
    if thing == "encoding":
        return str(taken.encoding)
    return next((word for word, mark in _SPELLED.items() if mark == taken.delimiter), f"'{taken.delimiter}'")


def _given(
    option: str,
    values: Iterable[str],
    names: Mapping[Split, str],
    concerned: Sequence[Split],
    read: Callable[[str], str] = str,
) -> dict[Split, str]:
    """Split -> value as `read` gives it; a value for one file wins over a value for all files, those `concerned`."""
    of_all: dict[Split, str] = {}
    of_one: dict[Split, str] = {}
    for value in values:
        head, _, tail = value.partition("=")
        split = next((split for split in SPLITS if split == head and tail), None)
        if split is None:
            if not concerned:
                raise UserError("None of the files has this, by its ending.", option, "Leave it out.")
            of_all |= dict.fromkeys(concerned, read(value))
        elif split not in names:
            raise UserError(f"There is no {split} file.", option, f"Files are: {', '.join(names)}.")
        else:
            of_one[split] = read(tail)
    return of_all | of_one
