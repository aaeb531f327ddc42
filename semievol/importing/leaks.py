"""Whether questions hold their own answer: after words such as "### Response:", or at their end.

A model that reads the answer learns nothing, and a test of it proves nothing. Looks at the labeled records only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Tables
from itertools import islice

from semievol.errors import UserError
from semievol.importing.answer_cells import AnswerForm, read_answer
from semievol.importing.findings import SHOWN, Finding, example
from semievol.importing.mapping import Mapping, map_option
from semievol.importing.rows import Row, rows_of
from semievol.importing.table import Table
from semievol.records import Split, Task
from semievol.task.answers import LETTERS
from semievol.wording import plural

_LOOKED_AT = 1_000
_AFTER_WORDS, _AT_END = 0.5, 0.8
"""Shares of the records from which on it is no chance: a question may name its answer last ("Tope or Rope?")."""
_WORDS = "response|answer|output|assistant|model|completion|solution|label|target|gold|category|class|sentiment|gpt|bot"
_BEFORE = re.compile(rf"(?:\b(?:{_WORDS})\b\W*[:=>\n]\W*|\[/inst\]\s*)\Z")
_BEFORE_LENGTH = 40
_AFTER = re.compile(r"[\s.!?'\"<>|/*#`)\]]*\Z")
"""Signs that may follow the answer at the end of a text."""


def leaks(tables: Tables[Split, Table], mapping: Mapping, task: Task, form: AnswerForm) -> Iterator[Finding]:
    """The finding, where most questions hold their answer. form: how answers are written, see `rows.form_of`."""
    table = tables.get("labeled")
    if table is None:
        return
    context = mapping.context if mapping.context and task.closed else None
    contexts = table.column(context) if context else []
    said: dict[str, list[tuple[Row, str]]] = {"words": [], "end": []}
    total = 0
    for row in islice(rows_of("labeled", table, mapping, task, []), _LOOKED_AT):
        total += bool(row.cell)
        # What a passage ends with may be the answer to a question about it.
        ends = [row.question, *([contexts[row.place] or ""] if contexts else [])]
        for answer in _answers(task, row, form):
            if _after_words(row.question, answer):
                said["words"].append((row, answer))
            if any(_at_end(text, answer) for text in ends):
                said["end"].append((row, answer))
    shares = (("words", _AFTER_WORDS), ("end", _AT_END))
    held = next((said[how] for how, share in shares if len(said[how]) > share * total), [])
    if len({answer for _, answer in held}) < 2:
        return  # a question that always ends with the same words, such as "yes or no"
    source = mapping.context or mapping.question
    what = f'The questions hold their own answer, in the column "{source}": {plural(len(held), "record")} of {total:,}.'
    without = {role: column for role, column in mapping.as_dict().items() if role != "context"}
    option = map_option(**without) if mapping.context else ""
    remedy = (
        "Leave this column out." if mapping.context else "Map another column as the question, or cut the answer off."
    )
    examples = tuple(example("labeled", row.number, row.question[-80:], answer) for row, answer in held[:SHOWN])
    counts: dict[Split, int] = {"labeled": len(held)}
    yield Finding("answer_in_question", len(held), what, remedy, examples, counts, asks=True, option=option)


def _answers(task: Task, row: Row, form: AnswerForm) -> list[str]:
    """The answer as its cell has it, and the text of the option that it names."""
    found = [row.cell] if row.cell else []
    if row.cell and row.options:
        try:
            answer = read_answer(task, row.options, row.cell, form)
        except UserError:
            return found
        if task.kind == "multiple_choice" and answer in LETTERS:
            found.append(row.options[LETTERS.index(answer)].strip())
    return found


def _places(text: str, answer: str) -> Iterator[re.Match[str]]:
    """Where the answer stands in a text, as whole words."""
    text, answer = text.casefold(), answer.casefold()
    if answer in text:
        yield from re.finditer(rf"(?<!\w){re.escape(answer)}(?!\w)", text)


def _after_words(text: str, answer: str) -> bool:
    return any(_BEFORE.search(one.string[: one.start()][-_BEFORE_LENGTH:]) for one in _places(text, answer))


def _at_end(text: str, answer: str) -> bool:
    return any(_AFTER.match(one.string, one.end()) for one in _places(text, answer))
