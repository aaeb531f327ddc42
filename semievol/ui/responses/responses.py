"""The parts of the Responses page: filters, the table of candidates, one record with every collaborator's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.config import MEASURES, Propagation
from semievol.errors import UserError
from semievol.method import earned_weights
from semievol.records import ANSWERING, Record
from semievol.store.data import records
from semievol.store.results import results
from semievol.store.runs import rounds
from semievol.task.prompts import by_similarity, render
from semievol.ui.shell import area, disputed_source, formats, paint, parts, record, state, tables
from semievol.ui.shell.paint import Node, group, labelled, node
from semievol.ui.shell.state import Place

AGREEMENT = {"All": None, "Agreed": True, "Disputed": False}
OFTEN = 0.1  # share of such responses from which on they are pointed out
_MEASURE = "measure"
_LONG_ANSWER = 25  # characters
DECISIONS = {"All": None} | {words: action for action, words in formats.DECISION_WORDS.items()}

_SETTLED = {
    "judge": ". Its answer is the final one, with its own confidence.",
    "everyone": ". Its answer is the final one; its confidence is averaged with theirs.",
    "pooled": ". Its probabilities are averaged with theirs, and the most probable answer is the final one.",
}
"""How a dispute is decided, by the round's `verdict_confidence`."""

_WITHOUT_MODEL = {
    "neighbours": "No language model: the vote of the most similar records",
    "regression": "No language model: a logistic regression on the embedder's vectors",
}


def filters(here: Place) -> dict[str, Any]:
    """The row of filters. Their values are part of the address, so that a link opens the same view."""
    columns = st.columns([4, 3, 3, 3, 3], vertical_alignment="bottom")
    search = columns[0].text_input(
        "Search", key="search", placeholder="Words in the question", live="300ms", bind="query-params"
    )
    agreement = columns[1].selectbox("Agreement", list(AGREEMENT), key="agreement", bind="query-params")
    labels = here.task.labels
    answer = columns[2].selectbox(
        "Answer", labels, index=None, key="answer", placeholder="All", disabled=not labels, bind="query-params"
    )
    decision = columns[3].selectbox("Decision", list(DECISIONS), key="decision", bind="query-params")
    measure = columns[4].selectbox(
        "Sort by",
        MEASURES,
        format_func=formats.measure,
        key=_MEASURE,
        bind="query-params",
        help="Least confident first. " + formats.MEASURE_FORMULAS[st.session_state.get(_MEASURE, MEASURES[0])],
    )
    return {
        "search": search or "",
        "answer": answer,
        "agreed": AGREEMENT[agreement or "All"],
        "status": DECISIONS[decision or "All"],
        "measure": measure,
        "sort": "measure",
        "descending": True,
        "area": area.addressed(),
    }


def rarely_answering(here: Place) -> None:
    """Names the collaborators that often give most of their probability to text other than the allowed answers."""
    for name, (few, total) in state.unanswering(here.store, here.round.id).items():
        if few >= OFTEN * total:
            parts.note(
                f"{name} often does not answer the question: in {few:,} of {total:,} responses it gives less than "
                f"{formats.percent(ANSWERING, 0)} of its probability to all allowed answers together. Its "
                "probabilities then mean little."
            )


def rests_on(settings: Propagation, model: str) -> str:
    """What a collaborator without a language model answers from; empty for others. model: of the collaborator."""
    if model not in _WITHOUT_MODEL:
        return ""
    also = ", and the unlabeled ones with their likeliest answers" if settings.second_pass else ""
    return f"{_WITHOUT_MODEL[model]}. It learned from the labeled records{also}."


def later_round(here: Place) -> None:
    """In a later round, which model the collaborators called warm-up are."""
    named = any(one.model == "warm_up" for one in here.round.config.propagation.collaborators)
    if named and here.round.parent_id is not None:
        parts.note("In this round, the warm-up model of the collaborators is the evolved model of the round before.")


def collaborator_weights(here: Place) -> None:
    """The weights of the collaborators in one line, if the round has weights."""
    found = rounds.weights(here.store, here.round.id)
    if found is not None:
        parts.note(earned_weights.sentence(found))


