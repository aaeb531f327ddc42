"""The presets, and how settings are put together: from a preset, a YAML file and single assignments."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from semievol.config import Collaborator, Config, Policy, Propagation, Rule
from semievol.errors import UserError
from semievol.overlay import assign, laid_over
from semievol.tuning import Lora, Tuning

PRESETS = ("studio", "paper", "authors_code")

_PAPER_COLLABORATORS = (
    Collaborator(name="warm-up, demonstrations"),
    Collaborator(name="warm-up, shuffled demonstrations, T = 1", order="shuffled", temperature=1.0, seed=1),
    Collaborator(name="warm-up alone", demonstrations=False),
    Collaborator(name="base, demonstrations", model="base"),
)
_LORA = Tuning(method="lora")
_STUDIO = Tuning(lora=Lora(rank=8, alpha=16), neftune_noise_alpha=5, save_every=100)
_STUDIO_WARM_UP = _STUDIO.model_copy(update={"epochs": 5.0, "minimum_steps": 60})
_STUDIO_TUNE = _STUDIO.model_copy(update={"epochs": 3.0, "minimum_steps": 170})
STUDIO_COLLABORATORS = (
    Collaborator(name="warm-up alone", demonstrations=False),
    Collaborator(name="neighbours' vote", model="neighbours", demonstrations=False),
    Collaborator(name="regression", model="regression", demonstrations=False),
)
STUDIO_READERS = (
    Collaborator(name="warm-up, demonstrations"),
    Collaborator(name="warm-up alone", demonstrations=False),
)
"""Collaborators of the preset `studio` if neither `neighbours` nor `regression` fits the task."""


def preset(name: str) -> dict[str, Any]:
    """The settings of a preset as a nested dict."""
    if name == "paper":
        config = Config(
            preset="paper",
            calibration=0.0,
            propagation=Propagation(warm_up=_LORA, k=3, collaborators=_PAPER_COLLABORATORS),
            tune=_LORA,
            policy=Policy(measure="mean_nll", rule=Rule(value=0.5)),
        )
    elif name == "authors_code":
        config = Config(
            preset="authors_code",
            calibration=0.0,
            propagation=Propagation(
                warm_up=_LORA,
                k=0,
                collaborators=tuple(
                    Collaborator(name=f"sample {i}", demonstrations=False, temperature=1.0, seed=i) for i in range(1, 5)
                ),
            ),
            policy=Policy(measure="mean_nll", rule=Rule(value=1.0), disputed="apart", disputed_rule=Rule(value=0.3)),
            tune=Tuning(method="lora", learning_rate=1e-6),
            tune_from="warm_up",
            tune_on="pseudo",
        )
    elif name == "studio":
        config = Config(
            preset="studio",
            propagation=Propagation(
                warm_up=_STUDIO_WARM_UP,
                k=3,
                collaborators=STUDIO_COLLABORATORS,
                weighting="auto",
                second_pass=True,
                justify=False,
                verdict_confidence="pooled",
                answer_rule="auto",
            ),
            policy=Policy(measure="answer_nll", rule=Rule(value=0.85), ungiven=False),
            tune=_STUDIO_TUNE,
            evaluate_demonstrations=False,
        )
    else:
        raise UserError(f'There is no preset "{name}".', "preset", f"Choose one of: {', '.join(PRESETS)}.")
    return config.model_dump(mode="json")


def load(preset_name: str = "studio", file: Path | None = None, assignments: Sequence[str] = ()) -> Config:
    """Config from a preset, overlaid by a YAML file, overlaid by `key=value` assignments (dots go deeper; a number is a
    place in a list, from 0)."""
    overlay = {} if file is None else _read_yaml(file)
    return overlaid({"preset": preset_name} | overlay, assignments)


def overlaid(overlay: dict[str, Any], assignments: Sequence[str] = ()) -> Config:
    """Config from the preset that `overlay` names (else `studio`), overlaid by it and then by the assignments."""
    overlay = copy.deepcopy(overlay)
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise UserError(f'"{assignment}" is not an assignment.', "--set", "Write it as key=value.")
        try:
            assign(overlay, key.split("."), yaml.safe_load(value))
        except yaml.YAMLError:
            raise UserError(f'"{value}" is not a valid value.', f"--set {key}", "Write it as YAML.") from None
    return validate(laid_over(preset(str(overlay.get("preset", "studio"))), overlay))


def validate(values: dict[str, Any]) -> Config:
    """Config from a nested dict. The first fault becomes a UserError."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "config"
        if first["type"] == "extra_forbidden":
            raise UserError(
                "There is no such setting.", where, f"Known settings here: {_siblings(first['loc'])}."
            ) from None
        message = first["msg"].removeprefix("Value error, ")
        if isinstance(first["input"], dict) and first["type"] == "value_error":  # of settings that do not go together
            raise UserError(f"{message}.", where, "Correct one of these settings.") from None
        raise UserError(f"{message}, found {first['input']!r:.80}.", where, "Correct this setting.") from None


def _siblings(location: tuple[str | int, ...]) -> str:
    """The settings that are known at the place of an unknown one."""
    model: Any = Config
    for part in location[:-1]:
        in_list = part == "collaborators" or isinstance(part, int)
        model = Collaborator if in_list else model.model_fields[part].annotation
    return ", ".join(model.model_fields)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"The config file cannot be read ({error.strerror}).", str(file), "Check the path.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"The config file is not valid YAML: {error}.", str(file), "Correct the file.") from None
    if not isinstance(loaded, dict):
        raise UserError("The config file holds no settings.", str(file), "Write `key: value` lines.")
    return loaded


def anywhere(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without what is true on one machine only: `threads`, `devices` and `cluster` are at their defaults.

    A project from elsewhere must not make this machine join a cluster, and none of ours may give its address away.
    """
    here = {name: Config.model_fields[name].default for name in ("threads", "devices", "cluster")}
    return {**settings, **{name: default for name, default in here.items() if name in settings}}
