"""Overview: shows the open project, who was overruled, what is running, the next step, and the other projects."""

import streamlit as st

from semievol.ui.overview import projects, rounds_curve, tour
from semievol.ui.selection import conflicts, desk
from semievol.ui.shell import gates, parts

PURPOSE = "From a few labeled records and many unlabeled ones to a model that does the task, with you in the loop."

with parts.page() as here:
    title, buttons = st.columns([1, 1], vertical_alignment="bottom")
    with title:
        parts.head("Overview", PURPOSE if here.project_or_none is None else "")
    if here.project_or_none is None:
        tour.tour()
    else:
        with buttons, st.container(horizontal=True, horizontal_alignment="right"):
            gates.start_buttons()
        if here.round_or_none is not None:
            desk.enter(here.project.id, here.round.id)
            conflicts.show(here)
        projects.open_project(here)
        rounds_curve.rounds_curve(here)
        if not here.runs:
            projects.first_look(here)
        tour.again()
    others = [project for project in here.projects if here.project_or_none is None or project.id != here.project.id]
    if others:
        st.space("small")
        parts.heading("Other projects")
        for start in range(0, len(others), 3):
            for column, project in zip(st.columns(3), others[start : start + 3], strict=False):
                with column:
                    projects.small_card(here, project)
    projects.archived(here)
