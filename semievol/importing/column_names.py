"""What a column's name says: which role it fits, which columns belong together. Knows nothing of cells."""

from __future__ import annotations

import itertools
import re
import string
from collections import defaultdict
from collections.abc import Sequence

_DETAILS = ("score", "rating", "stars", "grade", "priority", "severity")
_TOPICS = ("class", "category", "team", "topic", "tag")
_NAMES: dict[str, tuple[str, ...]] = {
    "question": (
        *("question", "text", "sentence", "message", "prompt", "input", "query", "instruction", "review", "content"),
        *("body", "tweet", "passage", "article", "document", "description", "problem", "comment", "title", "headline"),
        *("utterance", "hypothesis", "subject", "stem", "goal", "startphrase", "ctx"),
    ),
    "answer": (
        *(
            "final_decision",
            "gold_label",
            "correct_answer",
            "answer",
            "label",
            "gold",
            "gt",
            "target",
            "truth",
            "output",
            "response",
            "completion",
            "class",
            "category",
        ),
        *("cop", "team", "sentiment", "intent", "topic", "solution", "result", "tag", "decision", "stance", "emotion"),
        *_DETAILS,
    ),
    "options": ("options", "choices", "candidates", "alternatives", "option", "choice"),
    "id": ("id", "uid", "uuid", "guid", "key"),
    "context": ("context", "passage", "background", "paragraph", "evidence", "premise", "article"),
}
_CHOICES = (*_NAMES["options"], "alternative", "candidate", "opt", "op", "ending", "sol")
"""Names of columns with one option each, before a letter or a number: option_a, choice1."""
_LETTERED = ("", "answer", "ans")
"""The same before a letter only, since answer1 and answer2 are two answers that are both right."""
_REMARKS = (
    *("comment", "comments", "note", "notes", "remark", "remarks", "bemerkung", "bemerkungen", "kommentar"),
    *("kommentare", "anmerkung", "anmerkungen", "notiz", "notizen", "remarque", "remarques", "commentaire"),
    *("comentario", "comentarios", "observaciones", "opmerking", "opmerkingen"),
)
_LABELING = (
    *("annotator", "annotators", "labeler", "labeller", "rater", "reviewer", "worker", "author", "user", "username"),
    *("agent", "bearbeiter", "date", "datum", "time", "timestamp", "split", "fold", "source"),
)
"""Words of columns that tell who labeled a record, and when."""
_ABOUT_ANSWERS = ("language", "lang", "confidence", "probability", "sprache", "langue")
"""Words of columns that tell something else about an answer: target_language, label_confidence."""
_PLURAL = ("answer", "context")
_REMARK = re.compile(r"\s[-–(]")
_NUMBERED = re.compile(r"(.*?) ?([a-z]|\d{1,2})")


def words(name: str) -> list[str]:
    """The words of a name in small letters; a capital inside it begins a word."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word.casefold() for word in re.split(r"[\W_]+", spaced) if word]


def rank(column: str, role: str) -> int | None:
    """Place of the column's best whole word, or of its whole name, in the role's list; None if it has none. Plurals of
    answers and contexts come after all others."""
    there, names = words(column), _NAMES[role]
    there.append("_".join(there))
    if role in _PLURAL:
        names += tuple(f"{name}s" for name in names)
    return next((i for i, name in enumerate(names) if name in there), None)


def is_detail(column: str) -> bool:
    """Whether the column is named like an answer, or like a detail beside one: a score, a priority."""
    place = rank(column, "answer")
    return place is not None and _NAMES["answer"][place % len(_NAMES["answer"])] in _DETAILS


def is_topic(column: str) -> bool:
    """Whether the column is named like an answer, but by a word that a quiz has for the topic or the weight of its
    questions."""
    place = rank(column, "answer")
    return place is not None and _NAMES["answer"][place % len(_NAMES["answer"])] in (*_TOPICS, *_DETAILS)


def is_pointer(column: str) -> bool:
    """Whether a column is named as quizzes name the one that says which option is right."""
    return not {"correct", "right", "key"}.isdisjoint(words(column))


def is_remark(column: str) -> bool:
    """Whether a text is named like a remark about the record, rather than like the record's own."""
    return not set(_REMARKS).isdisjoint(words(column))


