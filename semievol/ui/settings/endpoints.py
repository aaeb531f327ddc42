"""The workspace's endpoints: a table, adding one or changing it, testing the connection, and removing one."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from semievol.endpoints import MOST_AT_ONCE, Endpoint
from semievol.jobs import remote_models
from semievol.store import settings
from semievol.store.database import Store
from semievol.ui.shell import formats, notices, parts, session, tables

_HELD = "The key stays in that variable, where the Studio is started. It is never stored, shown or logged here."


@dataclass
class Tried:
    """What the session keeps: the endpoint that was tested last and what was found, and how many were saved."""

    name: str = ""
    found: str = ""
    saved: int = 0  # part of the key of the fields: fields with new keys are empty


def endpoints(store: Store) -> None:
    """All parts of the card."""
    parts.heading(
        "Endpoints",
        "Models behind a server that speaks OpenAI's protocol: a provider, or vLLM, llama.cpp, Ollama or LM Studio. "
        "As a collaborator, as the judge or as a project's model, one is called endpoint:NAME. Its server reads your "
        "records. Saving one again under its name changes it.",
    )
    known = settings.endpoints(store)
    if known:
        tables.table(pd.DataFrame([_line(one) for one in known]).fillna(formats.DASH), "endpoints")
        _choose(store, known)
    _add(store)


def _line(one: Endpoint) -> dict[str, str]:
    held = "none needed"
    if one.key_variable:
        there = bool(os.environ.get(one.key_variable, "").strip())
        held = f"{one.key_variable}{'' if there else ' (not set)'}"
    pairs = [(one.input_price, one.tuned_input_price), (one.output_price, one.tuned_output_price)]
    prices = [_price(price) + (f" (tuned {_price(tuned)})" if tuned is not None else "") for price, tuned in pairs]
    return {
        "Name": one.name,
        "Model": one.model,
        "Server": one.url,
        "Key": held,
        "At once": "batches" if one.batch else str(one.concurrency),
        "Price for 1 M read": prices[0],
        "Price for 1 M written": prices[1],
        **({"Price for 1 M fine-tuned on": _price(one.training_price)} if one.training_price is not None else {}),
    }


def _price(price: float | None) -> str:
    return formats.DASH if price is None else f"{price:g}"


def _add(store: Store) -> None:
    """A form whose text stays, with what is wrong, until it can be saved."""
    tried = session.of(Tried)

    def key(field: str) -> str:
        return f"endpoint_{field}_{tried.saved}"

    with st.form("add_endpoint", border=False):
        cells = st.columns(4, vertical_alignment="bottom")
        name = cells[0].text_input("Name", key=key("name"), placeholder="gpt", help="As collaborators call it.")
        url = cells[1].text_input("Base URL", key=key("url"), placeholder="http://127.0.0.1:8000/v1")
        model = cells[2].text_input(
            "Model", key=key("model"), placeholder="gpt-4o-mini", help="As the server calls it."
        )
        variable = cells[3].text_input(
            "Variable with the key",
            key=key("variable"),
            placeholder="OPENAI_API_KEY",
            help=f"Name of an environment variable; empty if the server needs no key. {_HELD}",
        )
        cells = st.columns(4, vertical_alignment="bottom")
        at_once = cells[0].number_input("Questions at once", 1, MOST_AT_ONCE, 8, key=key("at_once"))
        money = "In any currency; leave it empty if it is free or not known."
        read = cells[1].number_input("Price for 1 M tokens read", 0.0, None, None, key=key("read"), help=money)
        written = cells[2].number_input("Price for 1 M tokens written", 0.0, None, None, key=key("written"), help=money)
        cells = st.columns(4, vertical_alignment="bottom")
        jobs = "Only where the server fine-tunes models. "
        trained = cells[0].number_input(
            "Price for 1 M tokens fine-tuned on",
            0.0,
            None,
            None,
            key=key("trained"),
            help=f"{jobs}A job reads every example once in each epoch. {money}",
        )
        same = f"{jobs}Empty: as much as the model itself."
        tuned_read = cells[1].number_input("Read by tuned models", 0.0, None, None, key=key("tuned_read"), help=same)
        tuned_written = cells[2].number_input(
            "Written by tuned models", 0.0, None, None, key=key("tuned_written"), help=same
        )
        together = st.checkbox(
            "Hand questions over in batches",
            key=key("batch"),
            help="For servers with OpenAI's Batch API. A run hands all its questions over at once. The server answers "
            "within a day, often for half of the price: give the prices of batches then.",
        )
        pressed = st.form_submit_button("Save endpoint", type="primary")
    if pressed:
        with parts.errors_shown():
            name, url, model, variable = ((text or "").strip() for text in (name, url, model, variable))
            prices = (read, written, together, trained, tuned_read, tuned_written)
            settings.save_endpoint(store, Endpoint(name, url, model, variable, int(at_once), *prices))
            tried.saved += 1
            notices.say(f"The endpoint {name} was saved.")
            st.rerun()


def _choose(store: Store, known: list[Endpoint]) -> None:
    """Testing and removing one of the endpoints."""
    by_name = {one.name: one for one in known}
    tried = session.of(Tried)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Endpoint", list(by_name), key="chosen_endpoint", width=260)
        testing = st.button("Test connection", icon=":material/network_check:", key="test_endpoint")
        removing = st.button("Remove endpoint", icon=":material/delete:", key="remove_endpoint")
    if testing:
        tried.name = tried.found = ""
        with parts.errors_shown(), st.spinner("Asking the server some short questions"):
            found = remote_models.tried(by_name[name])
            tried.found, tried.name = "\n".join(remote_models.told(by_name[name], found)), name
    if removing:
        settings.remove_endpoint(store, name)
        users = remote_models.users(store, name)
        asked = f" {formats.series(users)} would still ask it: choose another model there." if users else ""
        notices.say(f"The endpoint {name} was removed. Rounds keep its answers.{asked}")
        st.rerun()
    if tried.found and tried.name == name:
        st.text(tried.found)
