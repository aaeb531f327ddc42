"""The collaborators of the settings as a table: a row of widgets for each of them, and one for the judge.

Each change is saved with the project at once, as those of the settings form are. What can be changed how is decided by
`method.collaborators`; a change that cannot be is refused, and what was saved stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from typing import Any

import streamlit as st

from semievol.config import LONGEST_NAME, MOST_COLLABORATORS, VOTERS, Collaborator, Config
from semievol.endpoints import is_endpoint
from semievol.errors import UserError
from semievol.jobs import duration, launch, models, planning, remote_models
from semievol.method import collaborators, suited
from semievol.method.collaborators import Around, Collaborators
from semievol.presets import STUDIO_COLLABORATORS, load, overlaid
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.ui.shell import formats, notices, paint, parts, proposal, session, state
from semievol.ui.shell.state import Place
from semievol.ui.training import needs, settings_form

_COLUMNS = {
    "actions": ("", 0.75),
    "name": ("Name", 2.3),
    "model": ("Model", 1.9),
    "demonstrations": ("Demon\u00adstrations", 0.72),
    "order": ("Order", 1.6),
    "variant": ("Prompt", 1.52),
    "temperature": ("Tem\u00adperature", 0.75),
    "seed": ("Seed", 0.75),
    "time": ("Time", 1.02),
}
"""Column -> its heading (with places where it may be broken) and its relative width."""
_ORDERS = {"similar_last": "similar last", "shuffled": "shuffled"}
_EDITS: dict[str, Callable[[Collaborators, int, Around], Collaborators]] = {
    "Copy": collaborators.copied,
    "Remove": lambda mine, place, around: collaborators.removed(mine, place),
    "Move up": lambda mine, place, around: collaborators.moved(mine, place, -1),
    "Move down": lambda mine, place, around: collaborators.moved(mine, place, 1),
}
_TIME_HELP = (
    "Time to answer all unlabeled records, and those held out, alone. All together need less than the sum: what their "
    "prompts share is read once."
)


@dataclass(frozen=True)
class Table:
    """What the table shows: the settings that are proposed, with the collaborators that a round would have.

    left_out: of the preset's own collaborators those that the records do not fit, name -> why. unfit: the same of those
    shown, which a person has chosen.
    """

    config: Config
    around: Around
    left_out: Mapping[str, str]
    unfit: Mapping[str, str]

    @property
    def mine(self) -> Collaborators:
        return self.config.propagation.collaborators

    @property
    def judge(self) -> Collaborator | None:
        return self.config.propagation.judge if self.config.propagation.justify else None


def of(here: Place) -> Table:
    """The table of the settings that are proposed."""
    config = proposal.config(here)
    around = Around.of(config, here.task.instruction)
    reasons = _obstacles(here.store, here.project.version_id)
    mine = config.propagation.collaborators
    unfit = {one.name: reasons[one.model] for one in mine if one.model in reasons}
    if not unfit or mine != STUDIO_COLLABORATORS:
        return Table(config, around, {}, unfit)
    fitting = config.propagation.model_copy(update={"collaborators": suited.without(config, unfit)})
    return Table(config.model_copy(update={"propagation": fitting}), around, unfit, {})


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=state.HASH)
def _obstacles(store: Store, version_id: int | None) -> dict[str, str]:
    """Voter -> why it does not fit the version's records. Cached, because these never change."""
    return {} if version_id is None else planning.obstacles(store, version_id)