def is_about_labeling(column: str) -> bool:
    """Whether a column is named like a detail of the labeling or a remark, not like an answer."""
    return is_remark(column) or not set(_LABELING).isdisjoint(words(column))


def is_number(name: str) -> bool:
    """Whether a name may be that of a record's number: claim no, ticket, reference."""
    return not {"no", "nr", "num", "number", "ref", "reference", "code", "ticket"}.isdisjoint(words(name))


def is_choice(name: str) -> bool:
    """Whether a name is that of one option: option_a, choice1."""
    match = _NUMBERED.fullmatch(" ".join(words(name)))
    return match is not None and match[1] in _CHOICES


def named(columns: list[str], role: str) -> list[str]:
    """The columns with a word of the role's list in their name."""
    return [column for column in columns if rank(column, role) is not None]


def best(columns: list[str], role: str) -> str | None:
    """The column whose name fits best; shorter names first among equals, then the order of the file. Of answers, one
    that is named correct comes first, and one that is named like a detail of an answer (label_source) last."""

    def key(column: str) -> tuple[bool, bool, int, int, int]:
        place, there = rank(column, role), {word.rstrip("0123456789") for word in words(column)}
        of_answer = role == "answer" and place is not None
        detail = of_answer and not there.isdisjoint((*_LABELING, *_ABOUT_ANSWERS))
        correct = of_answer and "correct" in there
        return (
            detail,
            not correct,
            2 * len(_NAMES[role]) if place is None else place,
            len(words(column)),
            columns.index(column),
        )

    return min(columns, key=key, default=None)


def pair(texts: Sequence[str]) -> tuple[str, ...]:
    """Two columns that are asked about together, sentence1 and sentence2, in their order; () for none.

    texts: the columns that hold texts. The names differ in a 1 and a 2, or an a and a b; of several pairs that with the
    shortest names counts.
    """
    found: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for column in texts:
        pieces = [piece for word in words(column) for piece in re.findall(r"\d+|\D+", word)]
        for place, piece in enumerate(pieces):
            if piece in "12ab" and rank(column, "id") is None and rank(" ".join(pieces), "answer") is None:
                found[*pieces[:place], "", *pieces[place + 1 :]].setdefault(piece, column)
    for _, by_ending in sorted(found.items(), key=lambda one: len(one[0])):
        for first, second in ("12", "ab"):
            if first in by_ending and second in by_ending:
                return by_ending[first], by_ending[second]
    return ()


def companion(question: str, columns: list[str]) -> str | None:
    """The sentence that a question is about, where its column is named so (QNLI); None if there is none."""
    if "question" not in words(question):
        return None
    return next((c for c in columns if words(c) in (["sentence"], ["text"], ["document"])), None)


def choice_columns(columns: list[str]) -> tuple[str, ...]:
    """Columns A, B, C, … or option_a, choice1, ending0, opa, …: of one name, at least two, in order.

    Also answer 1, answer 2, … where another column says which of them is correct. What follows a dash or a bracket in a
    name (Answer 1 - max 75 characters) does not count.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    told = any("correct" in words(column) and not words(column)[-1].isdigit() for column in columns)
    for column in columns:
        match = _NUMBERED.fullmatch(" ".join(words(_REMARK.split(column)[0])))
        if match and match[1] in (_CHOICES + _LETTERED if told or match[2].isalpha() else _CHOICES):
            found[match[1]].setdefault(match[2], column)
    digits = [str(number) for number in range(27)]
    for by_ending in found.values():
        for endings in (string.ascii_lowercase, digits, digits[1:]):
            run = tuple(by_ending[ending] for ending in itertools.takewhile(by_ending.__contains__, endings))
            if len(run) >= 2:
                return run
    return ()
