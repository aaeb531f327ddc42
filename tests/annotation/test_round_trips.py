"""Out to a tool and back: the same records, answers and decisions, for any text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semievol.annotation.decisions import Consensus, imported_decisions
from semievol.annotation.exchange import Suggestion
from semievol.annotation.tools import TOOLS, read
from semievol.records import Action, Kind, Message, Record, Task
from semievol.task.answers import LETTERS, allowed_answers, fold, parse, same
from tests.annotation.annotators import REVIEWED, Press

NASTY = [
    *(
        "two\nlines",
        "a\r\nb\tc",
        "\u2028 and \x85",
        "\"quoted\", 'twice'",
        "<b onclick=x>&amp;</b>",
        "$question",
        "5 $",
    ),
    *("مرحبا \u202eRTL", "👩‍🚒🔥", "a,b;c|d\\n", '["roads"]', '{"text": "x"}', "x" * 20_000, "\x01\x1b[31m", "=1+1"),
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(NASTY)
SAID = TEXTS.map(str.strip).filter(bool)
LABELS = st.lists(SAID, min_size=2, max_size=4, unique_by=fold).filter(lambda labels: all(map(fold, labels)))
NUMBERS = st.decimals(-(10**6), 10**6, places=2).map(lambda number: format(number, "f"))
ACTIONS: dict[str, tuple[Action, ...]] = {
    "prodigy": ("accept", "edit", "reject", "skip"),
    "label_studio_min": ("accept", "edit", "reject", "ambiguous"),
}
ALL: tuple[Action, ...] = ("accept", "edit", "reject", "ambiguous", "skip")


@st.composite
def suggestions(draw: st.DrawFn, kind: Kind) -> tuple[Task, list[Suggestion]]:
    """A task of this kind, and some records with suggested answers."""
    labels = tuple(draw(LABELS)) if kind == "classification" else ()
    task = Task(kind, labels, draw(st.sampled_from(["", "$do <this>", *NASTY])))
    found = []
    for number, question in enumerate(draw(st.lists(TEXTS, min_size=1, max_size=3))):
        options = tuple(draw(st.lists(TEXTS, min_size=2, max_size=4))) if kind == "multiple_choice" else ()
        turns = draw(st.just(()) | st.tuples(st.builds(Message, st.sampled_from(["system", "user"]), TEXTS)))
        record = Record(f"u{number}", question, options, earlier=turns)
        answers = st.sampled_from(allowed_answers(task, record)) if task.closed else NUMBERS
        answer = draw(SAID if kind == "text" else answers)
        found.append(Suggestion(record, answer, draw(st.none() | st.floats(0, 1))))
    return task, found


@pytest.mark.parametrize("form", REVIEWED)
@pytest.mark.parametrize("kind", ["classification", "multiple_choice", "text", "numeric"])
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_what_is_decided_in_a_tool_comes_home_as_it_was_meant(form: str, kind: Kind, data: st.DataObject) -> None:
    task, sent = data.draw(suggestions(kind))
    presses, meant = {}, []
    for suggestion in sent:
        record = suggestion.record
        action = data.draw(st.sampled_from(ACTIONS.get(form, ALL)))
        allowed = allowed_answers(task, record)
        written = data.draw(NUMBERS if kind == "numeric" else SAID)
        place = data.draw(st.integers(0, max(len(allowed) - 1, 0)))
        presses[record.id] = [Press("Ada", action, place, allowed[place] if allowed else written)]
        if action != "skip":
            answer = allowed[place] if allowed else parse(task, record, written)
            meant.append(decision(task, suggestion, action, answer))
    tool, reviewed = REVIEWED[form]
    texts = [json.dumps(one) for one in reviewed(TOOLS[tool].files(task, sent), presses)]
    if not texts:
        return
    exported = read(texts, "export.json")
    assert exported.tool == TOOLS[tool].name
    records = [suggestion.record for suggestion in sent]
    assert [(one.record_id, one.question, one.now, one.suggested) for one in exported.returned] == [
        (one.record.id, one.record.question, one.record.content_hash, one.answer) for one in sent
    ]
    imported = imported_decisions(task, {record.id: record for record in records}, exported.returned)
    assert imported.decisions == meant
    assert sum(map(len, imported.not_stored.values())) == len(sent) - len(meant)


def decision(task: Task, suggestion: Suggestion, action: Action, answer: str | None) -> Consensus:
    """The decision that is meant by pressing so. A choice that is the suggestion, or the same number, confirms it."""
    if action == "edit" and (
        answer == suggestion.answer or (task.kind == "numeric" and same(task, answer, suggestion.answer))
    ):
        action = "accept"
    asserted = {"accept": suggestion.answer, "edit": answer}.get(action)
    return Consensus(suggestion.record, action, suggestion.answer, asserted, 1, 1)


@pytest.mark.parametrize("form", REVIEWED)
def test_a_record_whose_text_was_changed_in_the_tool_does_not_come_home(form: str) -> None:
    task = Task("classification", ("roads", "water"))
    sent = [Suggestion(Record(f"u{i}", f"question {i}"), "roads", 0.9) for i in range(3)]
    tool, reviewed = REVIEWED[form]
    records = {suggestion.record.id: suggestion.record for suggestion in sent}
    exported = reviewed(TOOLS[tool].files(task, sent), {id: [Press("Ada", "accept")] for id in records})
    texts = [json.dumps(one).replace("question 1", "another one") for one in exported[::-1]]
    imported = imported_decisions(task, records, read(texts, "export.json").returned)
    assert [consensus.record.id for consensus in imported.decisions] == ["u2", "u0"], "known by id, in whatever order"
    assert imported.not_stored == {"changed": ["u1 (another one)"]}


def test_letters_belong_to_the_options_of_their_record() -> None:
    task = Task("multiple_choice")
    sent = [Suggestion(Record("u0", "Which?", ("B", "A", "neither")), "A", 0.5)]
    for tool, reviewed in REVIEWED.values():
        exported = reviewed(TOOLS[tool].files(task, sent), {"u0": [Press("Ada", "edit", 1)]})
        imported = imported_decisions(
            task, {"u0": sent[0].record}, read(map(json.dumps, exported), "export.json").returned
        )
        assert [consensus.answer for consensus in imported.decisions] == [LETTERS[1]], tool


def test_records_of_another_dataset_version_keep_their_decisions_if_the_text_is_the_same() -> None:
    task = Task("text")
    sent = [Suggestion(Record("u0", "Where?"), "Rome")]
    exported = REVIEWED["prodigy"][1](TOOLS["prodigy"].files(task, sent), {"u0": [Press("Ada", "edit", 0, "Paris")]})
    now = replace(sent[0].record, row=99, group="later")
    imported = imported_decisions(task, {"u0": now}, read(map(json.dumps, exported), "export.json").returned)
    assert [(consensus.action, consensus.answer) for consensus in imported.decisions] == [("edit", "Paris")]
