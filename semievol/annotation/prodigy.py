"""Prodigy: a stream of tasks with the suggestion filled in, and its configuration; answers from `prodigy db-out`.

Accept takes what is chosen or written, reject says that the suggestion is wrong, ignore skips the record. Prodigy's own
hashes depend on its settings, so they identify nothing here. https://prodi.gy/docs/api-interfaces
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from semievol.annotation.exchange import (
    Annotation,
    AnnotationKind,
    Json,
    Returned,
    Suggestion,
    as_json,
    as_line,
    choices,
    conversation,
    earlier_in,
    from_metadata,
    metadata,
)
from semievol.records import Message, Record, Task
from semievol.task.answers import LETTERS

NAME, RECORDS = "Prodigy", "tasks.jsonl"
_WRITTEN = "user_input"
_INSTEAD_OF_ANSWER: dict[str, AnnotationKind] = {"reject": "reject", "ignore": "skip"}


def files(task: Task, suggestions: Sequence[Suggestion]) -> dict[str, bytes]:
    """File name -> content: the stream, and the configuration of the interface."""
    lines = [as_line(_task(task, suggestion)) for suggestion in suggestions]
    return {RECORDS: b"".join(lines), "prodigy.json": as_json(_config(task))}


def recognises(found: Json) -> bool:
    """Whether it is a task of Prodigy, answered or not."""
    return "text" in found and bool({"_input_hash", "_view_id", "answer", "record_id"} & set(found))


def returned(found: Json) -> Returned:
    """A task with the answer of one annotator, if it has one."""
    turns = earlier_in(found)
    text = found.get("text")
    before = _with_turns(turns, "")
    question = text[len(before) :] if isinstance(text, str) and text.startswith(before) else text
    return from_metadata(found, question, _annotation(found))


def _task(task: Task, suggestion: Suggestion) -> Json:
    record, answer = suggestion.record, suggestion.answer
    found: Json = {"text": _with_turns(record.earlier, record.question), **metadata(suggestion)}
    if task.closed:
        found["options"] = [{"id": one, "text": _option(task, record, one)} for one in choices(task, record)]
        found["accept"] = [] if answer is None else [answer]
    else:
        found[_WRITTEN] = answer or ""
    # Shown in the corner of the card.
    return found | {"meta": {} if suggestion.score is None else {"score": round(suggestion.score, 3)}}


def _with_turns(turns: Sequence[Message], question: str) -> str:
    return f"{conversation(turns)}\n\nUser: {question}" if turns else question


def _option(task: Task, record: Record, answer: str) -> str:
    return record.options[LETTERS.index(answer)] if task.kind == "multiple_choice" else answer


def _config(task: Task) -> Json:
    if task.closed:
        return {"choice_style": "single"}
    field = {"view_id": "text_input", "field_id": _WRITTEN, "field_label": "Answer", "field_rows": 4}
    return {"blocks": [{"view_id": "text"}, field]}


def _annotation(found: Json) -> list[Annotation]:
    annotator = str(found.get("_annotator_id") or found.get("_session_id") or "")
    button = found.get("answer")
    if button in _INSTEAD_OF_ANSWER:
        return [Annotation(annotator, _INSTEAD_OF_ANSWER[button])]
    if button != "accept":
        return []
    chosen: Any = found.get("accept") if "options" in found else found.get(_WRITTEN)
    if isinstance(chosen, list) and len(chosen) > 1:
        return [Annotation(annotator, "answer")]
    answer = chosen[0] if isinstance(chosen, list) and chosen else chosen
    return [Annotation(annotator, "answer", answer)] if isinstance(answer, str) and answer.strip() else []
