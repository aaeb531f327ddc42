"""What an answer is: the allowed answers of a record, reading an answer out of text, comparing two answers.

Canonical answers are strings: the letter for multiple_choice, the label's exact text for classification,
a plain decimal for numeric, the stripped text for text. Knows nothing of prompts, models or files.
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from decimal import Decimal, InvalidOperation

from semievol.records import Record, Task

LETTERS = string.ascii_uppercase

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:[,  '’]\d{3})+(?!\d)|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?\s*%?")
_LETTER_FIRST = re.compile(r"^\(?([A-Za-z])\)?(?:[.):,]|\s*$)")
_LETTER_NAMED = re.compile(r"\b(?:answer|option|choice)\s*(?:is|:)?\s*\(?([A-Z])\)?(?![\w'])", re.IGNORECASE)


def allowed_answers(task: Task, record: Record) -> tuple[str, ...]:
    """Canonical answers that `record` can have, in prompt order; empty for open tasks."""
    if task.kind == "multiple_choice":
        return tuple(LETTERS[: len(record.options)])
    if task.kind == "classification":
        return task.labels
    return ()


def answer_text(task: Task, record: Record, answer: str) -> str:
    """An answer in words for a person: the option's text beside its letter, else the answer itself."""
    if task.kind == "multiple_choice" and answer in LETTERS[: len(record.options)]:
        return f"{answer}. {record.options[LETTERS.index(answer)]}"
    return answer


def parse(task: Task, record: Record, text: str) -> str | None:
    """Canonical answer that `text` states, or None where it states none (or more than one)."""
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
    folded = [fold(option) for option in options]
    if folded.count(fold(text)) == 1:
        return LETTERS[folded.index(fold(text))]
    allowed = LETTERS[: len(options)]
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
    # "not urgent" names "urgent" too; the longest label wins where it contains all others that were found.
    longest = max(named, key=len, default=None)
    if longest is not None and all(fold(label) in fold(longest) for label in named):
        return longest
    return None


def parse_number(text: str) -> Decimal | None:
    """The one number in `text`; thousands separators are dropped and "5 %" is 0.05. None if there is none or several."""
    found = [match.group() for match in _NUMBER.finditer(text) if any(char.isdigit() for char in match.group())]
    if len(found) != 1:
        after_equals = [part for part in text.split("=") if any(char.isdigit() for char in part)]
        if "=" not in text or len(after_equals) < 2:
            return None
        return parse_number(after_equals[-1])
    raw = found[0]
    percent = raw.endswith("%")
    try:
        number = Decimal(re.sub(r"[,\s '’%]", "", raw))
    except InvalidOperation:
        return None
    return number / 100 if percent else number


def same(task: Task, left: str | None, right: str | None) -> bool:
    """Whether two canonical answers count as the same; an unparsable answer (None) is the same as nothing."""
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
    """Text for comparison: NFKC, lower case, punctuation other than decimal points and signs dropped, one space."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"(?<!\d)[.,](?!\d)|[.,](?!\d)|[^\w\s.,%+\-/]", " ", text)
    return " ".join(text.split())


def token_f1(prediction: str, gold: str) -> float:
    """Harmonic mean of token precision and recall over folded words, in [0, 1] (SQuAD, Rajpurkar et al. 2016, §6.1)."""
    predicted, expected = Counter(fold(prediction).split()), Counter(fold(gold).split())
    shared = sum((predicted & expected).values())
    if shared == 0:
        return float(predicted == expected)
    precision, recall = shared / sum(predicted.values()), shared / sum(expected.values())
    return 2 * precision * recall / (precision + recall)
