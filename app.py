"""SemiEvol Studio: the dashboard's entry. `streamlit run app.py`."""

import streamlit as st

from semievol.ui.selection import signature
from semievol.ui.shell import awake, notices, parts, router, session, sidebar, state, tables

session.shell().entered = True
chosen = st.navigation(router.pages(), position="hidden")
st.set_page_config(
    page_title=f"{chosen.title} · SemiEvol Studio",
    page_icon=str(parts.ASSETS / "favicon.svg"),
    layout="wide",
    initial_sidebar_state="auto",
)
parts.style()
notices.on_page(chosen.title)
signature.keep()
awake.listen()
st.logo(str(parts.ASSETS / "logo.svg"), icon_image=str(parts.ASSETS / "favicon.svg"), size="large")
with state.connected():
    with parts.errors_shown():
        sidebar.sidebar(state.place())
    chosen.run()
    tables.fetch_libraries()
