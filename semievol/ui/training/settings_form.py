"""The settings of a run as a form, made from the fields of the config and their descriptions.

Each change is saved with the project at once; only what differs from the preset is stored. Settings that the form does
not show can be written as YAML below it.
"""

from __future__ import annotations

import copy
import types
import typing
from dataclasses import replace
from typing import Any, Literal

import streamlit as st
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from semievol.config import Config
from semievol.endpoints import name_of
from semievol.engines.models import suitability
from semievol.errors import UserError
from semievol.importing.splits import holds_out
from semievol.installed import MODELS
from semievol.method import collaborators
from semievol.overlay import assign
from semievol.presets import PRESETS, preset
from semievol.store import settings
from semievol.store.data import versions
from semievol.store.data.projects import Project
from semievol.ui.shell import formats, notices, parts, proposal, session, state
from semievol.ui.shell.state import Place

PRESET_HELP = {
    "studio": "The default, chosen by measurement. Three collaborators answer: the warm-up model, the vote of the "
    "nearest labeled records, and a regression. From 100 labeled records on, those count more that "
    "were right more often.",
    "paper": "As in the paper: four collaborators, self-justify, the most confident 50 %, no calibration split.",
    "authors_code": "As in the authors' code: four samples of the warm-up model, training on pseudo-labels only.",
}
GROUPS: dict[str, tuple[str, ...]] = {
    "Warm-up": (
        "propagation.warm_up.method",
        "propagation.warm_up.epochs",
        "propagation.warm_up.learning_rate",
        "propagation.warm_up.lora.rank",
    ),
    "Propagation": (
        "propagation.k",
        "propagation.weighting",
        "propagation.second_pass",
        "propagation.tune_embedder",
        "propagation.justify",
        "propagation.verdict_confidence",
        "propagation.answer_rule",
        "calibration",
    ),
    "Fine-tuning": (
        "tune.method",
        "tune.epochs",
        "tune.learning_rate",
        "tune.lora.rank",
        "tune.batch_size",
        "tune.kl",
        "tune_from",
        "tune_on",
        "token_cleaning",
        "evaluate_demonstrations",
    ),
    "Endpoints": ("budget",),
    "Machine": ("seed", "precision", "threads", "devices", "cluster"),
}
NAMES = {
    "propagation.k": "Demonstrations per record (k)",
    "propagation.weighting": "Weight of collaborators",
    "propagation.second_pass": "Neighbours and regression learn from unlabeled records",
    "propagation.tune_embedder": "Second embedder for neighbours and regression",
    "propagation.justify": "Self-justify",
    "propagation.verdict_confidence": "How a dispute is decided",
    "propagation.answer_rule": "Where the form of answers is explained",
    "calibration": "Calibration share",
    "budget": "Budget of a run",
    "tune_from": "Start from",
    "tune_on": "Train on",
    "token_cleaning": "Tokens of free answers left out",
    "evaluate_demonstrations": "Evaluate with demonstrations, too",
    "lora.rank": "LoRA rank",
    "kl": "Held near the start model (KL)",
    "method": "What is trained",
    "devices": "Devices that work together",
    "cluster": "Ray cluster",
}


