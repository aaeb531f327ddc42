"""The part of the map or the board that the address names: which records lie in it, and how a page says so."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from semievol.selection.area import Area, board_place
from semievol.store.database import Store
from semievol.store.results import places, results
from semievol.ui.shell import formats, parts, router, state
from semievol.ui.shell.state import Place

NAME = "area"


def addressed() -> Area | None:
    """The area that the address names."""
    return Area.read(st.query_params.get(NAME))


def inside(here: Place) -> pd.Index | None:
    """Ids of the pool's records inside the area; None where the address names none."""
    area = addressed()
    if area is None:
        return None
    if area.on == "board":
        pool, _ = state.candidates(here.store, here.round.id)
        return pool.index[area.holds(*board_place(pool["vote_entropy"], pool["answer_nll"]))]
    return _inside(here.store, here.round.id, results.written(here.store, here.round.id), area.written())


@st.cache_data(max_entries=3, show_spinner=False, hash_funcs=state.HASH)
def _inside(store: Store, round_id: int, written: int, area: str) -> pd.Index:
    drawn, where = Area.read(area), places.of_pool(store, round_id)
    assert drawn is not None, "it was read from this text before"
    return where.index[drawn.holds(where["x"], where["y"])]


def told(count: int, decided: int | None = None) -> None:
    """Says that a page shows only what lies inside the area, with the way back; nothing where no area is named.

    decided: how many of these are decided; None where that does not matter.
    """
    area = addressed()
    if area is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="area_told"):
        done = "" if decided is None else f"; {decided:,} of them {'is' if decided == 1 else 'are'} decided"
        parts.note(f"Only candidates inside a line on the {area.on} are shown: {formats.count(count)}{done}.")
        if area.on == "map":
            router.link("demonstrations", "Show the map", view="Map", area=area.written())
        else:
            router.link("responses", "Show the board", show="Board", area=area.written())
        st.button("Show all", icon=":material/close:", on_click=forget)


def offers(line: Area, count: int) -> None:
    """Links that list and review the candidates inside a line, and the button that removes it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if count:
            router.link("responses", f"List the {formats.plural(count, 'candidate')}", area=line.written())
            router.link("review", "Review them", area=line.written())
        st.button("Remove the line", icon=":material/close:", on_click=forget)


def forget() -> None:
    """Takes the area out of the address. Made for callbacks."""
    st.query_params.pop(NAME, None)
