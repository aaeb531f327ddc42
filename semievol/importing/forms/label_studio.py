"""Label Studio's exports: JSON, with a task's data and its annotations; JSON-MIN or CSV, with a row per annotation.

Of several annotations of one task the answer given most often counts; cancelled ones and predictions do not. Labels
of passages in a text (spans) are no answers, and such a row is rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from semievol.importing.forms.unfolding import (
    ANSWER,
    Annotators,
    Tally,
    Unreadable,
    fields_of,
    free_name,
    hold,
    parsed,
    written,
)
from semievol.importing.table import Limits, Table

_KEPT_APART = {"id", "annotation_id", "annotator", "created_at", "updated_at", "lead_time", "agreement", "file_upload"}
_STRUCTURE = {"predictions", "drafts", "meta"}
_ONE = "Keep one label per record."
_PASSAGES = "\0The annotation marks passages of the text, which is no answer to a question."
_SEVERAL = 'Each task was asked several things, each of which became a column; "answer" is the first of them. Tasks'


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with the data's fields and `answer` as columns; None where it is no export of Label Studio."""
    names = set(table.columns)
    given = next((name for name in ("annotations", "completions") if name in names), None)
    bare = given is None and names <= {"data", *_KEPT_APART, *_STRUCTURE}
    if "data" in names and hold(table, "data", fields_of) and (bare or (given and _results(table, given))):
        return _unfold_tasks(table, given, limits)
    if {"annotation_id", "lead_time"} <= names:
        return _unfold_rows(table, limits)
    return None


def _results(table: Table, column: str) -> bool:
    """Whether the cells hold annotations, or there are none yet."""
    cells = [cell for cell in table.column(column, 50) if cell and cell.strip() not in ("", "[]")]
    return not cells or hold(table, column, lambda cell: parsed(cell, "["))


def _unfold_tasks(table: Table, given: str | None, limits: Limits) -> Table:
    """given: the column of the annotations; None in a list of tasks that nobody has annotated."""
    fields: dict[str, None] = {}
    questions: dict[str, None] = {}
    for _, (data, *cells) in table.walk(["data", *([given] if given else [])]):
        fields.update(dict.fromkeys(fields_of(data) or {}))
        for found in _annotations(*cells):
            questions.update(dict.fromkeys(found))
    questions, marked = _without_passages(table, given, questions)
    first = next(iter(questions), None)
    further = [name for name in list(questions)[1:] if name not in fields and name != ANSWER]
    own = {name: free_name(table, f"task {name}") for name in table.columns if name in {*fields, *further, ANSWER}}
    annotators = {name: Annotators("Label Studio", ANSWER if name == first else name) for name in questions}
    several = Tally()
    added = [*(name for name in fields if name != ANSWER), ANSWER, *further]

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        data = fields_of(cells["data"])
        if not data:
            raise Unreadable("data", "The task has no data.", 'Give it {"text": "…"}.')
        found = _annotations(cells[given] if given else None)
        answers: dict[str, str | None] = {}
        for name in questions:
            said = [one[name] for one in found if name in one]
            bad = next((one for one in said if one.startswith("\0")), None)
            if bad is not None:
                raise Unreadable(str(given), bad[1:], _ONE)
            answers[name] = annotators[name].answer(number, said)
        if len(questions) > 1:
            several.add(number, ", ".join(questions))
        label = answers[first] if first else None
        if label is None and any(name in one for one in found for name in marked):
            raise Unreadable(str(given), _PASSAGES[1:], _ONE)
        yield [*(data.get(name) for name in added if name in fields and name != ANSWER), label] + [
            answers[name] for name in further
        ]

    new = written(table, added, read, limits, own, {"data", *([given] if given else []), *_STRUCTURE})
    chosen = (
        f': the column "answer" is what annotators chose for "{first}"'
        if first
        else ", in which nothing is annotated yet"
    )
    if marked:
        new.notes.append(f"Passages that annotators marked are no answers, and were left out: {', '.join(marked)}.")
    new.notes.append(f"The file is a Label Studio export{chosen}.")
    new.notes.append("Predictions of a model are no answers.")
    for one in annotators.values():
        new.doubts.extend(one.doubts())
    new.doubts.extend(
        several.doubt("several_questions", _SEVERAL, f"Map the answer to one of: {', '.join(questions)}.", ANSWER)
    )
    return new


def _without_passages(table: Table, given: str | None, questions: dict[str, None]) -> tuple[dict[str, None], list[str]]:
    """The questions without those whose answers are passages, and these; all of them where nothing else was asked.
    Questions that got different answers come first, since one that always gets the same is a detail."""
    if given is None:
        return questions, []
    said = {name: set[str]() for name in questions}
    for _, (cell,) in table.walk([given]):
        for found in _annotations(cell):
            for name, answer in found.items():
                said[name].add(answer)
    marked = [name for name in questions if said[name] == {_PASSAGES}]
    asked = sorted((name for name in questions if name not in marked), key=lambda name: len(said[name]) < 2)
    return (dict.fromkeys(asked), marked) if asked else (questions, [])