def table(here: Place) -> Table:
    """Draws the table, what can be done with it, and the judge if there is one."""
    shown = of(here)
    time = needs.answering(here, shown.config)
    parts.heading(
        "Collaborators",
        "The ways in which every unlabeled record is answered. A dash means that a setting does nothing there.",
    )
    known = {one.name: one.words for one in models.choices(here.store, shown.config.model)}
    _headings()
    twins = collaborators.alike(shown.mine, shown.around)
    for place, one in enumerate(shown.mine):
        cells = _cells()
        with cells["actions"]:
            _actions(here, shown, place)
        used = collaborators.effective(one, shown.around)
        _row(cells, f"collaborator {place + 1}", one, used, known, partial(_change, here, place))
        with cells["time"]:
            _time(None if time is None else time.each.get(one.name))
        fault = shown.unfit.get(one.name) or _fault(here, one, shown)
        if one.name in twins:
            fault = f"It would give exactly the same answers as “{twins[one.name]}”."
        if fault:
            paint.draw(paint.node("warn", f"A run with “{one.name}” is refused. {fault}"), key=f"unfit_{place}")
    for place, (name, reason) in enumerate(shown.left_out.items()):
        paint.draw(paint.node("note", f"“{name}” of the preset is left out. {reason}"), key=f"left_out_{place}")
    if time is not None:
        _whole(here, shown, time)
    _buttons(here, shown)
    if shown.judge is not None:
        parts.heading("Judge", "Where collaborators disagree, it reads all their answers and gives its own.")
        _headings()
        cells = _cells()
        used = collaborators.effective(shown.judge, shown.around, judge=True)
        local = {name: words for name, words in known.items() if name not in VOTERS}
        _row(cells, "judge", shown.judge, used, local, partial(_change_judge, here))
        with cells["time"]:
            _time(None if time is None else time.judge)
        if fault := _fault(here, shown.judge, shown):
            paint.draw(paint.node("warn", f"A run with this judge is refused. {fault}"), key="unfit_judge")
    return shown


def _about(seconds: float | None) -> str:
    if seconds is None:
        return formats.DASH
    return formats.about(seconds) if seconds >= 10 else "under 10 s"


def _time(seconds: float | None) -> None:
    parts.html(f"<div class='sv-num'>{_about(seconds)}</div>")


def _whole(here: Place, shown: Table, time: duration.Answering) -> None:
    """The time of all together beside that of a run."""
    try:
        run = needs.estimated(here, shown.config)
    except UserError:
        return
    if run is None:
        return
    unknown = [one for one in shown.mine if one.name not in time.each]
    less = " Those with a dash are not counted: the model is not on this machine." if unknown else ""
    whole = formats.about(run.of(*launch.PROPAGATE)).removeprefix("about ")
    together, count = _about(run.seconds["respond"]), formats.plural(time.records, "record")
    parts.note(
        f"Estimated times for {count}. All together take {together} of the {whole} of “Propagate”, which also trains "
        f"the warm-up model.{less}"
    )


def _headings() -> None:
    for (words, _), (column, cell) in zip(_COLUMNS.values(), _cells().items(), strict=True):
        field = Collaborator.model_fields.get(column)
        about = _TIME_HELP if column == "time" else (field.description or "") if field else ""
        about = about.replace("`", "")
        with cell:
            parts.html(f"<div class='sv-column' title='{escape(about)}'>{escape(words)}</div>")


def _cells() -> dict[str, Any]:
    """A row of the table: column -> its cell."""
    row = st.columns([width for _, width in _COLUMNS.values()], gap="xsmall", vertical_alignment="center")
    return dict(zip(_COLUMNS, row, strict=True))


def _actions(here: Place, shown: Table, place: int) -> None:
    """The menu of a row, with what can be done with it."""
    one, last = shown.mine[place], len(shown.mine) - 1
    can = {
        "Copy": one.model not in VOTERS and last + 1 < MOST_COLLABORATORS,
        "Remove": last > 0,
        "Move up": place > 0,
        "Move down": place < last,
    }
    key = f"collaborator_{place}_edit"
    options = [name for name in _EDITS if can[name]]

    def edit() -> None:
        chosen = st.session_state[key]
        _edit(here, lambda mine, around: _EDITS[chosen](mine, place, around))

    about = f"What can be done with collaborator {place + 1}"
    st.menu_button(f"{place + 1}", options, key=key, help=about, disabled=not options, on_click=edit, width="stretch")


