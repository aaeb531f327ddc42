"""One record in full, with every collaborator's answer and prompt, and what is said above the table of candidates."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from semievol.config import Propagation
from semievol.errors import UserError
from semievol.jobs import sent_prompts
from semievol.method import earned_weights
from semievol.records import ANSWERING, Response
from semievol.store.results import results
from semievol.store.results.results import RecordView
from semievol.store.runs import rounds
from semievol.ui.responses import record_desk
from semievol.ui.shell import formats, paint, parts, record, state
from semievol.ui.shell.paint import Node
from semievol.ui.shell.state import Place

OWN_MODELS = ("base", "warm_up")
"""Models of collaborators that are the round's model, with or without an adapter."""
OFTEN = 0.1  # share of such responses from which on they are pointed out

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
    tuned = " Half of it goes by an embedder that was fine-tuned on the labeled ones." if settings.tune_embedder else ""
    return f"{_WITHOUT_MODEL[model]}. It learned from the labeled records{also}.{tuned}"


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


def record_in_full(here: Place, record_id: str, following: Sequence[str]) -> None:
    """Question and candidate with the decisions, every collaborator's answer with its probabilities, and the
    self-justify exchange. following: ids of the records after it in the table."""
    task = here.task
    try:
        view = results.record_view(here.store, here.round.id, record_id)
    except UserError as error:
        parts.show_error(error)
        return
    settings = here.round.config.propagation
    left, right = st.columns([5, 6], gap="medium")
    with left, parts.card("record"):
        parts.heading("Record")
        record_desk.draw(here, view, following)
    with right, parts.card("answers"):
        each = "What each answered, and the probability it gave to every allowed answer."
        parts.heading("Collaborators", each if task.closed else "What each answered.")
        kinds = {one.name: one.model for one in settings.collaborators}
        longest = settings.max_answer_tokens

        def drawn(one: Response, model: str, title: str | None = None) -> Node:
            name = here.round.config.model if model in OWN_MODELS else model
            words = None if task.closed else sent_prompts.words_of(name, one, longest)
            return record.response(task, view.record, one, title, rests_on(settings, model), words)

        paint.draw(*(drawn(one, kinds.get(one.collaborator, "")) for one in view.responses), key=f"r_{record_id}")
        _prompts(here, view, view.responses)
        if view.justification is not None:
            counts = _SETTLED[settings.verdict_confidence]
            parts.heading("Self-justify", f"The model weighed the answers above{counts}")
            paint.draw(drawn(view.justification, settings.judge.model, "Final answer"), key=f"j_{record_id}")
            _prompts(here, view, [view.justification])


def _prompts(here: Place, view: RecordView, responses: Sequence[Response]) -> None:
    """The prompts behind these responses, folded, one for each choice of a collaborator."""
    judged = view.justification in responses
    readers = {
        one.collaborator: one for one in responses if judged or one.collaborator in sent_prompts.asked(here.round)
    }
    if not readers:
        return
    with st.expander("The prompt of the judge, as sent" if judged else "The prompts, as sent"):
        name = next(iter(readers))
        if len(readers) > 1:
            name = st.selectbox("Collaborator", list(readers), key="prompt_of")
        shown = sent_prompts.sent(here.store, here.round, here.task, view, readers[name])
        assert shown is not None, "it reads a prompt"
        if not shown.exact:
            parts.note(
                "Made again from the settings of the round; it may differ from what the model read, as its hash is not "
                "the one that is stored with the response."
            )
        if shown.left_out:
            parts.note(f"{formats.plural(shown.left_out, 'demonstration')} did not fit the model and was left out.")
        st.code(record.prompt(shown.messages), language=None, wrap_lines=True)
