"""What runs cost at their endpoints: expected before the start, and spent by a run."""

from __future__ import annotations

import streamlit as st

from semievol.config import Config
from semievol.errors import UserError
from semievol.jobs import money, planning
from semievol.method import spending
from semievol.store import settings
from semievol.store.database import Store
from semievol.store.runs.runs import Run
from semievol.ui.shell import parts, state
from semievol.ui.shell.state import Place


def needs(here: Place, config: Config, parent_id: int | None) -> None:
    """What a run started now would take at each endpoint that it asks, beside its budget. parent_id: of the round that
    it would continue."""
    if here.project.version_id is None or not config.endpoints:
        return
    try:
        config = planning.config_to_run(here.store, here.project, config, parent_id)
        round_ = planning.begun(here.store, here.project, config, parent_id)
        known = len(settings.endpoints(here.store)), sum(run.status == "done" for run in here.runs)
        about = (config, round_.id if round_ else None, known, parent_id is not None)
        found = _expected(here.store, here.project.version_id, *about)
    except UserError as error:
        parts.note(f"{error.what} {error.remedy}")
        return
    if not found:
        return
    st.text("\n".join(one.sentence for one in found))
    cost = sum(one.cost or 0.0 for one in found)
    if config.budget and cost > config.budget:
        st.warning(
            f"The budget of {money.amount(config.budget)} may not be enough: the run would stop at it, and could be "
            "resumed with a larger one.",
            icon=":material/payments:",
        )
    elif cost and not config.budget:
        parts.note("There is no budget. Set one under Endpoints, in the unit of the prices, to be sure.")


def spent(run: Run) -> None:
    """What the run has spent until now; nothing where it asked no endpoint."""
    found = spending.read(run.spent)
    if not found:
        return
    priced = {one.name for one in settings.endpoints(state.open_store()) if one.priced}
    total = sum(one.cost for one in found.values())
    lines = [money.spent_line(name, one, name in priced) for name, one in found.items()]
    if run.config.budget:
        lines.append(f"Spent {money.amount(total)} of the budget of {money.amount(run.config.budget)}.")
    st.text("\n".join(lines))


@st.cache_data(max_entries=20, ttl=60, show_spinner=False, hash_funcs=state.HASH)
def _expected(
    store: Store, version_id: int, config: Config, round_id: int | None, known: tuple[int, int], later_round: bool
) -> list[money.Expected]:
    """known: numbers of endpoints and of finished runs, with which the answer changes."""
    return money.expected(store, version_id, config, round_id, later_round=later_round)