def _row(
    cells: Mapping[str, Any],
    whose: str,
    one: Collaborator,
    used: frozenset[str],
    known: Mapping[str, str],
    change: Callable[[str, Any], None],
) -> None:
    """The widgets of one collaborator, each in its cell; a dash for a setting that is not used."""
    options = list(known) if one.model in known else [*known, one.model]
    widgets: dict[str, Callable[..., object]] = {
        "name": partial(st.text_input, max_chars=LONGEST_NAME),
        "model": partial(st.selectbox, options=options, format_func=lambda name: known.get(name, name)),
        "demonstrations": st.toggle,
        "order": partial(st.selectbox, options=list(_ORDERS), format_func=_ORDERS.__getitem__),
        "variant": partial(st.selectbox, options=["standard", "bare"]),
        "temperature": partial(st.number_input, min_value=0.0, max_value=2.0, step=0.1, format="%g"),
        "seed": partial(st.number_input, min_value=0, step=1),
    }
    for field, widget in widgets.items():
        with cells[field]:
            if field == "name" or field in used:
                key = f"{whose.replace(' ', '_')}_{field}"
                bound = session.bound(key, getattr(one, field), partial(change, field))
                label = f"{_COLUMNS[field][0]} of {whose}".replace("\u00ad", "")
                widget(label, label_visibility="collapsed", **bound)
            else:
                parts.html(f"<div class='sv-dash' title='It does nothing here.'>{formats.DASH}</div>")


def _fault(here: Place, one: Collaborator, shown: Table) -> str | None:
    """Why a run could not use the collaborator's model, if it is another one than the round's."""
    if one.model in ("base", "warm_up", shown.config.model, *VOTERS) and not shown.config.at_server(one.model):
        return None
    if shown.config.at_server(one.model):
        path = one.model if is_endpoint(one.model) else shown.config.model
        return remote_models.fault(here.store, path)
    return _refused(one.model)


@st.cache_data(max_entries=40, ttl=20, show_spinner=False)
def _refused(model: str) -> str | None:
    try:
        planning.check_model(model)
    except UserError as problem:
        return problem.what
    return None


def _buttons(here: Place, shown: Table) -> None:
    full = len(shown.mine) >= MOST_COLLABORATORS
    own = load(shown.config.preset).propagation
    plain = proposal.config(here).propagation
    same = (plain.collaborators, plain.judge) == (own.collaborators, own.judge)
    with st.container(horizontal=True):
        st.button(
            "Add a collaborator",
            icon=":material/add:",
            disabled=full,
            help=f"There are at most {MOST_COLLABORATORS}." if full else None,
            on_click=_edit,
            args=(here, collaborators.added),
        )
        st.button(
            "Back to the preset’s",
            icon=":material/undo:",
            disabled=same,
            help="These are the preset’s." if same else "Collaborators and judge become those of the preset again.",
            on_click=_restore,
            args=(here,),
        )


def _fresh(here: Place) -> Place:
    """The place with the project as it is saved now: another change may have been saved since the page was drawn, and
    two that come together are both to be kept."""
    return replace(here, project_or_none=projects.find_project(here.store, here.project.id))


@notices.errors_kept()
def _edit(here: Place, to: Callable[[Collaborators, Around], Collaborators]) -> None:
    now = _fresh(here)
    shown = of(now)
    _save(now, shown, to(shown.mine, shown.around), shown.config.propagation.judge)


@notices.errors_kept()
def _change(here: Place, place: int, field: str, value: Any) -> None:
    now = _fresh(here)
    shown = of(now)
    with suppress(IndexError):  # somebody else has removed it meanwhile
        mine = collaborators.replaced(shown.mine, place, **{field: value})
        _save(now, shown, mine, shown.config.propagation.judge)


@notices.errors_kept()
def _change_judge(here: Place, field: str, value: Any) -> None:
    now = _fresh(here)
    shown = of(now)
    _save(now, shown, None, collaborators.changed(shown.config.propagation.judge, **{field: value}))


@notices.errors_kept()
def _restore(here: Place) -> None:
    now = _fresh(here)
    own = load(proposal.config(now).preset).propagation
    _keep(now, own.collaborators, own.judge)


def _save(here: Place, shown: Table, mine: Collaborators | None, judge: Collaborator) -> None:
    """Saves the list, unless it cannot be; None leaves it as it is saved."""
    if mine is None:
        mine = proposal.config(here).propagation.collaborators
    else:
        mine = collaborators.checked(mine, shown.around)
    _keep(here, mine, judge)


def _keep(here: Place, mine: Collaborators, judge: Collaborator) -> None:
    proposed = proposal.project(here)
    plain = load(proposal.config(here).preset).propagation
    changes = {**proposed.settings, "propagation": collaborators.kept(proposed.settings, plain, mine, judge)}
    overlaid({name: value for name, value in changes.items() if value is not None})  # raises on what cannot be
    settings_form.save(replace(here, project_or_none=proposed), **changes)