def form(here: Place) -> Config:
    """Draws the form and returns the config that a run started now would have."""
    parts.heading("Settings", "Choose a preset, then change single settings where needed.")
    _whose(here)
    here = replace(here, project_or_none=proposal.project(here))
    current = state.config_of(here.project)
    models = [name for name, package in MODELS.items() if package.there]
    models += [model.name for model in settings.models(here.store)]
    models += [endpoint.used_as for endpoint in settings.endpoints(here.store)]
    chosen = session.bound("form_preset", current.preset, lambda preset: _choose_preset(here, preset))
    st.segmented_control("Preset", PRESETS, format_func=_preset_words, required=True, **chosen)
    parts.note(PRESET_HELP[current.preset])
    st.selectbox(
        "Model",
        models if current.model in models else [*models, current.model],
        help=Config.model_fields["model"].description,
        **session.bound("form_model", current.model, lambda model: _choose_model(here, model)),
    )
    if current.is_far:
        parts.note(
            f"The server of {name_of(current.model)} fine-tunes the model and answers: it reads the labeled records, "
            "the accepted ones and the test questions. Of the settings of fine-tuning it gets the epochs and the seed."
        )
    for group, paths in GROUPS.items():
        if group == "Endpoints" and not (current.endpoints or current.budget):
            continue
        with st.expander(group, expanded=group == "Propagation"):
            closed = here.project.task is not None and here.project.task.closed
            if group == "Propagation":
                parts.note("The collaborators stand in a table at the end of this page.")
            for path in paths:
                if path == "token_cleaning" and closed:  # it does nothing there
                    continue
                _field(here, current, path)
                if path == "calibration":
                    drawn = versions.calibration(here.store, here.project.id)
                    parts.note(held_out(here.project.counts.get("labeled", 0), len(drawn or ()), current))
    with st.expander("All settings as YAML"):
        _written(here)
    return state.config_of(here.project)


def _preset_words(name: str) -> str:
    return "authors' code" if name == "authors_code" else name


def _whose(here: Place) -> None:
    """The choice between the settings of the round in view and those saved with the project, where they differ."""
    if not proposal.differ(here):
        return
    words = {True: here.round.title, False: "The project"}
    chosen = session.bound("form_whose", proposal.from_round(here), lambda wanted: proposal.choose(here, wanted))
    about = "They differ. A run that is started now has the settings chosen here."
    st.segmented_control("Settings of", list(words), format_func=words.__getitem__, required=True, help=about, **chosen)


def save(here: Place, **changes: Any) -> None:
    """Saves changed settings with the project, whose settings the form shows from now on."""
    state.save_settings(here.store, here.project, **changes)
    proposal.choose(here, of_round=False)


def held_out(labeled: int, drawn: int, config: Config) -> str:
    """What a calibration split costs this project, and what it gives. drawn: records of the split if there is one."""
    share, least = config.calibration, config.calibration_minimum
    folds = not config.is_far
    gives = "They show how much weight each collaborator earns and how many of the kept answers are right at least."
    if not share:
        return (
            "No records are held out, so all labeled records train. Then only a random review"
            f"{', or cross-fitting,' * folds} shows how many of the kept answers are right."
        )
    if drawn:
        return (
            f"{formats.plural(drawn, 'labeled record')} {'is' if drawn == 1 else 'are'} held out: no model trains on "
            f"them. {gives} They were drawn once for the project; another share above 0 does not draw anew."
        )
    if not labeled:
        return f"This share of the labeled records is held out: no model trains on them. {gives}"
    would = f"{round(share * labeled):,} of the {formats.plural(labeled, 'labeled record')}"
    if not holds_out(labeled, share, least):
        return (
            f"No records are held out: {would} would be too few to judge by (at least {least:,} are needed). All "
            f"labeled records train{', and cross-fitting can judge the collaborators instead' * folds}."
        )
    return f"About {would} will be held out: no model trains on them. {gives}"


def field_of(path: str) -> FieldInfo:
    """The config's field at a dotted path."""
    model: type[BaseModel] = Config
    *parents, last = path.split(".")
    for parent in parents:
        inner = model.model_fields[parent].annotation
        assert isinstance(inner, type), f"{path} passes through no group"
        assert issubclass(inner, BaseModel), f"{path} passes through no group"
        model = inner
    return model.model_fields[last]


