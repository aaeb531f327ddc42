"""Argilla: a folder that `rg.Dataset.from_disk` loads; responses from its records, flattened or not.

https://docs.argilla.io/latest/how_to_guides/import_export/, https://docs.argilla.io/latest/reference/argilla/records/
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from semievol.annotation.exchange import (
    INSTEAD,
    Annotation,
    Json,
    Returned,
    Suggestion,
    as_json,
    choices,
    conversation,
    from_metadata,
    metadata,
)
from semievol.records import Task
from semievol.task.answers import LETTERS

NAME, RECORDS = "Argilla", "records.json"
_ANSWER, _INSTEAD, _EARLIER, _QUESTION, _OPTIONS = "answer", "instead", "earlier", "question", "options"
_FEWEST, _MOST, _LONGEST = 2, 500, 200
"""How many labels a choice of an Argilla server can have, and their most characters."""
_METADATA = ("record_id", "content_hash", "record_options", "record_earlier", "suggested_answer")


def files(task: Task, suggestions: Sequence[Suggestion]) -> dict[str, bytes]:
    """File name -> content, as `Dataset.to_disk` writes them: the dataset, its settings, its records.

    Argilla adds records to a dataset that has the same name already, so the name is made of the records.
    """
    most = max((len(suggestion.record.options) for suggestion in suggestions), default=0)
    turns = any(suggestion.record.earlier for suggestion in suggestions)
    records = as_json([_record(task, suggestion) for suggestion in suggestions])
    name = f"semievol-review-{hashlib.sha256(records).hexdigest()[:12]}"
    return {
        ".argilla/dataset.json": as_json({"name": name, "status": "draft", "allow_extra_metadata": True}),
        ".argilla/settings.json": as_json(_settings(task, most, turns)),
        RECORDS: records,
    }


def recognises(found: Json) -> bool:
    """Whether it is a record of Argilla, flattened or not."""
    return {"fields", "responses"} <= set(found) or f"{_ANSWER}.suggestion" in found or f"{_ANSWER}.responses" in found


def returned(found: Json) -> Returned:
    """A record with its responses."""
    if isinstance(found.get("fields"), dict):
        annotations = _nested_annotations(found)
        return from_metadata(_object(found.get("metadata")), found["fields"].get(_QUESTION), annotations)
    kept = {name: found.get(name, found.get(f"metadata.{name}")) for name in _METADATA}
    return from_metadata(kept, found.get(_QUESTION), _annotations(_flat(found, _ANSWER), _flat(found, _INSTEAD)))


def status_of(response: Json, of_record: object) -> str:
    """A response's own status. One that has none is submitted, unless the record's status is another than completed."""
    return str(response.get("status") or ("submitted" if of_record in (None, "", "completed") else "draft"))


def _settings(task: Task, most: int, turns: bool) -> Json:
    """Fields and questions. most: the largest number of options that a record has. turns: whether there are earlier
    turns to show."""
    if task.kind == "multiple_choice":
        labels: Sequence[str] = LETTERS[:most]
    else:
        labels = task.labels
    plain = {"type": "text", "use_markdown": False}
    fields = [{"name": _QUESTION, "title": "Question", "required": True, "settings": plain}]
    if turns:
        fields.insert(0, {"name": _EARLIER, "title": "Before the question", "required": False, "settings": plain})
    if task.kind == "multiple_choice":
        fields.append({"name": _OPTIONS, "title": "Options", "required": False, "settings": plain})
    return {
        "guidelines": task.instruction or None,
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "fields": fields,
        "questions": [
            _question(_ANSWER, "Answer", labels if task.closed else (), required=True),
            _question(_INSTEAD, "Or say instead", tuple(INSTEAD), required=False),
        ],
        "vectors": [],
        "metadata": [],
        "mapping": None,
    }


def _question(name: str, title: str, labels: Sequence[str], required: bool) -> Json:
    """A choice between the labels; without labels, or with such as no choice can hold, a text, in which the suggestion
    stands already."""
    settings: Json = {"type": "text", "use_markdown": False}
    if _FEWEST <= len(labels) <= _MOST and max(map(len, labels)) <= _LONGEST:
        options = [{"value": label, "text": label} for label in labels]
        settings = {"type": "label_selection", "options": options, "visible_options": None}
    return {"name": name, "title": title, "description": None, "required": required, "settings": settings}


def _record(task: Task, suggestion: Suggestion) -> Json:
    record = suggestion.record
    fields = {_QUESTION: record.question}
    if record.earlier:
        fields[_EARLIER] = conversation(record.earlier)
    if record.options and task.kind == "multiple_choice":
        fields[_OPTIONS] = "\n".join(choices(task, record).values())
    suggested: Json = {}
    if suggestion.answer is not None:
        suggested = {_ANSWER: {"value": suggestion.answer, "score": suggestion.score, "agent": "SemiEvol Studio"}}
    about: Json = {"id": record.id, "fields": fields, "metadata": metadata(suggestion)}
    return about | {"suggestions": suggested, "responses": {}, "vectors": {}, "status": "pending"}


def _nested_annotations(found: Json) -> list[Annotation]:
    """The annotations of a record that is not flattened. Its responses may not say whether they were
    submitted."""
    given = _object(found.get("responses"))
    responses: dict[str, dict[str, tuple[Any, str]]] = {}
    for name in (_ANSWER, _INSTEAD):
        rows = [one for one in given.get(name) or () if isinstance(one, dict)]
        responses[name] = {
            str(one.get("user_id")): (one.get("value"), status_of(one, found.get("status"))) for one in rows
        }
    return _annotations(responses[_ANSWER], responses[_INSTEAD])


def _flat(found: Json, question: str) -> dict[str, tuple[Any, str]]:
    """Annotator -> (value, status) of the responses to a question, which stand in three columns."""
    columns = [found.get(f"{question}.responses{part}") or [] for part in ("", ".users", ".status")]
    return {str(user): (value, str(status)) for value, user, status in zip(*columns, strict=False)}


def _annotations(answers: Mapping[str, tuple[Any, str]], instead: Mapping[str, tuple[Any, str]]) -> list[Annotation]:
    """An annotation for each annotator who submitted or discarded a response; drafts say nothing yet."""
    annotations = []
    for annotator in dict.fromkeys([*answers, *instead]):
        statuses = {given[annotator][1] for given in (answers, instead) if annotator in given}
        answer, other = (given[annotator][0] if annotator in given else None for given in (answers, instead))
        if "discarded" in statuses:
            annotations.append(Annotation(annotator, "skip"))
        elif "submitted" in statuses and other in INSTEAD:
            annotations.append(Annotation(annotator, INSTEAD[other]))
        elif "submitted" in statuses and answer is not None:
            annotations.append(Annotation(annotator, "answer", answer if isinstance(answer, str) else None))
    return annotations


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
