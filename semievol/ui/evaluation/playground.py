"""The playground: a question of one's own to every model of the round, and to the simple baselines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from semievol.endpoints import PREFIX, is_endpoint, name_of
from semievol.jobs import inference_client, remote_models
from semievol.records import Demonstration, Record
from semievol.store import settings
from semievol.task.answers import same
from semievol.ui.shell import asking, formats, paint, parts, record, session
from semievol.ui.shell.state import Place

ABREAST = 3
"""Answers side by side; more would cut the bars' names off at 1280 pixels."""


@dataclass
class Playground:
    """What the session keeps of the playground: the question asked last, of the models of which round, the answers, and
    the demonstrations shown."""

    question: Record | None = None
    round_id: int | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)
    shown: list[Demonstration] = field(default_factory=list)


def playground(here: Place) -> None:
    """A form for a question, and the answers of every model of the round side by side."""
    parts.heading("Playground", "Type a question. Every model answers it, side by side.")
    with st.form("playground", border=False):
        text = st.text_area("Question", key="play_question", height=100)
        options: list[str] = []
        if here.task.kind == "multiple_choice":
            options = [
                x for x in (st.text_area("Options, one per line", key="play_options") or "").splitlines() if x.strip()
            ]
        with st.container(horizontal=True):
            shown = st.toggle("With demonstrations", value=False, key="play_demonstrations")
            simpler = here.task.closed and st.toggle(
                "Beside the simple baselines",
                value=False,
                key="play_simpler",
                help="The vote of the nearest labeled records, a regression on the embedder's vectors, and the "
                "fine-tuned models averaged with them (ensemble).",
            )
        there = [endpoint.name for endpoint in settings.endpoints(here.store)]
        far = st.multiselect("Endpoints", there, key="play_endpoints", help="Their servers read it.") if there else []
        pressed = st.form_submit_button("Ask every model", type="primary", icon=":material/send:")
    if pressed:
        session.put(Playground())  # what is shown from here on answers this question, or nothing
    if pressed and not text.strip():
        st.warning("Type a question first.")
    elif pressed:
        question, k = Record("own-question", text, tuple(options)), here.round.config.propagation.k
        with parts.errors_shown(), asking.doing() as watch:
            near = inference_client.nearest(here.store, here.round.id, question, k, watch) if shown else []
            answers = inference_client.ask(here.store, here.round.id, question, near, here.models, watch)
            if simpler:
                answers += inference_client.vote(here.store, here.round.id, question, watch)
                answers += inference_client.ensembles(here.store, here.round.id, question, answers, watch)
            if far:
                watch("Asking the endpoints")
                addresses = {f"{PREFIX}{name}": f"{PREFIX}{name}" for name in far}
                answers += remote_models.ask(here.store, here.round.config, here.task, question, near, addresses)
            session.put(Playground(question, here.round.id, answers, near))
    played = session.of(Playground)
    if played.question is not None and played.round_id == here.round.id:
        _answers(here, played.question, played)


def _answers(here: Place, question: Record, played: Playground) -> None:
    st.text(f"Asked: {formats.shorten(question.question, 200)}")
    first = played.answers[0]["answer"]
    if len(played.answers) > 1:
        alike = all(same(here.task, one["answer"], first) for one in played.answers)
        parts.note("They all give the same answer." if alike else "They do not all give the same answer.")
    far = {one["model"]: name_of(one["model"]) for one in played.answers if is_endpoint(one["model"])}
    names = {**formats.row_words(here.later_round), **far}
    how = f"with {formats.plural(len(played.shown), 'demonstration')}" if played.shown else ""
    for start in range(0, len(played.answers), ABREAST):
        for column, one in zip(st.columns(ABREAST), played.answers[start : start + ABREAST], strict=False):
            with column:
                asked = "" if one["model"] in formats.SIMPLER_WORDS else how
                said = record.reply(here.task, question, one, names[one["model"]], asked)
                paint.draw(said, key=f"played_{one['model']}")
    if played.shown:
        parts.heading("Demonstrations", "The labeled records most like the question, which the models were shown.")
        near = [record.demonstration(here.task, question, d, str(i)) for i, d in enumerate(played.shown, 1)]
        paint.draw(*near, key="played_near")