def candidates(here: Place, frame: pd.DataFrame, measure: str, key: str) -> str | None:
    """One page of candidates, in multiple choice with the options' texts; returns the id of the selected one."""
    if frame.empty:
        parts.note("No candidate matches these filters.")
        return None
    known = records.records_by_id(here.store, here.round.version_id, frame.index)
    shown = frame.assign(
        id=[known[str(one)].source_id for one in frame.index],
        answer=_named(here, frame, known),
        decision=frame["decision"].map(formats.DECISION_WORDS),
        agreed=np.where(frame["agreed"], "agreed", np.where(frame["given"], "disputed", disputed_source.UNGIVEN)),
        **{measure: [formats.confidence(measure, value) for value in frame[measure]]},
    )
    names = {
        **({"id": "Id"} if shown["id"].any() else {}),
        "question": "Question",
        "answer": "Candidate",
        "agreed": "Agreement",
        measure: _short(measure),
    }
    names["decision"] = "Decision"
    for voter in dict.fromkeys(name for votes in frame["votes"] for name in votes):
        shown[f"vote {voter}"] = [votes.get(voter) or "no answer" for votes in frame["votes"]]
        names[f"vote {voter}"] = voter
    names["similarity"] = "Similarity to labeled"
    long = shown["answer"].str.len().max() > _LONG_ANSWER  # else they would push the columns after it off the screen
    row = tables.pick(shown, key, names, {"answer": 170} if long else None, height=330)
    return None if row is None else str(frame.index[row])


def _short(measure: str) -> str:
    """A measure in one word, as the choice above the table has its whole name."""
    return "Confidence" if measure in formats.PROBABILITIES else formats.MEASURE_WORDS[measure].partition(" ")[0]


def _named(here: Place, frame: pd.DataFrame, known: Mapping[str, Record]) -> pd.Series[str]:
    """The answers as words: a letter alone says nothing without the record's options."""
    if here.task.kind != "multiple_choice":
        return frame["answer"]
    said = {
        i: answer and formats.shorten(record.named_answer(here.task, known[str(i)], answer), 60)
        for i, answer in frame["answer"].items()
    }
    return pd.Series(said, index=frame.index, dtype=object)


def _measured(measure: str, value: float) -> list[Node]:
    """A measure's value, and how to read it where it is no probability."""
    scale = formats.MEASURE_SCALES.get(measure)
    shown = node("", formats.confidence(measure, value), tag="span")
    return [shown, node("num", scale, tag="span")] if scale else [shown]


def record_in_full(here: Place, record_id: str) -> None:
    """Question, candidate, every collaborator's answer with its probabilities, and the self-justify exchange."""
    task = here.task
    try:
        view = results.record_view(here.store, here.round.id, record_id)
    except UserError as error:
        parts.show_error(error)
        return
    candidate, settings = view.candidate, here.round.config.propagation
    left, right = st.columns([5, 6], gap="medium")
    with left, parts.card("record"):
        parts.heading("Record")
        st.text(record.name(view.record))
        paint.draw(*record.question(task, view.record, candidate.answer if candidate else None), key=f"q_{record_id}")
        if candidate is not None:
            words = record.named_answer(task, view.record, candidate.answer)
            numbers = [
                labelled(formats.measure(m), *_measured(m, v), classes="row") for m, v in candidate.confidences.items()
            ]
            paint.draw(
                node("rule"),
                labelled(
                    "Candidate",
                    disputed_source.chip(task, view, words),
                    node("num", disputed_source.settled_by(task, view)),
                ),
                group("stack gap", *numbers),
                key=f"c_{record_id}",
            )
    with right, parts.card("answers"):
        each = "What each answered, and the probability it gave to every allowed answer."
        parts.heading("Collaborators", each if task.closed else "What each answered.")
        kinds = {one.name: one.model for one in settings.collaborators}
        said = [
            record.response(task, view.record, one, how=rests_on(settings, kinds.get(one.collaborator, "")))
            for one in view.responses
        ]
        paint.draw(*said, key=f"r_{record_id}")
        if view.justification is not None:
            counts = _SETTLED[settings.verdict_confidence]
            parts.heading("Self-justify", f"The model weighed the answers above{counts}")
            paint.draw(record.response(task, view.record, view.justification, "Final answer"), key=f"j_{record_id}")
            _, _, *pooled = disputed_source.spreads(here, view)
            if pooled:
                parts.heading("Averaged with the judge", "From these probabilities the confidence is computed.")
                paint.draw(*disputed_source.bars(task, view, pooled), key=f"p_{record_id}")
            given = [response.text for response in view.responses]
            turns = render(
                task,
                view.record,
                by_similarity(view.demonstrations[: settings.k]) if settings.judge.demonstrations else (),
                given,
                rule_first=here.round.config.rule_first,
            )
            with st.expander("The prompt (the model read the answers in shuffled order)"):
                st.code(record.prompt(turns), language=None, wrap_lines=True)
