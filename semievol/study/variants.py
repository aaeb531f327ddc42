"""How the settings of a variant of the method differ from those of the study; all else stays the same."""

from __future__ import annotations

from collections.abc import Callable

from semievol import presets
from semievol.config import VOTERS, Collaborator, Config, Policy, Rule


class Unavailable(Exception):
    """An arm that these settings or records do not have; the message says why, in a sentence."""


def with_propagation(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"propagation": config.propagation.model_copy(update=changes)})


def without_in_weight(config: Config) -> Config:
    """The base model in the place of the warm-up, as collaborator, as judge and as the start of fine-tuning."""

    def cold(one: Collaborator) -> Collaborator:
        return one.model_copy(update={"model": "base"}) if one.model == "warm_up" else one

    mine = config.propagation
    changed = with_propagation(config, collaborators=tuple(map(cold, mine.collaborators)), judge=cold(mine.judge))
    return changed.model_copy(update={"tune_from": "base"})


def without_in_context(config: Config) -> Config:
    """No demonstrations anywhere, no collaborator that uses neighbours; of collaborators that become alike, one."""
    alone: dict[str, Collaborator] = {}
    for one in _models(config):
        plain = one.model_copy(update={"demonstrations": False, "order": "similar_last"})
        alike = plain.model_copy(update={"name": "-"} | ({"seed": 0} if not plain.temperature else {}))
        alone.setdefault(alike.model_dump_json(), plain)
    judge = config.propagation.judge.model_copy(update={"demonstrations": False})
    rest = {"judge": judge, "warm_up_demonstrations": "none", "second_pass": False}
    return with_propagation(config, collaborators=tuple(alone.values()), **rest)


def without_collaboration(config: Config) -> Config:
    if len(config.propagation.collaborators) == 1:
        raise Unavailable("The settings have one collaborator only.")
    return with_propagation(config, collaborators=_models(config)[:1])


def without_collaborator(config: Config, number: int) -> Config:
    """Without one of the collaborators. number: its place in the settings, from 1."""
    mine = config.propagation.collaborators
    if number > len(mine):
        raise Unavailable(f"The settings have no collaborator {number}.")
    if len(mine) == 1:
        raise Unavailable("The settings have one collaborator only.")
    return with_propagation(config, collaborators=(*mine[: number - 1], *mine[number:]))


def without_justify(config: Config) -> Config:
    if not config.propagation.justify:
        raise Unavailable("The settings have no self-justify.")
    return with_propagation(config, justify=False)


def self_training(config: Config) -> Config:
    """The warm-up answers alone and without demonstrations."""
    alone = Collaborator(name="warm-up alone", demonstrations=False)
    return with_propagation(config, collaborators=(alone,), justify=False)


def authors_rule(config: Config) -> Config:
    """The selection rule of the authors' code: every unanimous candidate, and of the disputed ones the most confident
    30 % by mean NLL."""
    rule = presets.preset("authors_code")["policy"]
    return config.model_copy(update={"policy": Policy.model_validate(rule)})


def without_selection(config: Config) -> Config:
    everything = Policy(measure=config.policy.measure, rule=Rule(value=1.0))
    return config.model_copy(update={"policy": everything})


def tuned_with_kl(config: Config) -> Config:
    if config.tune.kl:
        raise Unavailable("The settings have it already.")
    return _tuned(config, kl=0.1)


def cleaned_tokens(config: Config) -> Config:
    if config.token_cleaning:
        raise Unavailable("The settings clean tokens already.")
    return config.model_copy(update={"token_cleaning": 0.3})


def rslora(config: Config) -> Config:
    """Rank 64, at which the plain scaling alpha / r would be small."""
    return _with_lora(config, rank=64, use_rslora=True)


def dora(config: Config) -> Config:
    return _with_lora(config, use_dora=True)


def _with_lora(config: Config, **changes: object) -> Config:
    """Fine-tuning with an adapter of these settings, also where `auto` would train all weights."""
    if config.tune.method == "full":
        raise Unavailable("The settings train all weights.")
    if config.tune_from == "warm_up":
        raise Unavailable("Fine-tuning goes on with the adapter of the warm-up.")
    return _tuned(config, method="lora", lora=config.tune.lora.model_copy(update=changes))


def _tuned(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"tune": config.tune.model_copy(update=changes)})


VARIANTS: dict[str, tuple[Callable[[Config], Config], str]] = {
    "self_training": (self_training, "respond"),
    "authors_rule": (authors_rule, "select"),
    "without_in_weight": (without_in_weight, "respond"),
    "without_in_context": (without_in_context, "respond"),
    "without_collaboration": (without_collaboration, "respond"),
    "without_justify": (without_justify, "justify"),
    "without_selection": (without_selection, "select"),
    "tuned_with_kl": (tuned_with_kl, "tune"),
    "cleaned_tokens": (cleaned_tokens, "tune"),
    "rslora": (rslora, "tune"),
    "dora": (dora, "tune"),
}
"""Arm -> how its settings differ, and the first stage that is another than in SemiEvol itself."""


def _models(config: Config) -> tuple[Collaborator, ...]:
    """The collaborators that are language models."""
    found = tuple(one for one in config.propagation.collaborators if one.model not in VOTERS)
    if not found:
        raise Unavailable("The settings have no collaborator that is a language model.")
    return found
