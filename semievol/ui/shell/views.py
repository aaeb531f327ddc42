"""The choice between the views of a page. The address holds it, and nothing else does.

A widget that is bound to the address keeps its value when a link leads to the same page, whatever the link says. So the
widget follows the address here at every drawing, and changes it when a person chooses.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st


def choose(name: str, views: Sequence[str]) -> str:
    """Draws the choice and returns the view in the address, the first where it names none that there is.

    name: of the parameter in the address.
    """
    present = st.query_params.get(name)
    view = present if present is not None and present in views else views[0]
    if st.session_state.get(name, view) != view:
        # A link on the same page: Streamlit tells this run of it, but the browser's address stays, and the next run
        # would go back.
        st.query_params.from_dict(st.query_params.to_dict())
    st.session_state[name] = view
    st.segmented_control(
        "View", views, required=True, key=name, on_change=_chosen, args=(name, views), label_visibility="collapsed"
    )
    return view


def show(name: str, view: str | None) -> None:
    """Puts a view into the address; None the first one. Made for callbacks."""
    if view is None:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = view


def _chosen(name: str, views: Sequence[str]) -> None:
    chosen = st.session_state[name]
    show(name, None if chosen == views[0] else chosen)
