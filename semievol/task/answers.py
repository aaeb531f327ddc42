"""Answers: the allowed answers of a record, reading an answer out of text, comparing two answers.

Canonical answers are strings: the letter for multiple_choice, the label's exact text for classification,
a plain decimal for numeric, the stripped text for text. Knows nothing of prompts, models or files.
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from semievol.errors import UserError
from semievol.records import Record, Task

LETTERS = string.ascii_uppercase

LONGEST_NUMBER = 100
"""Largest decimal exponent; without a limit "1e999999999" would become a plain decimal of a gigabyte."""

_SPACE = "\u0020\u00a0\u202f\u2009"  # the spaces that separate thousands: plain, no-break, narrow no-break, thin
_NUMBER = re.compile(rf"[-+]?(?:\d{{1,3}}(?:[,{_SPACE}'’]\d{{3}})+(?!\d)|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?\s*%?")
_MINUS = str.maketrans(dict.fromkeys("\u2212\ufe63\uff0d", "-"))
_RESULT = re.compile(r"=|####|(?i:\banswer\s*(?:is\b|:))")
_LETTER_FIRST = re.compile(r"^[(*\[]*([A-Za-z])[)*\]]*(?:[.):,]|\s*(?:\n|$))")
_LETTER_NAMED = re.compile(
    r"\b(?i:answer|option|choice)\s{0,9}(?i:is|:)?\s{0,9}[(*\[]{0,9}([A-Z]|[a-z](?=[\s).*\]]*$))[)*\]]*(?![\w'])"
)


LONGEST_INSTRUCTION = 4_000
"""Most characters of an instruction, which is part of every prompt."""


def instructed(task: Task, instruction: str) -> Task:
    """The task with this instruction, without blanks around it. Raises UserError if it is too long."""
    text = instruction.strip()
    if len(text) > LONGEST_INSTRUCTION:
        raise UserError(
            f"The instruction has {len(text):,} characters, {LONGEST_INSTRUCTION:,} are allowed.",
            "instruction",
            "Say what is asked of every record in a few sentences; examples belong into the labeled records.",
        )
    return replace(task, instruction=text)


def allowed_answers(task: Task, record: Record) -> tuple[str, ...]:
    """Canonical answers that `record` can have, in prompt order; empty for open tasks."""
    if task.kind == "multiple_choice":
        return tuple(LETTERS[: len(record.options)])
    if task.kind == "classification":
        return task.labels
    return ()


def answer_text(task: Task, record: Record, answer: str) -> str:
    """An answer as a person reads it: for multiple choice the letter with the option's text, else the answer itself."""
    if task.kind == "multiple_choice" and answer in LETTERS[: len(record.options)]:
        return f"{answer}. {record.options[LETTERS.index(answer)]}"
    return answer


def class_name(task: Task, answer: str) -> str:
    """A class as charts name it: a letter of a multiple choice task is the place of an option, and the options differ
    from record to record."""
    return f"option {answer}" if task.kind == "multiple_choice" and answer in LETTERS else answer


def parse(task: Task, record: Record, text: str) -> str | None:
    """Canonical answer that `text` states, or None if it states none (or more than one)."""
    text = text.strip()
    if not text:
        return None
    if task.kind == "multiple_choice":
        return _parse_choice(record.options, text)
    if task.kind == "classification":
        return _parse_label(task.labels, text)
    if task.kind == "numeric":
        number = parse_number(text)
        return None if number is None else format(number, "f")
    return text


def _parse_choice(options: tuple[str, ...], text: str) -> str | None:
    allowed = LETTERS[: len(options)]
    if len(text) == 1 and text in allowed:  # the letter, even if the text of some option is this letter
        return text
    folded = [fold(option) for option in options]
    if folded.count(fold(text)) == 1:
        return LETTERS[folded.index(fold(text))]
    words = re.findall(r"\w+", text.upper())
    if len(set(words) & set(allowed)) > 1 and all(word in allowed or word in ("AND", "OR") for word in words):
        return None
    for pattern in (_LETTER_FIRST, _LETTER_NAMED):
        found = {match.upper() for match in pattern.findall(text)} & set(allowed)
        if len(found) == 1:
            return found.pop()
    return None


def _parse_label(labels: tuple[str, ...], text: str) -> str | None:
    if text in labels:
        return text
    folded: dict[str, list[str]] = {}
    for label in labels:
        folded.setdefault(fold(label), []).append(label)
    exact = folded.get(fold(text), [])
    if len(exact) == 1:
        return exact[0]
    words = f" {fold(text)} "
    named = [label for label in labels if fold(label) and f" {fold(label)} " in words]
    # "not urgent" contains "urgent", too: the longest label counts if it contains all others that were found.
    longest = max(named, key=lambda label: len(fold(label)), default=None)
    if longest is None or len(folded[fold(longest)]) > 1:
        return None
    return longest if all(f" {fold(label)} " in f" {fold(longest)} " for label in named) else None


def parse_number(text: str) -> Decimal | None:
    """The number in `text`; thousands separators are dropped and "5 %" is 0.05. None if there is not exactly one.

    Of several numbers the one after the last "=", "####" or "answer is" counts.
    """
    found = [match.group() for match in _NUMBER.finditer(text.translate(_MINUS)) if re.search(r"\d", match.group())]
    if len(found) != 1:
        stated = [part for part in _RESULT.split(text) if re.search(r"\d", part)]
        return parse_number(stated[-1]) if len(stated) > 1 else None
    raw = found[0]
    try:
        number = Decimal(re.sub(rf"[,{_SPACE}\s'’%]", "", raw))
    except InvalidOperation:
        return None
    if abs(number.adjusted()) > LONGEST_NUMBER:
        return None
    return number.scaleb(-2) if raw.rstrip().endswith("%") else number


def same(task: Task, left: str | None, right: str | None) -> bool:
    """Whether two canonical answers count as the same; an unparsable answer (None) never does."""
    if left is None or right is None:
        return False
    if task.kind == "numeric":
        a, b = parse_number(left), parse_number(right)
        if a is None or b is None:
            return False
        return math.isclose(float(a), float(b), rel_tol=task.tolerance, abs_tol=task.tolerance * 1e-3)
    if task.kind == "text":
        return fold(left) == fold(right)
    return left == right


def fold(text: str) -> str:
    """Text for comparison: NFKC, lower case, punctuation other than decimal points and signs dropped, one space.

    Combining marks stay (they are vowels in many scripts), and so do the signs < and >. A text of punctuation or emoji
    only stays whole, since otherwise any two such texts would be the same.
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = re.sub(r"[.,](?!\d)|[^\w\s.,%+\-/<>]", _blank, plain)
    return " ".join(kept.split()) or " ".join(plain.split())


def _blank(match: re.Match[str]) -> str:
    return match.group() if unicodedata.category(match.group())[0] == "M" else " "
