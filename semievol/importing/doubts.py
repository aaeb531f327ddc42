"""Findings about guesses that change what records mean: a person confirms them, or gives the right reading.

Some are made in reading a file (`Table.doubts`), others show in the mapping and the task. Each has a remedy: a click on
the page, an option of the command line. `--strict` refuses them unless `--accept KIND` confirms them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping as Tables
from itertools import islice

from semievol.importing.alternatives import answer_candidates, question_candidates, unused_columns
from semievol.importing.answer_cells import first_of, several
from semievol.importing.findings import SHOWN, Correction, Finding, example
from semievol.importing.forms.unfolding import EARLIER, QUESTION, hold, looks_nested
from semievol.importing.joined_columns import joined_name
from semievol.importing.label_names import are_numbers
from semievol.importing.mapping import Mapping, map_option
from semievol.importing.numbers import decimal_comma, in_parentheses, numbers, unclear_points, unit_of, with_point
from semievol.importing.readers.missing import MISSING
from semievol.importing.table import Table
from semievol.importing.task_kind import known_answers, repeat
from semievol.records import SPLITS, Split, Task, earlier_turns
from semievol.wording import plural

_JOINED = re.compile(r"\s*[|;,/+&#]\s*")
"""What stands between several labels in one cell."""
_TOTALS = (
    *("total", "totals", "grand total", "subtotal", "sum", "average", "mean", "summe", "gesamt", "gesamtsumme"),
    *("zwischensumme", "mittelwert", "durchschnitt", "somme", "totale", "somma", "suma", "totaal", "итого", "合計"),
)
_LAST_ROWS, _FEW = 3, 12
_ONE = "Keep one answer per record."
_MOSTLY, _INSTRUCTION = 0.8, "instruction"
_LOOKED_AT = 5_000
"""Different answers that are looked at to tell numbers from texts."""
ABOUT_COLUMNS = ("left_out_text", "nested_text", "nested_field", "answer_guessed", "question_guessed")
"""Kinds that a mapping given by a person settles."""
ABOUT_TASK = ("many_classes", "parentheses", "nearly_numbers", "decimal_comma")
"""Kinds that a task given by a person settles."""


def doubts(tables: Tables[Split, Table], mapping: Mapping, task: Task) -> Iterator[Finding]:
    """All of them, those of the files first."""
    yield from _of_files(tables, mapping)
    yield from _differing_instructions(tables)
    yield from _without_instruction(tables, mapping)
    yield from _unused_columns(tables, mapping)
    yield from _nested(tables, mapping)
    yield from _fields(tables, mapping)
    yield from _guessed(tables, mapping)
    yield from _guessed_question(tables, mapping)
    yield from _second_header(tables, mapping)
    yield from _totals(tables, mapping)
    yield from _answers(tables, mapping, task)


def shared_instruction(tables: Tables[Split, Table]) -> str:
    """The system turn that the conversations of the first such file share; "" if there is none, or if those of another
    file have turns of their own, beside which it would be a second one."""
    if any(_own_system_turns(table) for table in tables.values()):
        return ""
    return next((tables[split].instruction for split in SPLITS if split in tables and tables[split].instruction), "")


def _own_system_turns(table: Table) -> bool:
    """Whether one of the first conversations keeps a system turn of its own."""
    if EARLIER not in table.columns:
        return False
    first = map(earlier_turns, table.column(EARLIER, _LOOKED_AT))
    return any(turns and turns[0].role == "system" for turns in first)


def _of_files(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    for split, table in tables.items():
        used = {"", *mapping.columns()} - ({mapping.answer, mapping.gold} if split == "unlabeled" else set())
        for one in (doubt for doubt in table.doubts if doubt.column in used):
            examples = tuple(example(split, row, text) for row, text in one.examples)
            correction = None if one.correction is None else Correction(*one.correction)
            yield _doubt(one.kind, {split: one.rows}, one.what, one.remedy, examples, correction, one.option)


def _differing_instructions(tables: Tables[Split, Table]) -> Iterator[Finding]:
    """Files whose conversations share another system turn than those of the first file."""
    first = shared_instruction(tables)
    for split, table in tables.items():
        if table.instruction and table.instruction != first:
            what = "The system turn of the conversations differs from that of the other file, and is left out."
            remedy = "Give an instruction that is right for all records."
            examples = (example(split, 0, table.instruction),)
            yield _doubt("system_turn_left_out", {split: len(table)}, what, remedy, examples)


def _without_instruction(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    """Files whose questions lack the instruction that those of other files begin with (Alpaca)."""
    having = {split for split, table in tables.items() if _INSTRUCTION in {name.casefold() for name in table.columns}}
    for split, table in tables.items():
        if having and split not in having and mapping.question == QUESTION:
            what = "Questions without an instruction, while those of the other file begin with one."
            remedy = (
                "Give these records the same field, or take it out of the other file and set it as the instruction."
            )
            yield _doubt("no_instruction", {split: len(table)}, what, remedy, _first(split, table, mapping.question))


def _unused_columns(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    """Text columns that no role uses."""
    table = tables.get("labeled") or next(iter(tables.values()))
    if found := unused_columns(tables, mapping):
        named = ", ".join(f'"{column}"' for column in found)
        what = f"Columns of texts that no model reads: {named}."
        remedy = "If one belongs to the question, map it as its context."
        context = found[0] if mapping.context is None else joined_name(found[0], mapping.context)
        fits = all({found[0], mapping.context or found[0]} <= set(other.columns) for other in tables.values())
        correction = Correction("context", context, f'Put "{found[0]}" before the question') if fits else None
        counts = {split: len(other) for split, other in tables.items()}
        option = map_option(**mapping.as_dict() | {"context": context})
        yield _doubt("left_out_text", counts, what, remedy, _first("labeled", table, found[0]), correction, option)


def _guessed(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    """An answer that was taken by the form of its cells, where other columns have the same form."""
    found = answer_candidates(tables, mapping) if "labeled" in tables else []
    if found:
        others = [column for column in found if column != mapping.answer]
        named = ", ".join(f'"{column}"' for column in others[:6])
        what = f'The answer was guessed to be "{mapping.answer}"; it could also be: {named}.'
        correction = Correction("answer", others[0], f'Take "{others[0]}"')
        counts: dict[Split, int] = {"labeled": len(tables["labeled"])}
        option = map_option(question=mapping.question, answer=others[0])
        yield _doubt("answer_guessed", counts, what, "Map the right one.", (), correction, option)


def _guessed_question(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    """A question that was taken by the length of its cells, where other columns hold texts, too."""
    if others := question_candidates(tables, mapping):
        named = ", ".join(f'"{column}"' for column in others[:6])
        what = f'The question was guessed to be "{mapping.question}"; it could also be: {named}.'
        correction = Correction("question", others[0], f'Take "{others[0]}"')
        counts = {split: len(table) for split, table in tables.items()}
        option = map_option(question=others[0], answer=mapping.answer)
        remedy = "Map the right one, or put the other before it as its context."
        yield _doubt("question_guessed", counts, what, remedy, (), correction, option)


def _nested(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    """Columns in use whose cells are JSON, which a model would read as it is written."""
    roles = (("question", mapping.question), ("context", mapping.context), ("answer", mapping.answer))
    for split, table in tables.items():
        for role, column in roles:
            if column is None or column not in table.columns or (role == "answer" and split == "unlabeled"):
                continue
            if hold(table, column, looks_nested):
                what = f'The column "{column}" holds nested JSON, which is taken for the text of the {role}.'
                remedy = "Map another column, or write the text into a column of its own."
                yield _doubt("nested_text", {split: len(table)}, what, remedy, _first(split, table, column))


def _fields(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    """One of several fields of an object, taken for the question or the answer."""
    table, roles = tables.get("labeled") or next(iter(tables.values())), mapping.as_dict()
    for role in ("question", "answer"):
        column = roles.get(role, "")
        whole = next((name for name in table.structure if column == f"{name}.{column.removeprefix(f'{name}.')}"), None)
        others = [c for c in table.columns if whole and c.startswith(f"{whole}.") and c not in mapping.columns()]
        if whole and others:
            what = f'The {role} is the field "{column}" of "{whole}", which has others: {", ".join(others[:6])}.'
            remedy = "Map another one, or the whole, if that is meant."
            option = map_option(**roles | {role: whole})
            correction = Correction(role, whole, f'Take "{whole}"')
            yield _doubt("nested_field", {"labeled": len(table)}, what, remedy, (), correction, option)


def _second_header(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    """A first record without the id that all others have, as in files with two rows of names (SurveyMonkey)."""
    for split, table in tables.items():
        if mapping.id is None or mapping.id not in table.columns or len(table) < 3:
            continue
        ids = table.column(mapping.id, _LOOKED_AT)
        if not (ids[0] or "").strip() and all(text and text.strip() for text in ids[1:]):
            what = f'The first record has no "{mapping.id}", which all others have: it may be a second row of names.'
            yield _doubt(
                "second_header", {split: 1}, what, "Delete this row.", _first(split, table, mapping.question)[:1]
            )


def _totals(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    """A row of totals at the end, as spreadsheets have it."""
    for split, table in tables.items():
        start = max(0, len(table) - _LAST_ROWS)
        columns = [table.cells.column(name).slice(start).to_pylist() for name in table.columns]
        for number, row in zip(table.numbers[start:].tolist(), zip(*columns, strict=True), strict=True):
            cells = {name: cell.strip() for name, cell in zip(table.columns, row, strict=True) if cell and cell.strip()}
            first = next(iter(cells), "")
            total = any(cells.get(name, "").strip(":= ").casefold() in _TOTALS for name in (first, mapping.question))
            record = mapping.question in cells and (split == "unlabeled" or mapping.answer in cells)
            if total and record and first != mapping.answer:
                what = "The file ends with a row that seems to be a total, and is taken for a record."
                examples = (example(split, number, " | ".join(cells.values())),)
                yield _doubt("totals_row", {split: 1}, what, "Delete this row.", examples)
                break


def _answers(tables: Tables[Split, Table], mapping: Mapping, task: Task) -> Iterator[Finding]:
    """Answers that could be of another kind of task than the one that is taken."""
    if "labeled" not in tables:
        return
    answers = known_answers(tables, mapping)
    if task.kind == "classification" and are_numbers(task.labels):
        listed = ", ".join(task.labels[:12])
        what = f"The labels are numbers, which say nothing to a model: {listed}."
        remedy = "Give their names in the order of the numbers."
        yield _doubt("number_labels", {"labeled": answers.total()}, what, remedy, option="--labels NAME,NAME")
    if task.kind == "numeric":
        yield from _few_numbers(answers)
        if decimal_comma(answers):
            what = f"Numbers with a decimal comma were read as such: {plural(answers.total(), 'answer')}."
            examples = tuple(example("labeled", 0, f"{one} = {with_point(one)}") for one in list(answers)[:SHOWN])
            remedy = "If they are no numbers, choose the task text."
            correction = Correction("task", "text", "They are texts")
            yield _doubt(
                "decimal_comma", {"labeled": answers.total()}, what, remedy, examples, correction, "--task text"
            )
        elif unclear := unclear_points(answers):
            one = unclear[0]
            total = sum(answers[answer] for answer in dict.fromkeys(unclear))
            what = f"Points that may stand between thousands were read as decimal points: {plural(total, 'answer')}."
            examples = tuple(example("labeled", 0, answer) for answer in unclear[:SHOWN])
            remedy = f"If {one} means thousands, write the numbers without these points."
            yield _doubt("unclear_points", {"labeled": total}, what, remedy, examples)
    odd = [label for label in task.labels if not any(char.isalnum() for char in label) or label == r"\N"]
    if odd and len(odd) < len(task.labels) and all(len(label) < 4 and label.isascii() for label in odd):
        total = sum(answers[label] for label in odd)
        what = f"Labels of signs only, which often mean that there is no label: {', '.join(odd)}."
        yield _doubt("sign_labels", {"labeled": total}, what, "Delete these rows, or their answers.")
    yield from _missing(answers, mapping, task)
    labels = set(task.labels)
    joined = [label for label in task.labels if len(parts := _JOINED.split(label)) > 1 and labels & set(parts)]
    if unclear := [label for label in task.labels if "," in label and label not in joined]:
        total = sum(answers[label] for label in unclear)
        what = f"Labels with a comma, which a prompt separates by commas, too: {', '.join(map(repr, unclear[:SHOWN]))}."
        remedy, option = "Name them without.", '--relabel "OLD=NEW"'
        yield Finding("comma_labels", total, what, remedy, counts={"labeled": total}, option=option)
    if joined:
        total = sum(answers[label] for label in joined)
        what = f"Labels that seem to be several labels in one cell: {', '.join(joined[:SHOWN])}."
        yield _doubt("joined_labels", {"labeled": total}, what, "Keep one label per record.")
    if task.kind != "text" or not answers:
        return
    yield from _nearly_numbers(answers)
    negative = {answer: times for answer, times in answers.items() if in_parentheses(answer)}
    rest = [answer for answer in answers if answer not in negative]
    if negative and rest and numbers(rest)[0]:
        total = sum(negative.values())
        what = f"Numbers in parentheses, which mean negative ones in bookkeeping, were kept as text: {total:,}."
        remedy = "Write them with a sign, or without parentheses."
        examples = tuple(example("labeled", 0, answer) for answer in list(negative)[:SHOWN])
        yield _doubt("parentheses", {"labeled": total}, what, remedy, examples, option="--task text confirms it")
    elif repeat(answers, surely=False):
        what = f"The answers may be labels, and are taken for free text: {len(answers):,} that are short and repeat."
        remedy = "If they are labels, say so."
        correction = Correction("task", "classification", "They are labels")
        yield _doubt(
            "many_classes", {"labeled": answers.total()}, what, remedy, (), correction, "--task classification"
        )
    yield from _lists(answers)


def _lists(answers: Counter[str]) -> Iterator[Finding]:
    """Lists as answers: the first text is taken, as in data sets that hold other spellings beside it."""
    lists = {answer: times for answer, times in answers.items() if several(answer)}
    for taken in (True, False):
        if found := {answer: times for answer, times in lists.items() if (first_of(answer) is not None) == taken}:
            how = "of which the first was taken" if taken else "each taken for one text"
            total = sum(found.values())
            what = f"Lists of several answers, {how}: {plural(total, 'answer')}."
            remedy = "If another one or the whole list is meant, write it as a text."
            examples = tuple(example("labeled", 0, answer) for answer in list(found)[:SHOWN])
            yield _doubt("answer_lists", {"labeled": total}, what, remedy if taken else _ONE, examples)


def _few_numbers(answers: Counter[str]) -> Iterator[Finding]:
    """Few whole numbers that repeat, in a numeric task: they may be labels."""
    distinct, total = len(answers), answers.total()
    if distinct <= _FEW and distinct * 2 <= total and all(re.fullmatch(r"[-+]?\d{1,3}", one) for one in answers):
        what = f"The answers are numeric, but few numbers that repeat, which may be labels: {', '.join(answers)}."
        correction = Correction("task", "classification", "They are labels")
        remedy = "If they are labels, say so, and give their names."
        yield _doubt("number_labels", {"labeled": total}, what, remedy, (), correction, "--labels NAME,NAME")


def _missing(answers: Counter[str], mapping: Mapping, task: Task) -> Iterator[Finding]:
    """Answers that read NA and the like, which nothing tells from labels."""
    if mapping.options or mapping.choices or task.kind == "numeric":
        return
    taken = task.labels if task.kind == "classification" else answers
    found = [answer for answer in taken if answer in MISSING]
    if found:
        total = sum(answers[answer] for answer in found)
        what = f"{plural(total, 'answer')} that may mean that there is none, taken as they are: {', '.join(found)}."
        rest = [label for label in task.labels if label not in found]
        named = ",".join(rest) if 2 <= len(rest) <= 12 and not any('"' in one or "," in one for one in rest) else ""
        option = f'--labels "{named}"' if named else ""
        remedy = "If they mean no answer, delete them, or name the other labels."
        yield _doubt("missing_labels", {"labeled": total}, what, remedy, option=option)


def _nearly_numbers(answers: Counter[str]) -> Iterator[Finding]:
    """Most answers are numbers, but the task is not numeric because of the others, or of their units."""
    units, others = Counter[str | None](), []
    for answer, times in islice(answers.items(), _LOOKED_AT):
        unit = unit_of(answer)
        units[unit] += times
        others += [answer] if unit is None else []
    number = units.total() - units[None]
    if number < _MOSTLY * units.total() or (others and all(map(in_parentheses, others))):
        return
    shown = others or [unit for unit in units if unit]
    what = f"Most answers are numbers, but all are taken for texts, because of: {', '.join(shown[:SHOWN])}."
    remedy = "Correct them, or have them rejected in a numeric task."
    correction = Correction("task", "numeric", "They are numbers")
    yield _doubt("nearly_numbers", {"labeled": number}, what, remedy, (), correction, "--task numeric")


def _first(split: Split, table: Table, column: str) -> tuple[dict[str, object], ...]:
    pairs = zip(table.numbers.tolist(), table.column(column, SHOWN), strict=False)
    return tuple(example(split, row, text) for row, text in pairs)


def _doubt(
    kind: str,
    counts: Tables[Split, int],
    what: str,
    remedy: str,
    examples: tuple[dict[str, object], ...] = (),
    correction: Correction | None = None,
    option: str = "",
) -> Finding:
    total = sum(counts.values())
    return Finding(kind, total, what, remedy, examples, counts, asks=True, correction=correction, option=option)
