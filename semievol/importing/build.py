"""Tables and a mapping to the records of a dataset version, with a report of every row that did not become one.

physical = accepted + rejected + removed in every split. Nothing is written anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Mapping as Tables

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing import label_spellings
from semievol.importing.accepted import AcceptedRows, Records
from semievol.importing.answer_cells import names_option
from semievol.importing.checks import OF_ADDED, check
from semievol.importing.doubts import doubts
from semievol.importing.duplicates import MOST, Tracer, small_edits
from semievol.importing.findings import SHOWN, Finding, example, refuse
from semievol.importing.imported import Imported, SplitReport
from semievol.importing.label_spellings import label_variants, relabeled
from semievol.importing.leaks import leaks
from semievol.importing.mapping import Mapping, check_mapping
from semievol.importing.readers.overrides import refuse_guesses
from semievol.importing.rows import Reading, Row, form_of, rows_again, rows_of
from semievol.importing.table import Table, snippet
from semievol.importing.task_kind import known_answers
from semievol.progress import Watch, unwatched
from semievol.records import SPLITS, Split, Task
from semievol.task.answers import fold
from semievol.wording import plural

_WATCHED_EVERY = 5_000


def build_records(
    tables: Tables[Split, Table],
    mapping: Mapping,
    task: Task,
    hide_gold: bool = False,
    strict: bool = False,
    base: int | None = None,
    watch: Watch = unwatched,
    confirmed: Collection[str] = (),
    read_as: Tables[str, str] | None = None,
) -> Imported:
    """The records of all splits, with the suggested remedies taken; see `check_tables`.

    strict: instead of taking the suggestions, UserError naming every finding that a person must decide on, and every
    guess made in reading, but for findings of the kinds `confirmed`. UserError also where a split is left without a
    single record.
    """
    if strict:
        refuse_guesses({split: (table.read_as, table.guessed) for split, table in tables.items()})
    checked = check_tables(tables, mapping, task, hide_gold, base, watch, read_as=read_as)
    if strict:
        refuse(checked.findings, {split: report.rejected for split, report in checked.report.items()}, confirmed)
    return checked.decided(finding.kind for finding in checked.findings if finding.taken)


def check_tables(
    tables: Tables[Split, Table],
    mapping: Mapping,
    task: Task,
    hide_gold: bool = False,
    base: int | None = None,
    watch: Watch = unwatched,
    before: Imported | None = None,
    kept: Tables[Split, AcceptedRows] | None = None,
    read_as: Tables[str, str] | None = None,
) -> Imported:
    """Reads and checks every row of the tables; takes no remedy yet.

    hide_gold: answers of the unlabeled table become hidden gold; else they are ignored.
    base: number of the first option where answers are numbers; None to guess it from the answers.
    before: what was made of these files with other choices; the splits are compared anew only where the records' texts
    differ.
    kept: splits of an earlier version of this kind of task; a table of the same split is added to them. They go through
    the same checks; only a label that the task no longer has rejects a record, or leaves its hidden gold out.
    read_as: what labels are read as in all splits, see `label_spellings.relabeled`.
    """
    check_mapping(mapping, tables)
    if mapping.answer is None and ("labeled" in tables or "test" in tables):
        raise UserError("No column is mapped to the answer.", "mapping", "Map the column with the known answers.")
    earlier, read_as = dict(kept or {}), dict(read_as or {})
    alike = label_variants(tables, mapping, task, hide_gold, earlier)
    task = relabeled(task, read_as)
    given: list[tuple[Split, Table, AcceptedRows | None]] = []
    for split in SPLITS:
        given += [(split, earlier[split].table, earlier[split])] if split in earlier else []
        given += [(split, tables[split], None)] if split in tables else []
    total, seen = sum(table.physical for _, table, _ in given), 0
    reading = Reading(task, mapping, form_of(tables, mapping, task, hide_gold, base), hide_gold, read_as)
    tracer, parts, report = Tracer(), list[AcceptedRows](), dict[Split, SplitReport]()
    for split, table, known in given:
        rejects = list(table.rejected)
        rows = rows_of(split, table, mapping, task, rejects) if known is None else rows_again(known)
        read = reading.accepted(_watched(rows, watch, seen, total), rejects, tracer)
        part = AcceptedRows.collected(split, table, mapping if known is None else known.mapping, read)
        parts.append(part)
        rejects.sort(key=lambda reject: reject.row)
        one = SplitReport(table.name, table.physical, len(part.places), 0, rejects, table.notes)
        report[split] = report[split].joined(one) if split in report else one
        seen += table.physical
    traces = tracer.traces()
    accepted = Records(parts, traces.digests)
    edited = _edited(accepted, traces.spelled, before, watch)
    found = check(task, accepted, traces, edited, _added(parts))
    again = next((finding.leaves for finding in found if finding.kind == "already_there"), _added([]))
    findings = [
        *doubts(tables, mapping, task),
        *leaks(tables, mapping, task, reading.form),
        *label_spellings.findings(alike, read_as),
        *found,
        *reading.findings(),
        *_duplicate_ids(parts, again),
        *_piped_options(tables, mapping),
        *_ignored_gold(tables, mapping, task, hide_gold),
    ]
    names, files = ({split: one.name for split, one in read.items()} for read in (report, tables))
    findings = [one.located(files if one.kind in OF_ADDED else names) for one in findings]
    hides_gold = hide_gold or "unlabeled" in earlier
    sizes, found_base = traces.sizes, reading.form.base
    return Imported(tables, mapping, task, accepted, sizes, report, findings, hides_gold, found_base, edited, read_as)


def _added(parts: Sequence[AcceptedRows]) -> np.ndarray:
    """Positions, among the records of all parts, of those that join others of their split: a part that is not the first
    of its split."""
    starts = np.cumsum([0, *(len(part.places) for part in parts)])
    later = [i for i, part in enumerate(parts) if part.split in {one.split for one in parts[:i]}]
    return np.concatenate([np.arange(starts[i], starts[i + 1]) for i in later] or [starts[:0]])


def _watched(rows: Iterable[Row], watch: Watch, seen: int, total: int) -> Iterator[Row]:
    """The same rows. seen: rows of the files before this one."""
    for row in rows:
        if row.place % _WATCHED_EVERY == 0:
            watch("Checking", seen + row.place, total)
        yield row


def _edited(records: Records, spelled: np.ndarray, before: Imported | None, watch: Watch) -> dict[int, int] | None:
    """Small edits between splits, taken from `before` where its records and splits are the same; None past `MOST`."""
    if len(records) > MOST:
        return None
    if before is not None and before.edited is not None and records.same(before.accepted):
        return before.edited
    return small_edits(records, spelled, watch)


def _duplicate_ids(parts: Sequence[AcceptedRows], again: np.ndarray) -> Iterator[Finding]:
    """again: positions of records that another finding leaves out; of course they have the ids of the first ones."""
    starts = np.cumsum([0, *(len(part.places) for part in parts)])
    left = {
        id(part): set(part.table.numbers[part.places[again[(again >= low) & (again < high)] - low]].tolist())
        for part, low, high in zip(parts, starts[:-1], starts[1:], strict=True)
    }
    named = [part for part in parts if part.mapping.id in part.table.columns]
    if not named:
        return
    chunks = [chunk for part in named for chunk in part.table.cells.column(part.mapping.id).chunks]
    counted = pc.value_counts(pa.chunked_array(chunks, pa.large_string()))
    several = pa.array(counted.field(1).to_numpy() > 1)
    repeated = set(counted.field(0).filter(several).to_pylist()) - {None, ""}
    seen: set[str | None] = set()
    twice = []
    for part in named if repeated else ():
        for number, (value,) in part.table.walk([str(part.mapping.id)]):
            if value in seen and number not in left[id(part)]:
                twice.append((part.split, number, value))
            elif value in repeated:
                seen.add(value)
    if twice:
        examples = tuple(example(*one) for one in twice[:SHOWN])
        what = f"Ids that an earlier row already has: {len(twice):,}."
        counts = Counter(split for split, _, _ in twice)
        yield Finding("duplicate_ids", len(twice), what, "Give every row its own id.", examples, counts)


def _piped_options(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    brackets = ("", "[", "{", "(")
    piped = Counter[Split]()
    for split, table in tables.items():
        cells = table.counts(mapping.options).items() if mapping.options in table.columns else ()
        if here := sum(n for cell, n in cells if (cell or "").strip()[:1] not in brackets):
            piped[split] = here
    if piped:
        what = f'Options separated by "|": {piped.total():,} cells.'
        remedy = "Check whether they were separated correctly."
        yield Finding("piped_options", piped.total(), what, remedy, counts=piped)


def _ignored_gold(tables: Tables[Split, Table], mapping: Mapping, task: Task, hide_gold: bool) -> Iterator[Finding]:
    """Answers of the unlabeled file; apart from them, what never occurs among those of the labeled one."""
    table = tables.get("unlabeled")
    column = mapping.answer_in("unlabeled")
    if table is None or hide_gold or column not in table.columns:
        return
    given = {value: times for value, times in table.counts(column).items() if value and value.strip()}
    known = {fold(answer) for answer in known_answers(tables, mapping)}
    strange = [value for value in given if fold(value.strip()) not in known]
    if task.kind == "multiple_choice" and all(map(names_option, known)):
        strange = [value for value in strange if not names_option(value.strip())]
    elif task.kind != "classification" or not known:
        strange = []  # free texts, and options named by their text, are answers although they are new
    if strange:
        total = sum(given.pop(value) for value in strange)
        what = f'Values of "{column}" that are no answer of the labeled file, and probably none: '
        what += f"{total:,} ({', '.join(snippet(value) for value in strange[:SHOWN])})."
        remedy = "Correct them if they should be measured."
        yield Finding("unknown_answers", total, what, remedy, counts={"unlabeled": total})
    if given:
        what = f"Ignored, because the records are unlabeled: {plural(sum(given.values()), 'answer')}."
        remedy = "Keep them as hidden gold to measure how many pseudo-labels are right."
        total = sum(given.values())
        yield Finding("unlabeled_answers", total, what, remedy, counts={"unlabeled": total})
