"""Cells to options and gold answers: every form in which files write them, read to the canonical form or refused.

Knows nothing of files and columns; a refusal is a UserError without a place, to which the caller adds row and column.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from semievol.errors import UserError
from semievol.importing.numbers import has_decimal_comma, in_parentheses, with_point
from semievol.importing.table import unfit
from semievol.records import Record, Task
from semievol.task.answers import LETTERS, fold, parse, parse_number

_FORMS = 'Write options as a JSON list such as ["yes", "no"], or separate them by "|".'
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_DIGITS = re.compile(r"\d{1,3}")
_KEY = re.compile(r"\(?([A-Za-z0-9]{1,3})[).:]?")
"""An answer that may be the key of an option, as it is written."""
_QUOTED = r"(?:'[^'\n]*'|\"[^\"\n]*\")"
_PRINTED = re.compile(rf"\[\s*{_QUOTED}(?:\s+{_QUOTED})+\s*\]")
"""An array of texts as numpy prints it, without commas, which Python would read as one text."""
Written = Literal["letter", "number", "text"]
"""How an answer names its option."""


def parse_options(cell: str) -> tuple[str, ...]:
    """Options in a cell: JSON list, Python list or tuple, `{"A": …}`, `{"text": […], "label": […]}`,
    `[{"id": …, "text": …}]`, or separated by `|`.

    At least two, none blank, none repeated; else UserError. Numbers keep the form in which they are written.
    """
    return _keyed_options(cell)[1]


def by_key(cell: str, answer: str) -> str:
    """The answer as the letter of its option, where the options in the cell have keys of their own (`{"0": …}`, or
    letters with a gap) and the answer is one; else as it is. UserError for a key that no option has."""
    keys, options = _keyed_options(cell)
    text = answer.strip()
    if keys in ((), tuple(LETTERS[: len(keys)])) or text in options:
        return answer
    match = _KEY.fullmatch(text)
    said = match[1].casefold() if match else text.casefold()
    folded = [key.strip().casefold() for key in keys]
    if said in folded:
        return LETTERS[folded.index(said)]
    numbered, lettered = (all(map(form.fullmatch, folded)) for form in (_DIGITS, _LETTER))
    if (numbered and _DIGITS.fullmatch(said)) or (lettered and _LETTER.fullmatch(said)):
        raise UserError(
            f"answer {text[:60]} is not among the options {', '.join(keys)}", "", "Correct the answer or the options."
        )
    return answer


@lru_cache(maxsize=4096)
def _keyed_options(cell: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys of the options in a cell, () where they have none, and the options."""
    text = cell.strip()
    if text[:1] not in ("[", "{", "("):
        return (), checked_options(tuple(part.strip() for part in text.split("|")))
    try:
        value = json.loads(text, parse_int=_Raw, parse_float=_Raw, parse_constant=_Raw)
    except (ValueError, RecursionError):
        value = from_python(text)
    keys, options = _collect(value)
    return keys, checked_options(options)


def options_in(cell: str) -> tuple[str, ...]:
    """As `parse_options`; () where the cell holds no options."""
    try:
        return parse_options(cell)
    except UserError:
        return ()


def checked_options(options: tuple[str, ...]) -> tuple[str, ...]:
    """The options, if there are at least two, all different and none blank; else UserError."""
    if len(options) < 2:
        raise UserError(f"There {'is one option' if options else 'are no options'}; two are needed.", "", _FORMS)
    stripped = [option.strip() for option in options]
    if not all(stripped):
        raise UserError(f"Option {stripped.index('') + 1} is blank.", "", "Write its text or remove it.")
    for option in stripped:
        if stripped.count(option) > 1:
            raise UserError(f'The option "{option[:60]}" is given twice.', "", "Make the options differ.")
        if reason := unfit(option):
            raise UserError(reason, "", "Remove this character.")
    return options


class _Raw(str):
    """A number as it is written."""


