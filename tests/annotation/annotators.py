"""People who review in a tool: from the files that it imports to the objects of its export, in its documented forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

Json = dict[str, Any]
REJECT, AMBIGUOUS = "The suggested answer is wrong", "None fits"
INSTEAD = {"reject": REJECT, "ambiguous": AMBIGUOUS}


@dataclass(frozen=True)
class Press:
    """What an annotator does with a record. action: a decision. place: of the answer that is chosen, where the task
    has allowed answers. text: the answer that is written, where it has none."""

    who: str
    action: str
    place: int = 0
    text: str = ""


Presses = Mapping[str, Sequence[Press]]
"""Record id -> what the annotators do with it, in time."""


def label_studio(files: Mapping[str, bytes], presses: Presses) -> list[Json]:
    """The JSON export: tasks with their annotations."""
    return [
        {"id": number, "data": task["data"], "meta": {}, "drafts": [], "predictions": [7], "project": 5}
        | {"annotations": _annotations(files, task, presses[task["data"]["record_id"]])}
        for number, task in enumerate(json.loads(files["tasks.json"]), 1)
    ]


def label_studio_min(files: Mapping[str, bytes], presses: Presses) -> list[Json]:
    """The JSON-MIN export: an object for each annotation that was not skipped; single results as plain texts."""
    found = []
    for task in label_studio(files, presses):
        for one in task["annotations"]:
            if not one["was_cancelled"]:
                said = {result["from_name"]: next(iter(result["value"].values())) for result in one["result"]}
                plain = {name: values[0] if len(values) == 1 else values for name, values in said.items()}
                about = {"annotator": one["completed_by"]["email"], "annotation_id": one["id"], "lead_time": 3.5}
                found.append({**task["data"], "id": task["id"], **plain, **about})
    return found


def _annotations(files: Mapping[str, bytes], task: Json, presses: Sequence[Press]) -> list[Json]:
    config = ElementTree.fromstring(files["labeling_config.xml"].decode())
    choices = config.find("Choices[@name='answer']")
    shown: list[str] = []
    if choices is not None:
        listed = task["data"].get("choices", [{"value": choice.get("value")} for choice in choices])
        shown = [choice["value"] for choice in listed]
    found = []
    for number, press in enumerate(presses):
        # A prediction is filled in, and stays where it is not changed.
        result = [dict(one) for part in task.get("predictions", ()) for one in part["result"]]
        if press.action == "edit":
            value = {"choices": [shown[press.place]]} if shown else {"text": [press.text]}
            kind = "choices" if shown else "textarea"
            result = [{"from_name": "answer", "to_name": "question", "type": kind, "value": value, "id": "x1"}]
        elif press.action in INSTEAD:
            value = {"choices": [INSTEAD[press.action]]}
            result.append({"from_name": "instead", "to_name": "question", "type": "choices", "value": value})
        by = {"id": 3, "email": press.who}
        made = {"id": 1000 + number, "completed_by": by, "was_cancelled": press.action == "skip", "result": result}
        found.append(made | {"created_at": f"2026-01-01T10:00:{number:02}Z", "ground_truth": False})
    return found[::-1]  # in whatever order; the time counts


def argilla(files: Mapping[str, bytes], presses: Presses) -> list[Json]:
    """`dataset.records.to_json`: nested, without the status of a response; only submitted responses are in it here."""
    found = []
    for record in json.loads(files["records.json"]):
        responses: dict[str, list[Json]] = {}
        for press in presses[record["id"]]:
            for question, value in _submitted(files, record, press).items():
                responses.setdefault(question, []).append({"value": value, "user_id": press.who})
        done = {"responses": responses, "status": "completed" if responses else "pending", "_server_id": "77"}
        found.append({**record, **done})
    return found


def argilla_flat(files: Mapping[str, bytes], presses: Presses) -> list[Json]:
    """`dataset.records.to_list(flatten=True)`, `to_datasets().to_json(…)`: a column for each part."""
    found = []
    for record in json.loads(files["records.json"]):
        flat = {"id": record["id"], "status": "completed", "_server_id": "77", **record["fields"], **record["metadata"]}
        for question, suggestion in record["suggestions"].items():
            flat |= {f"{question}.suggestion": suggestion["value"], f"{question}.suggestion.score": suggestion["score"]}
        for press in presses[record["id"]]:
            for question, value in (_submitted(files, record, press) or _filled_in(record)).items():
                status = "discarded" if press.action == "skip" else "submitted"
                for part, one in (("", value), (".users", press.who), (".status", status)):
                    flat.setdefault(f"{question}.responses{part}", []).append(one)
        found.append(flat)
    names = {name for record in found for name in record}
    return [dict.fromkeys(names) | record for record in found]


def _filled_in(record: Json) -> dict[str, str]:
    return {question: suggestion["value"] for question, suggestion in record["suggestions"].items()}


def _submitted(files: Mapping[str, bytes], record: Json, press: Press) -> dict[str, str]:
    """Question -> the value that the annotator submits."""
    if press.action == "skip":
        return {}
    answer = json.loads(files[".argilla/settings.json"])["questions"][0]["settings"]
    if press.action == "edit":
        return {"answer": answer["options"][press.place]["value"] if "options" in answer else press.text}
    instead = {"instead": INSTEAD[press.action]} if press.action in INSTEAD else {}
    return _filled_in(record) | instead


def prodigy(files: Mapping[str, bytes], presses: Presses) -> list[Json]:
    """`prodigy db-out`: a line for each answer of an annotator."""
    found = []
    for task in map(json.loads, files["tasks.jsonl"].splitlines()):
        for press in presses[task["record_id"]]:
            answered = dict(task)
            if press.action == "edit" and "options" in task:
                answered["accept"] = [task["options"][press.place]["id"]]
            elif press.action == "edit":
                answered["user_input"] = press.text
            said = {"reject": "reject", "skip": "ignore"}.get(press.action, "accept")
            hashes = {"_input_hash": 7, "_task_hash": -9, "_view_id": "choice", "_timestamp": 1_661_500_000}
            found.append(answered | hashes | {"answer": said, "_session_id": press.who, "_annotator_id": press.who})
    return found


REVIEWED: dict[str, tuple[str, Callable[[Mapping[str, bytes], Presses], list[Json]]]] = {
    "label_studio": ("label_studio", label_studio),
    "label_studio_min": ("label_studio", label_studio_min),
    "argilla": ("argilla", argilla),
    "argilla_flat": ("argilla", argilla_flat),
    "prodigy": ("prodigy", prodigy),
}
"""Form -> the tool, and what it exports after people reviewed in it."""
