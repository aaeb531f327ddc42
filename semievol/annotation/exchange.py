"""What the Studio and a tool for annotation exchange: a suggestion goes out, a returned record comes back.

A record carries its id and the hash of its content, so that it is known again, and a change of its text is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from semievol.records import Message, Record, Task, content_hash, earlier_cell, earlier_turns
from semievol.task.answers import allowed_answers, answer_text, parse

AnnotationKind = Literal["answer", "reject", "ambiguous", "skip"]

Json = dict[str, Any]
"""An object of a tool's file; it stays in this package."""

REJECT, AMBIGUOUS = "The suggested answer is wrong", "None fits"
INSTEAD: dict[str, AnnotationKind] = {REJECT: "reject", AMBIGUOUS: "ambiguous"}
"""What an annotator may say instead of an answer, in tools that have no words of their own for it."""


@dataclass(frozen=True)
class Suggestion:
    """A record as annotators get it. answer: the one suggested to them, if there is one. score: its probability, in
    [0, 1], None where it is not known."""

    record: Record
    answer: str | None
    score: float | None = None


@dataclass(frozen=True)
class Annotation:
    """One annotator's response to a record. answer: as the tool has it, where `kind` is "answer"; None where it is
    several choices, which are no answer."""

    annotator: str
    kind: AnnotationKind
    answer: str | None = None


@dataclass(frozen=True)
class Returned:
    """A record as it came back.

    content_hash: of the record that was exported; now: of what came back. question: its beginning names the record to a
    person. suggested: the answer shown to the annotators. annotations: in the order of the file; a later one of the
    same annotator replaces an earlier one.
    """

    record_id: str
    content_hash: str
    now: str
    question: str
    suggested: str | None
    annotations: tuple[Annotation, ...]


def metadata(suggestion: Suggestion) -> Json:
    """What `from_metadata` needs to know a record again, to be put among the fields that a tool keeps as they are."""
    record = suggestion.record
    found: Json = {"record_id": record.id, "content_hash": record.content_hash}
    if record.options:
        found["record_options"] = list(record.options)
    if record.earlier:
        found["record_earlier"] = earlier_cell(record.earlier)
    if suggestion.answer is not None:
        found["suggested_answer"] = suggestion.answer
    return found


def from_metadata(found: Mapping[str, Any], question: object, annotations: Sequence[Annotation]) -> Returned:
    """The returned record with this metadata; what is missing is empty."""
    options = found.get("record_options")
    options = tuple(map(str, options)) if isinstance(options, list) else ()
    words = _text(question) or ""
    return Returned(
        record_id=_text(found.get("record_id")) or "",
        content_hash=_text(found.get("content_hash")) or "",
        now=content_hash(words, options, earlier_in(found)),
        question=words,
        suggested=_text(found.get("suggested_answer")),
        annotations=tuple(annotations),
    )


def earlier_in(found: Mapping[str, Any]) -> tuple[Message, ...]:
    """The earlier turns in a record's metadata; none where they cannot be read."""
    try:
        return earlier_turns(_text(found.get("record_earlier")))
    except ValueError:
        return ()


def conversation(turns: Sequence[Message]) -> str:
    """Turns as a person reads them."""
    return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in turns)


def choices(task: Task, record: Record) -> dict[str, str]:
    """Answer -> what a person reads, for each allowed answer."""
    return {answer: answer_text(task, record, answer) for answer in allowed_answers(task, record)}


def understood(task: Task, record: Record, answer: str) -> str | None:
    """The canonical answer that a tool's text stands for; None where the task allows no such answer."""
    shown = choices(task, record)
    if answer in shown:
        return answer
    return {text: allowed for allowed, text in shown.items()}.get(answer) or parse(task, record, answer)


def as_json(value: object) -> bytes:
    """A JSON file."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode()


def as_line(value: object) -> bytes:
    """A line of a JSON Lines file, in ASCII: some readers take U+2028 and the like for the end of a line."""
    return json.dumps(value, allow_nan=False).encode() + b"\n"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