def _collect(value: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys of the options, () where they have none, and the options."""
    there: tuple[str, ...] = ()
    if isinstance(value, list) and value and all(isinstance(one, dict) and "text" in one for one in value):
        name = next((name for name in ("label", "id", "key") if all(name in one for one in value)), None)
        value = {"text": [one["text"] for one in value]} | ({"label": [one[name] for one in value]} if name else {})
    if isinstance(value, dict):
        texts = next((value[key] for key in ("text", "texts", "options", "choices") if key in value), None)
        labels = next((value[key] for key in ("label", "labels") if key in value), None)
        if (
            isinstance(texts, list)
            and isinstance(labels, list)
            and len(texts) == len(labels) == len({*map(str, labels)})
        ):
            # The label says which letter each text has, whatever their order.
            named = dict(zip(map(str, labels), texts, strict=True))
            there = tuple(sorted(named, key=lambda label: (len(label), label)))
            texts = [named[label] for label in there]
        if not isinstance(texts, list):
            given = {key: one for key, one in value.items() if one is not None}  # {"A": …, "C": null} has no option C
            there = tuple(sorted(given) if all(len(key) == 1 for key in given) else given)
            texts = [given[key] for key in there]
        value = texts
    if not isinstance(value, list):
        raise UserError("The options are not a list.", "", _FORMS)
    options = []
    for option in value:
        if isinstance(option, str):
            options.append(str(option))
        elif isinstance(option, bool):
            options.append(str(option).lower())
        else:
            raise UserError(f"Option {len(options) + 1} is not text.", "", _FORMS)
    return there, tuple(options)


def from_python(text: str) -> list[str] | dict[str, Any]:
    """A list, tuple or dictionary as Python writes it, or a list as numpy prints it; numbers as they are written."""
    unreadable = UserError("The options cannot be read.", "", _FORMS)
    if _PRINTED.fullmatch(text):
        return [quoted[1:-1] for quoted in re.findall(_QUOTED, text)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval").body
            ast.literal_eval(tree)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise unreadable from None
    if isinstance(tree, ast.Dict):
        if any(key is None for key in tree.keys):
            raise unreadable
        keys = [_written(key, text) for key in tree.keys if key is not None]
        return {key: _written_all(value, text) for key, value in zip(keys, tree.values, strict=True)}
    if not isinstance(tree, ast.List | ast.Tuple):
        raise unreadable
    return [_written(element, text) for element in tree.elts]


def _written_all(node: ast.expr, text: str) -> str | list[str]:
    return [_written(e, text) for e in node.elts] if isinstance(node, ast.List | ast.Tuple) else _written(node, text)


def _written(node: ast.expr, text: str) -> str:
    """The string that the node stands for, or the number as it is written."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    number = isinstance(node, ast.UnaryOp) or (isinstance(node, ast.Constant) and not isinstance(node.value, bytes))
    segment = ast.get_source_segment(text, node) if number else None
    if segment is None or segment in ("None", "..."):
        raise UserError("An option is not text.", "", _FORMS)
    return segment


@dataclass(frozen=True)
class AnswerForm:
    """How a column writes the answers of closed tasks, decided from the whole column.

    text_first: answers are option texts, so "2" means the option that reads 2, not the second one.
    base: number of the first option where answers are indices. comma: whether numbers have a decimal comma.
    """

    text_first: bool = False
    base: int = 1
    comma: bool = False


def answer_form(pairs: Iterable[tuple[tuple[str, ...], str]]) -> AnswerForm:
    """The form of a column from its rows' (options, answer). Indices count from 0 if one of them is 0, else from 1."""
    texts = total = 0
    zero = False
    for options, answer in pairs:
        total += 1
        texts += answer in options
        zero = zero or (_DIGITS.fullmatch(answer) is not None and int(answer) == 0)
    return AnswerForm(total > 0 and texts >= 0.9 * total, 0 if zero else 1)


def read_answer(task: Task, options: tuple[str, ...], cell: str, form: AnswerForm) -> str:
    """Canonical gold answer that `cell` states; UserError where it states none.

    options: the record's own options; for classification they only serve to understand letters and indices.
    """
    text = cell.strip()
    if task.kind == "text":
        return first_of(text) or text
    if task.kind == "numeric":
        if in_parentheses(text):
            raise UserError(
                f"answer {text[:60]} may mean a negative number", "", "Write it with a sign, or without ()."
            )
        if not form.comma and has_decimal_comma(text):
            raise UserError(
                f"answer {text[:60]} has a decimal comma, and other answers a decimal point", "", "Write all alike."
            )
        number = parse_number(with_point(text) if form.comma else text)
        if number is None:
            raise UserError(f"answer {text[:60]} is not one number", "", "Write one number in digits.")
        return format(number, "f")
    if task.kind == "classification":
        return _read_label(task, options, text, form)
    position, _ = _position(options, text, form)
    if position is None:
        stated = parse(task, Record("", "", options), text)
        if stated is None:
            remedy = _recount(options, text, form) or "Correct the answer or the options."
            raise UserError(f"answer {text[:60]} is not among the {len(options)} options", "", remedy)
        return stated
    return LETTERS[position]


def names_option(text: str) -> bool:
    """Whether a text is the letter or the number of an option."""
    return (_LETTER.fullmatch(text) or _DIGITS.fullmatch(text)) is not None


def written_as(options: tuple[str, ...], cell: str, form: AnswerForm) -> Written:
    """The form in which an answer that was read names one of its options."""
    return _position(options, cell.strip(), form)[1]


def _position(options: tuple[str, ...], text: str, form: AnswerForm) -> tuple[int | None, Written]:
    """Which option `text` names (None if none), and in which form."""
    by_text = options.index(text) if options.count(text) == 1 else None
    written: Written
    if letter := _LETTER.fullmatch(text):
        position, written = LETTERS.index(letter.group(1).upper()), "letter"
    elif _DIGITS.fullmatch(text):
        position, written = int(text) - form.base, "number"
    else:
        return by_text, "text"
    if not 0 <= position < len(options) or (form.text_first and by_text is not None):
        return by_text, "text"
    return position, written


def _recount(options: tuple[str, ...], text: str, form: AnswerForm) -> str:
    """What to do about a number that is a position only where options are counted from the other one; "" for others."""
    other = 1 - form.base
    if not _DIGITS.fullmatch(text) or not 0 <= int(text) - other < len(options):
        return ""
    return f"Options are counted from {form.base}: count from {other} (--count-from {other}), or correct the answer."


def _read_label(task: Task, options: tuple[str, ...], text: str, form: AnswerForm) -> str:
    if text in task.labels:
        return text
    if several(text):
        raise UserError("The cell holds several labels.", "", "Keep one label per record.")
    if options:
        position, _ = _position(options, text, form)
        if position is not None:
            text = options[position].strip()
    same = [label for label in task.labels if label == text]
    alike = same or [label for label in task.labels if fold(label) == fold(text)]
    if len(alike) != 1:
        shown = ", ".join(task.labels[:12]) + (", …" if len(task.labels) > 12 else "")
        remedy = _recount(options, text, form) or "Correct the label."
        raise UserError(f"answer {text[:60]} is not among the labels: {shown}", "", remedy)
    return alike[0]


def first_of(text: str) -> str | None:
    """The first of a list of several texts, each in quotation marks; None where a cell holds no such list."""
    listed = text[:1] == "[" and text[1:].lstrip()[:1] in ("'", '"')
    return options_in(text)[0].strip() if listed and options_in(text) else None


def several(text: str) -> bool:
    """Whether a cell is a list of two or more values."""
    return text[:1] in ("[", "(") and bool(options_in(text))
