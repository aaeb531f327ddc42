"""Labels that look like another one, misspelled, and labels that a person reads as another one (merged or renamed).

Knows labels and how often they are given; `rows` reads every answer by what was chosen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Tables
from dataclasses import dataclass, replace

from semievol.errors import UserError
from semievol.importing.accepted import AcceptedRows
from semievol.importing.findings import Finding
from semievol.importing.mapping import Mapping
from semievol.importing.table import Table, snippet, value_counts
from semievol.records import Split, Task
from semievol.task.answers import fold
from semievol.wording import plural

SUGGESTED = "suggested"
WHERE = "--relabel"
_BETWEEN = re.compile(r"(?<=\w)\s*[-/_]\s*(?=\w)")
_SIGNS = re.compile(r"\d+|[^\w\s]")
"""What makes two labels differ however small it is: numbers (Tier 1, Tier 2) and signs (>50, <50)."""
_ROMAN = re.compile("[ivxlcm]+")
_SHORTEST, _LONG = 4, 8
"""Letters of a word from which on one letter may differ, and from which on two."""
_RARER = 3
"""How many times as often the right spelling is given, at least."""
_SAID = 8
_LOOKED_AT = 2_000
"""Most frequent answers that are compared with the labels."""


@dataclass(frozen=True)
class Variant:
    """A label that may be a misspelling. label: how it is written most often; likely: the label that it looks like;
    counts: split -> records that have it."""

    label: str
    likely: str
    counts: Tables[Split, int]

    @property
    def count(self) -> int:
        return sum(self.counts.values())


def variants(answers: Tables[Split, Counter[str]], labels: Sequence[str]) -> list[Variant]:
    """Answers that look like one of the labels, rarest last. answers: split -> known answer -> records.

    Spaces, hyphens and slashes alone make a variant of a rarer label. One or two letters do where the other label is
    given `_RARER` times as often.
    """
    written: dict[str, Counter[str]] = {}
    for known in answers.values():
        for answer, times in known.items():
            written.setdefault(fold(answer), Counter())[answer] += times
    for label in labels:
        written.setdefault(fold(label), Counter())[label] += 0
    totals = {key: counts.total() for key, counts in written.items()}
    names = {fold(label): label for label in labels}
    names = {key: names.get(key) or counts.most_common(1)[0][0] for key, counts in written.items()}
    known_labels = sorted({fold(label) for label in labels}, key=lambda key: (-totals[key], key))
    found: dict[str, str] = {}
    for key in sorted(written, key=lambda key: (-totals[key], key))[:_LOOKED_AT]:
        likely = next((one for one in known_labels if one not in found and _looks_like(key, one, totals)), None)
        if likely is not None:
            found[key] = likely
    by_split = {split: Counter[str]() for split in answers}
    for split, known in answers.items():
        for answer, number in known.items():
            by_split[split][fold(answer)] += number
    return [
        Variant(names[key], names[likely], {split: counts[key] for split, counts in by_split.items() if counts[key]})
        for key, likely in found.items()
    ]


def _looks_like(rare: str, frequent: str, times: Tables[str, int]) -> bool:
    """Whether one folded label may be a misspelling of another."""
    if (times[rare], frequent) >= (times[frequent], rare):
        return False
    if abs(len(rare) - len(frequent)) > _LONG:
        return False
    mine, theirs = (_BETWEEN.sub(" ", label) for label in (rare, frequent))
    if _SIGNS.findall(mine) != _SIGNS.findall(theirs):
        return False
    words, others = mine.split(), theirs.split()
    if "".join(words) == "".join(others):
        return True
    if times[rare] * _RARER > times[frequent]:
        return False
    if len(words) != len(others):
        words, others = ["".join(words)], ["".join(others)]
    pairs = [(one, other) for one, other in zip(words, others, strict=True) if one != other]
    return all(_misspelled(*pair) for pair in pairs) and len(pairs) <= 2


def _misspelled(word: str, right: str) -> bool:
    """Whether a few letters differ, but not the first: that one is seldom wrong, and opposites differ there (increase,
    decrease)."""
    shorter = min(len(word), len(right))
    if shorter < _SHORTEST or word[0] != right[0] or (_ROMAN.fullmatch(word) and _ROMAN.fullmatch(right)):
        return False
    most = 1 if shorter < _LONG else 2
    return abs(len(word) - len(right)) <= most and _distance(word, right) <= most


def _distance(one: str, other: str) -> int:
    """Letters to insert, delete, replace, or swap with the next (Damerau 1964; no part is edited twice)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, against in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != against))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def label_variants(
    tables: Tables[Split, Table],
    mapping: Mapping,
    task: Task,
    hide_gold: bool,
    kept: Tables[Split, AcceptedRows],
) -> list[Variant]:
    """The `variants` among the known answers of files and kept splits; none where the labels are lists of options."""
    if task.kind != "classification" or mapping.options or mapping.choices:
        return []
    return variants(_known(tables, mapping, hide_gold, kept), task.labels)


