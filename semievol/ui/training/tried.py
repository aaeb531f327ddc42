"""Trying the table of collaborators on one unlabeled record: what each of them says, beside each other."""

from __future__ import annotations

import random
from collections.abc import Hashable
from dataclasses import dataclass, field

import streamlit as st

from semievol.config import Collaborator, Config
from semievol.jobs import one_record, sent_prompts
from semievol.jobs.one_record import Said
from semievol.records import Record
from semievol.store.data import records
from semievol.store.results import outcomes
from semievol.ui.shell import asking, formats, paint, parts, record, session
from semievol.ui.shell.paint import Node
from semievol.ui.shell.state import Place
from semievol.wording import brief


@dataclass
class Tried:
    """The record that is asked (its place from 0 among the unlabeled ones), and what was said, by all that it rests
    on."""

    place: int = 0
    said: dict[tuple[Hashable, ...], Said] = field(default_factory=dict)


def tried(here: Place, config: Config) -> None:
    """The choice of a record, the button, and the answers of the collaborators as they stand in the table."""
    total = here.project.counts.get("unlabeled", 0)
    if here.project.version_id is None or not total:
        return
    parts.heading(
        "Before a run",
        "All collaborators, as the table has them, answer one record now; nothing is stored. Neighbours and regression "
        "answer from the labeled records alone.",
    )
    kept = session.of(Tried)
    kept.place = min(kept.place, total - 1)

    def show(place: int) -> None:
        session.of(Tried).place = place

    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = session.bound("tried_place", kept.place + 1, lambda number: show(number - 1))
        st.number_input("Unlabeled record", 1, total, step=1, width=150, **chosen)
        st.button("Next record", icon=":material/chevron_right:", on_click=show, args=((kept.place + 1) % total,))
        st.button("Random record", icon=":material/shuffle:", on_click=show, args=(random.randrange(total),))
        pressed = st.button("Test with one record", icon=":material/send:")
    page, _ = records.records_page(here.store, here.project.version_id, "unlabeled", "", kept.place, 1)
    if not len(page):
        return
    asked = record.of_line(page.iloc[0])
    paint.draw(*record.question(here.task, asked), key=f"tried_question_{asked.id}")
    warm_up = _warm_up(here, config)
    if any(one.model == "warm_up" for one in config.propagation.collaborators):
        parts.note(
            "There is no warm-up model of these settings’ model yet, so the base model answers in its place."
            if warm_up is None
            else f"The warm-up model is that of {here.round.title.lower()}."
        )
    if pressed:
        with parts.errors_shown(), asking.doing() as watch:
            found = one_record.ask_all(
                here.store, here.project.id, here.project.version_id, config, asked, warm_up, watch
            )
            for said in found:
                kept.said[_key(here, config, warm_up, asked, said.collaborator)] = said
    answers = [
        kept.said[key]
        for one in config.propagation.collaborators
        if (key := _key(here, config, warm_up, asked, one)) in kept.said
    ]
    if answers:
        with st.container(key="tried"):
            paint.draw(*(_node(here, config, asked, said) for said in answers), key=f"tried_{asked.id}")


def _warm_up(here: Place, config: Config) -> str | None:
    """The warm-up adapter of the round in view, if its model is that of the settings."""
    if here.round_or_none is None or here.round.config.model != config.model:
        return None
    return outcomes.adapters(here.store, here.round.id).get("warm_up")


def _key(here: Place, config: Config, warm_up: str | None, asked: Record, one: Collaborator) -> tuple[Hashable, ...]:
    """All that an answer rests on, so that none is shown that the table would not give now."""
    settings = config.propagation
    shared = (
        config.model,
        config.seed,
        settings.k,
        settings.embedder,
        settings.answer_rule,
        settings.max_answer_tokens,
    )
    return (here.project.version_id, here.task.instruction, asked.id, warm_up, *shared, one)


def _node(here: Place, config: Config, asked: Record, said: Said) -> Node:
    """The answer of a collaborator with its probabilities, entropy and seconds, or why there is none."""
    name = said.collaborator.name
    if said.response is None:
        assert said.error is not None, "neither an answer nor an error"
        words = " ".join(brief(part) for part in (said.error.what, said.error.remedy) if part)
        return paint.group("demo", paint.labelled(name), paint.node("warn", words))
    how = [f"{said.seconds:.1f} s"]
    if said.shown:
        how.append(f"with {formats.plural(said.shown, 'demonstration')}")
    if said.stands_in:
        how.append("the base model in place of the warm-up")
    model = config.model if said.collaborator.model in ("base", "warm_up") else said.collaborator.model
    tokens = sent_prompts.words_of(model, said.response, config.propagation.max_answer_tokens)
    return record.response(here.task, asked, said.response, name, " · ".join(how), tokens)
