"""Asking a model again about a record, with other demonstrations than the round's; the answers stand side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from semievol.jobs import inference_client
from semievol.method import influence
from semievol.records import Demonstration, Record
from semievol.ui.demonstrations import offer
from semievol.ui.demonstrations.browsing import Browsing, Said
from semievol.ui.demonstrations.offer import Offered
from semievol.ui.shell import asking, paint, parts, record, session, tables
from semievol.ui.shell.paint import group
from semievol.ui.shell.state import Place

ABREAST = 4
"""Answers that are shown."""
AS_STORED = "as in the round"


def trial(
    here: Place, question: Record, on_offer: Sequence[Offered], read: Sequence[Demonstration], how: str
) -> list[Offered]:
    """Choosing those that a model is shown, asking it, and its answers; those that are chosen.

    read: the demonstrations that models of the round read, to which the others are compared; none where they read none,
    and then none is chosen at first. how: by what the others were found, in words; empty where it is the round's
    embedder.
    """
    names = [one.name for one in on_offer]
    key = offer.chosen_key(question, names)
    st.session_state.setdefault(key, [one.name for one in on_offer if read or one.by_hand])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kept = st.pills("Shown to the model", names, selection_mode="multi", key=key) or []
        model = st.selectbox(
            "Model", here.models[::-1], format_func=here.model_words.__getitem__, key="ask_model", width=240
        )
        pressed = st.button("Ask", type="primary", icon=":material/send:")
    chosen = [one for one in on_offer if one.name in kept]
    if pressed and model:
        with parts.errors_shown():
            _ask(here, question, chosen, read, model, how)
    _answers(here, question)
    if chosen and model:
        _influence(here, question, chosen, model)
    return chosen


def _ask(
    here: Place, question: Record, chosen: Sequence[Offered], read: Sequence[Demonstration], model: str, how: str
) -> None:
    """Asks with the chosen ones; first, if that was not done yet, as the round has them, so that both can be seen."""
    said = session.of(Browsing).answers[here.round_id, question.content_hash]
    ids, as_stored = tuple(one.shown.record.id for one in chosen), tuple(one.record.id for one in read)
    known = [one.ids for one in said if one.reply["model"] == model]
    before = f"{offer.in_words([str(place) for place in range(1, len(read) + 1)])}, {AS_STORED}"
    sets = [(as_stored, read, before)] if as_stored not in known and as_stored != ids else []
    now = before if as_stored == ids else offer.in_words([one.name for one in chosen]) + (how if chosen else "")
    with asking.doing() as watch:
        for shown_ids, shown, how_asked in [*sets, (ids, [one.shown for one in chosen], now)]:
            found = inference_client.ask(here.store, offer.round_id(here), question, shown, [model], watch)
            said.append(Said(shown_ids, how_asked, found[0]))


def _answers(here: Place, question: Record) -> None:
    """The last answers, newest first."""
    said = session.of(Browsing).answers[here.round_id, question.content_hash]
    nodes = [
        record.reply(here.task, question, one.reply, here.model_words[one.reply["model"]], one.how)
        for one in said[::-1][:ABREAST]
    ]
    if nodes:
        paint.draw(group("abreast", *nodes), key=f"said_{question.id}")


def _influence(here: Place, question: Record, chosen: Sequence[Offered], model: str) -> None:
    """One click: the model is asked with all chosen demonstrations, and without each in turn."""
    kept, shown = session.of(Browsing).influences, [one.shown for one in chosen]
    key = (here.round_id, question.content_hash, model, tuple(one.record.id for one in shown))
    if st.button("Leave each out in turn", icon=":material/exposure_neg_1:", help="What does each demonstration do?"):
        sets = [shown, *(shown[:i] + shown[i + 1 :] for i in range(len(shown)))]
        with parts.errors_shown(), asking.doing() as watch:
            id = offer.round_id(here)
            said = [inference_client.ask(here.store, id, question, one, [model], watch)[0] for one in sets]
            kept[key] = (said[0], influence.influences(said[0], said[1:]))
    if key not in kept:
        return
    with_all, found = kept[key]
    st.text(f"With all of them: {record.named_answer(here.task, question, with_all['answer'])}. Without one of them:")
    lines = [
        {
            "name": one.name,
            "question": one.shown.record.question,
            "label": record.named_answer(here.task, one.shown.record, one.shown.record.answer),
            "without": record.named_answer(here.task, question, effect.without),
            "effect": "" if effect.effect is None else f"{round(100 * effect.effect, 1) + 0.0:+.1f}",
        }
        for one, effect in zip(chosen, found, strict=True)
    ]
    names = {"name": "Left out", "question": "Its question", "label": "Its label", "without": "Answer then"}
    tables.table(
        pd.DataFrame(lines), f"influence_{question.id}", names | {"effect": "It adds, points"}, {"question": 250}
    )
    parts.note(
        "It adds: by how much the probability of the answer with all demonstrations falls where this one is left out."
    )