def _known(
    tables: Tables[Split, Table], mapping: Mapping, hide_gold: bool, kept: Tables[Split, AcceptedRows]
) -> dict[Split, Counter[str]]:
    """Split -> known answer -> records that have it; hidden gold only where it is kept."""
    found: dict[Split, Counter[str]] = {}
    for split, table in tables.items():
        column = mapping.answer_in(split)
        if column in table.columns and (split != "unlabeled" or hide_gold):
            answers = found.setdefault(split, Counter())
            for answer, times in table.counts(column).items():
                if answer and answer.strip():
                    answers[answer.strip()] += times
    for split, rows in kept.items():
        cells = rows.read["gold" if split == "unlabeled" else "answer"]
        found.setdefault(split, Counter()).update(value_counts(cells.drop_null()))
    return found


def findings(found: Sequence[Variant], read_as: Tables[str, str]) -> Iterator[Finding]:
    """The finding about these variants. read_as: see `relabeled`."""
    if not found:
        return
    counts = Counter[Split]()
    for one in found:
        counts.update(one.counts)
    left = [one for one in found if fold(one.label) not in read_as]
    said = []
    for one in found[:_SAID]:
        now = read_as.get(fold(one.label))
        like = f'like "{snippet(one.likely, 40)}"' if now is None else f'read as "{snippet(now, 40)}"'
        said.append(f'"{snippet(one.label, 40)}" ({one.count:,}) {like}')
    what = f"{plural(len(found), 'label')} spelled nearly like another: {'; '.join(said)}"
    what += "; …" if len(found) > _SAID else "."
    remedy = "As labels of their own, they are learned as classes." if left else ""
    option = f'{WHERE} {SUGGESTED}, or {WHERE} "{found[0].label}={found[0].likely}"'
    yield Finding("label_variants", counts.total(), what, remedy, counts=counts, asks=bool(left), option=option)


def parse_relabel(
    given: Iterable[str], tables: Tables[Split, Table], mapping: Mapping, task: Task, hide_gold: bool
) -> dict[str, str]:
    """What labels are read as, from `WRITTEN=LABEL`, or `suggested` for all that look like another one.

    UserError where the labels are none of the file's answers, or an answer is written otherwise.
    """
    given = list(given)
    if given and (task.kind != "classification" or mapping.options or mapping.choices):
        raise UserError("The answers of these files are no labels.", WHERE, f"Leave {WHERE} out.")
    known = {fold(answer) for answers in _known(tables, mapping, hide_gold, {}).values() for answer in answers}
    read_as = dict[str, str]()
    for text in given:
        if text.strip() == SUGGESTED:
            found = label_variants(tables, mapping, task, hide_gold, {})
            read_as |= {fold(one.label): one.likely for one in found}
            continue
        cuts = [place for place, char in enumerate(text) if char == "="]
        pairs = [(text[:at].strip(), text[at + 1 :].strip()) for at in cuts]
        pair = next(((old, new) for old, new in pairs if new and fold(old) in known), None)
        if pair is None:
            shown = snippet(text.partition("=")[0].strip(), 60)
            what = f'No answer is written "{shown}".' if cuts else f'"{shown}" names no label.'
            raise UserError(what, WHERE, f'Write "WRITTEN=LABEL", or {SUGGESTED}.')
        read_as[fold(pair[0])] = pair[1]
    return read_as


def relabeled(task: Task, read_as: Tables[str, str]) -> Task:
    """The task with the labels that are left. read_as: folded label -> the label that it is read as."""
    if task.kind != "classification" or not read_as:
        return task
    return replace(task, labels=tuple(dict.fromkeys(read_as.get(fold(label), label) for label in task.labels)))


def relabeled_before(sources: Iterable[Tables[str, object]]) -> dict[str, str]:
    """What labels were read as in an earlier version. sources: see `intake.store_imported`."""
    read_as: dict[str, str] = {}
    for source in sources:
        known = source.get("relabeled")
        read_as |= {str(old): str(new) for old, new in known.items()} if isinstance(known, dict) else {}
    return read_as