def _field(here: Place, current: Config, path: str) -> None:
    field = field_of(path)
    value: Any = current
    for part in path.split("."):
        value = getattr(value, part)
    name = next((NAMES[end] for end in NAMES if path == end or path.endswith(f".{end}")), None)
    name = name or path.rsplit(".", 1)[-1].replace("_", " ").capitalize()
    kind = field.annotation
    if kind in (int, float):
        value = kind(value)
    elif kind not in (bool, str) and typing.get_origin(kind) is not Literal:
        assert typing.get_origin(kind) in (typing.Union, types.UnionType), f"no widget for {path}"
        value = str(value)
    shared = session.bound(f"form_{path}", value, lambda new: _change(here, path, new))
    shared["help"] = field.description
    if kind is bool:
        st.toggle(name, **shared)
    elif typing.get_origin(kind) is Literal:
        st.selectbox(name, typing.get_args(kind), format_func=lambda v: str(v).replace("_", " "), **shared)
    elif kind in (int, float):
        low, high = _limits(field)
        step = 1 if kind is int else 0.05 if high is not None and high <= 1 else 0.5
        digits = "%d" if kind is int else "%g"
        st.number_input(name, min_value=low, max_value=high, step=step, format=digits, **shared)
    else:
        st.text_input(name, **shared)


def _limits(field: FieldInfo) -> tuple[Any, Any]:
    """Smallest and largest value of a number box. An exclusive limit of real numbers is checked by the config."""
    kind: Any = field.annotation
    open_end = 1 if kind is int else 0
    low = high = None
    for rule in field.metadata:
        low = getattr(rule, "ge", rule.gt + open_end if hasattr(rule, "gt") else low)
        high = getattr(rule, "le", rule.lt - open_end if hasattr(rule, "lt") else high)
    return (None if low is None else kind(low)), (None if high is None else kind(high))


@notices.errors_kept()
def _change(here: Place, path: str, value: Any) -> None:
    if isinstance(value, str) and field_of(path).annotation is not str:
        value = yaml.safe_load(value) if value.strip() else None
    own = copy.deepcopy(here.project.settings)
    assign(own, path.split("."), value)
    state.config_of(here.project, **own)  # raises on an invalid value, before it is saved
    save(here, **own)


@notices.errors_kept()
def _choose_model(here: Place, model: str) -> None:
    state.config_of(here.project, model=model)  # raises on settings that do not fit it
    save(here, model=model)


@notices.errors_kept()
def _choose_preset(here: Place, preset: str) -> None:
    kept = {"model": here.project.settings.get("model"), "preset": preset}
    save(here, **{**dict.fromkeys(here.project.settings), **kept})


def _written(here: Place) -> None:
    """The differences from the preset as YAML; every setting can be changed here."""
    own = dict(here.project.settings)
    with st.form("yaml", border=False):
        text = st.text_area(
            "Differences from the preset",
            value=yaml.safe_dump(own, sort_keys=False, allow_unicode=True) if own else "",
            height=200,
            help="The same keys as in a config file for the command line, such as propagation.k or tune.schedule. The "
            "`model` of a collaborator may also be `neighbours` or `regression`; these use no language model.",
        )
        if st.form_submit_button("Apply"):
            with parts.errors_shown():
                changed = dict.fromkeys(own) | _read(here.project, text or "")
                save(here, **changed)
                st.rerun()
    with st.expander("The preset in full"):
        st.code(yaml.safe_dump(preset(state.config_of(here.project).preset), sort_keys=False), language=None)


def _read(project: Project, text: str) -> dict[str, Any]:
    try:
        written = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"line {where.line + 1}" if where else "YAML"
        raise UserError("The settings are not valid YAML.", line, "Write `key: value` lines.") from None
    if not isinstance(written, dict):
        raise UserError("The text contains no settings.", "YAML", "Write `key: value` lines.")
    blank = Project(**{**vars(project), "settings": {}})
    config = state.config_of(blank, **written)
    suitability.check_embedder(config.propagation.embedder)
    instruction = project.task.instruction if project.task else ""
    collaborators.checked(config.propagation.collaborators, collaborators.Around.of(config, instruction))
    return written
