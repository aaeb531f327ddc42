"""Label Studio: tasks with predictions and a labeling configuration; annotations from its JSON and JSON-MIN exports.

https://labelstud.io/guide/predictions, https://labelstud.io/guide/export, https://labelstud.io/tags/choices
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

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

NAME, RECORDS = "Label Studio", "tasks.json"
_ANSWER, _INSTEAD, _QUESTION, _EARLIER, _CHOICES = "answer", "instead", "question", "earlier", "choices"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""
_FIELD, _NO_FIELD = re.compile(r"\$(?=\w)"), "$\u200b"
"""A dollar sign before a letter or digit begins the name of a field, which Label Studio replaces, also in choices. With
a space of no width after it, it looks the same and stays."""


def files(task: Task, suggestions: Sequence[Suggestion]) -> dict[str, bytes]:
    """File name -> content: the tasks and the labeling configuration."""
    turns = any(suggestion.record.earlier for suggestion in suggestions)
    tasks = [_task(task, suggestion, turns) for suggestion in suggestions]
    return {RECORDS: as_json(tasks), "labeling_config.xml": config(task, turns).encode()}


def config(task: Task, turns: bool = False) -> str:
    """The labeling configuration: the question, the answers, and what can be given instead of an answer. turns: whether
    there are earlier turns to show."""
    to = f'toName="{_QUESTION}"'
    if not task.closed:
        answers = [f'  <TextArea name="{_ANSWER}" {to} rows="3" maxSubmissions="1" editable="true"/>']
    elif _in_data(task):
        answers = [f'  <Choices name="{_ANSWER}" {to} choice="single" value="${_CHOICES}"/>']
    else:
        labels = [f"    <Choice value={_attribute(_shown(label))}/>" for label in task.labels]
        answers = [f'  <Choices name="{_ANSWER}" {to} choice="single">', *labels, "  </Choices>"]
    header = [f"  <Header value={_attribute(_shown(task.instruction))}/>"] if task.instruction else []
    instead = [f'    <Choice value="{words}"/>' for words in INSTEAD]
    header += [f'  <Text name="{_EARLIER}" value="${_EARLIER}"/>'] if turns else []
    lines = [*header, f'  <Text name="{_QUESTION}" value="${_QUESTION}"/>', *answers]
    lines += [f'  <Choices name="{_INSTEAD}" {to} choice="single" showInline="true">', *instead, "  </Choices>"]
    return "\n".join(["<View>", *lines, "</View>", ""])


def recognises(found: Json) -> bool:
    """Whether it is a task of a JSON export, or an annotation of a JSON-MIN export."""
    whole = isinstance(found.get("data"), dict) and "annotations" in found
    return whole or {"annotation_id", "annotator"} <= set(found)


def returned(found: Json) -> Returned:
    """A task with its annotations, or, of a JSON-MIN export, with one."""
    if not isinstance(found.get("data"), dict):
        given = {name: _values(found.get(name)) for name in (_ANSWER, _INSTEAD)}
        return from_metadata(found, found.get(_QUESTION), _annotation(found.get("annotator"), given))
    annotations: list[Annotation] = []
    for annotation in sorted(_objects(found.get("annotations")), key=_written):
        if annotation.get("was_cancelled"):
            annotations.append(Annotation(_name(annotation.get("completed_by")), "skip"))
            continue
        results = _objects(annotation.get("result"))
        given = {
            name: [text for one in results if one.get("from_name") == name for text in _values(one.get("value"))]
            for name in (_ANSWER, _INSTEAD)
        }
        annotations += _annotation(annotation.get("completed_by"), given)
    data = found["data"]
    return from_metadata(data, data.get(_QUESTION), annotations)


def _task(task: Task, suggestion: Suggestion, turns: bool) -> Json:
    record = suggestion.record
    shown = {answer: _shown(text) for answer, text in choices(task, record).items()}
    data: Json = {_QUESTION: record.question, **metadata(suggestion)}
    if turns:
        data[_EARLIER] = conversation(record.earlier)
    if _in_data(task):
        data[_CHOICES] = [{"value": text} for text in shown.values()]
    if suggestion.answer is None:
        return {"data": data}
    value = {"choices": [shown.get(suggestion.answer, suggestion.answer)]} if task.closed else {}
    result = {"from_name": _ANSWER, "to_name": _QUESTION, "type": "choices" if task.closed else "textarea"}
    prediction: Json = {"model_version": "SemiEvol Studio"}
    if suggestion.score is not None:
        prediction["score"] = suggestion.score
    prediction["result"] = [{**result, "value": value or {"text": [suggestion.answer]}}]
    return {"data": data, "predictions": [prediction]}


def _in_data(task: Task) -> bool:
    """Whether every task names its own choices: those of the configuration are the same for all, and are XML."""
    return task.kind == "multiple_choice" or any(_NO_XML.search(label) for label in task.labels)


def _shown(text: str) -> str:
    return _FIELD.sub(_NO_FIELD, text)


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _annotation(annotator: object, given: dict[str, list[str | None]]) -> list[Annotation]:
    """What is given instead of an answer counts more than the suggestion that is still filled in. One who leaves the
    answer empty says nothing."""
    instead = next((INSTEAD[words] for words in given[_INSTEAD] if words in INSTEAD), None)
    if instead is not None:
        return [Annotation(_name(annotator), instead)]
    if None in given[_ANSWER]:
        return [Annotation(_name(annotator), "answer")]
    answer = "\n".join(text for text in given[_ANSWER] if text).replace(_NO_FIELD, "$")
    return [Annotation(_name(annotator), "answer", answer)] if answer.strip() else []


def _values(value: Any) -> list[str | None]:
    """The texts of a result: `{"choices": […]}`, `{"text": […]}`, or, in JSON-MIN, a text or a list of these. None
    stands for several choices."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for part in value for text in _values(part)]
    if not isinstance(value, dict):
        return []
    chosen = value.get("choices")
    return [None] if isinstance(chosen, list) and len(chosen) > 1 else _values(chosen or value.get("text"))


def _objects(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _written(annotation: Json) -> str:
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")


def _name(annotator: Any) -> str:
    """An annotator is a number, an address, or an object with both."""
    known = annotator.get("email") or annotator.get("id") if isinstance(annotator, dict) else annotator
    return "" if known is None else str(known)