def _annotations(cell: str | None = None) -> list[dict[str, str]]:
    """What every annotator answered: name of the question -> answer. An answer that cannot be one begins with NUL."""
    found = []
    for annotation in parsed(cell, "[") or []:
        if isinstance(annotation, dict) and not (annotation.get("was_cancelled") or annotation.get("skipped")):
            results = annotation.get("result")
            answers: dict[str, str] = {}
            for result in results if isinstance(results, list) else []:
                if isinstance(result, dict):
                    answers.setdefault(str(result.get("from_name", "answer")), _answer(result))
            found.append(answers)
    return found


def _answer(result: dict[str, Any]) -> str:
    """The answer that one result of an annotation gives; with a NUL before it the reason why it gives none."""
    value = result.get("value")
    value = value if isinstance(value, dict) else {}
    if "start" in value or "labels" in value:
        return _PASSAGES
    for kind in ("choices", "text", "rating", "number", "taxonomy"):
        if kind in value:
            said = value[kind]
            said = (
                [" / ".join(map(str, one)) if isinstance(one, list) else one for one in said]
                if isinstance(said, list)
                else [said]
            )
            if len(said) > 1:
                return f"\0The annotator chose several labels: {', '.join(map(str, said))}."
            return str(said[0]) if said else "\0The annotation is empty."
    return f'\0The annotation is of the type "{result.get("type", "unknown")}", which is no answer.'


def _unfold_rows(table: Table, limits: Limits) -> Table | None:
    """JSON-MIN and CSV: a column for each question, beside those of the data and of the bookkeeping."""
    if ANSWER in table.columns:
        return None
    own = [name for name in table.columns if name not in _KEPT_APART]
    chosen = [name for name in own if hold(table, name, _chosen)]
    marked = [name for name in own if hold(table, name, _passages)]
    plain = [name for name in own if name not in (*chosen, *marked) and _repeats(table, name)]
    asked = _asked(table, [*chosen, *plain])
    column = next(iter(asked), None)
    if column is None:
        return _refused(table, marked[0], limits) if marked else None
    # A task is its id and its data: files of several projects have the same ids.
    task = ["id" if "id" in table.columns else "annotation_id", *(name for name in own if name not in asked)]
    by_task: dict[tuple[str | None, ...], list[str]] = {}  # what the annotators of each task chose
    for _, (cell, *named) in table.walk([column, *task]):
        choices = _chosen(cell or "")
        said = [cell] if choices is None else choices
        by_task.setdefault(tuple(named), []).append("\0".join(text for text in said if text))
    annotators = Annotators("Label Studio")

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        answers = by_task.pop(tuple(cells[name] for name in task), None)
        if answers is None:
            return  # another annotation of a task that was read
        several = next((answer for answer in answers if "\0" in answer), None)
        if several is not None:
            raise Unreadable(column, f"The annotator chose several labels: {several.replace(chr(0), ', ')}.", _ONE)
        yield [annotators.answer(number, [answer for answer in answers if answer])]

    new = written(table, [ANSWER], read, limits)
    if joined := table.physical - new.physical:
        new.notes.append(f"Rows with a further annotation of a task, which were joined with its first: {joined:,}.")
    new.doubts.extend(annotators.doubts())
    new.notes.append(f'The file is a Label Studio export: the column "answer" is what annotators chose for "{column}".')
    if len(chosen) + len(plain) > 1:
        tally = Tally(rows=len(new))
        names = ", ".join(asked)
        new.doubts.extend(tally.doubt("several_questions", _SEVERAL, f"Map the answer to one of: {names}.", ANSWER))
    return new


def _asked(table: Table, columns: Sequence[str]) -> list[str]:
    """The columns, likely answers first: those in which annotators of a task differ, then those that differ at all."""
    seen: dict[tuple[str, str], str | None] = {}
    differ = set[str]()
    task = "id" if "id" in table.columns else "annotation_id"
    for _, (name, *cells) in table.walk([task, *columns]):
        for column, cell in zip(columns, cells, strict=True):
            if seen.setdefault((column, name or ""), cell) != cell:
                differ.add(column)
    return sorted(columns, key=lambda name: (name not in differ, len(set(table.column(name, 2_000))) < 2))


def _refused(table: Table, marked: str, limits: Limits) -> Table:
    """All rows rejected, since their annotations are passages."""

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        raise Unreadable(marked, _PASSAGES[1:], "Export an annotation of whole texts.")

    return written(table, [ANSWER], read, limits)


def _passages(cell: str) -> list[Any] | None:
    """Marked passages; None where the cell is something else."""
    found = parsed(cell, "[")
    if not isinstance(found, list):
        return None
    return found if all(isinstance(one, dict) and {"labels", "start"} <= set(one) for one in found) else None


def _chosen(cell: str) -> list[str] | None:
    """The choices of `{"choices": […]}`; None where the cell is something else."""
    found = parsed(cell, "{")
    choices = found.get("choices") if isinstance(found, dict) else None
    return [str(choice) for choice in choices] if isinstance(choices, list) else None


def _repeats(table: Table, column: str) -> bool:
    cells = [cell for cell in table.column(column, 2_000) if cell and cell.strip()]
    return bool(cells) and len(set(cells)) <= max(2, len(cells) // 2)
