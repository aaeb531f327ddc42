"""The ledger of the project's rounds and the advice on another one, read anew only after something was written."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from semievol.method import ledger, stopping
from semievol.method.ledger import Line
from semievol.method.stopping import Verdict
from semievol.store.database import Store
from semievol.store.results import results, rounds_ledger
from semievol.ui.shell import state
from semievol.ui.shell.state import Place


def lines(here: Place) -> list[Line]:
    """A line per round that has candidates, oldest first."""
    return _read(here)[0]


def verdict(here: Place) -> Verdict | None:
    """The advice on a round after the one in view; None where this has no candidates."""
    return _read(here)[1].get(here.round.id)


def _read(here: Place) -> tuple[list[Line], Mapping[int, Verdict]]:
    written = tuple((one.id, results.revision(here.store, one.id)) for one in here.rounds)
    return _ledger(here.store, here.project.id, written, tuple((run.id, run.status) for run in here.runs))


@st.cache_data(max_entries=5, show_spinner=False, hash_funcs=state.HASH)
def _ledger(
    store: Store, project_id: int, written: tuple[tuple[int, int], ...], runs: tuple[tuple[int, str], ...]
) -> tuple[list[Line], Mapping[int, Verdict]]:
    """written, runs: what the answer depends on beside the project."""
    known = rounds_ledger.known_rounds(store, project_id)
    by_id = {one.id: one for one in known}
    advice = {one.id: stopping.verdict(one, by_id.get(one.parent_id or 0)) for one in known}
    return ledger.lines(known), advice
