"""The arms of a study: what is compared, and what it is called."""

from __future__ import annotations

from collections.abc import Sequence

from semievol.config import MOST_COLLABORATORS
from semievol.errors import UserError
from semievol.wording import SIMPLER_WORDS

MODELS = {
    "base": "Base",
    "base_demonstrations": "Base, with demonstrations",
    "warm_up": "Plain fine-tuning (warm-up)",
    "matched_updates": "Plain fine-tuning, as many updates",
    "self_training": "Self-training",
    "authors_rule": "Evolved, rule of the authors' code",
}
EVOLVED = {
    "evolved": "Evolved",
    "evolved_round_2": "Evolved, after round 2",
    "evolved_round_3": "Evolved, after round 3",
}
IN_ENSEMBLE = {
    "warm_up_ensemble": "Plain fine-tuning, in the ensemble",
    "evolved_ensemble": "Evolved, in the ensemble",
}
ABLATIONS = {
    "without_in_weight": "Evolved, without warm-up",
    "without_in_context": "Evolved, without in-context",
    "without_collaboration": "Evolved, one collaborator",
    "without_justify": "Evolved, without self-justify",
    "without_selection": "Evolved, all candidates kept",
}
LEFT_OUT = {
    f"without_collaborator_{number}": f"Evolved, without collaborator {number}"
    for number in range(1, MOST_COLLABORATORS + 1)
}
TUNING = {
    "tuned_with_kl": "Evolved, held near the start (KL)",
    "cleaned_tokens": "Evolved, tokens cleaned",
    "rslora": "Evolved, rsLoRA of rank 64",
    "dora": "Evolved, DoRA",
    "without_suspects": "Evolved, without suspect labels",
}
SHARES = {f"unlabeled_{share}": f"Evolved, unlabeled {share} % of labeled" for share in (50, 100, 200, 300)}
BOUND = {"all_gold": "All true labels"}
ARMS: dict[str, str] = SIMPLER_WORDS | MODELS | EVOLVED | IN_ENSEMBLE | ABLATIONS | LEFT_OUT | TUNING | SHARES | BOUND
"""Arm -> its name, in the order in which arms are shown."""
GROUPS: dict[str, Sequence[str]] = {
    "baselines": (
        *SIMPLER_WORDS,
        "base",
        "warm_up",
        "self_training",
        "authors_rule",
        "evolved",
        *IN_ENSEMBLE,
        "all_gold",
    ),
    "ablations": ("evolved", *ABLATIONS),
    "collaborators": ("evolved", *LEFT_OUT),
    "tuning": ("evolved", *TUNING),
    "shares": ("evolved", *SHARES),
    "rounds": ("warm_up", *EVOLVED),
    "all": tuple(ARMS),
}
"""Name -> arms that are often wanted together."""
DEFAULT = "baselines"
EXPLAINED = {
    "majority": "The most frequent label of the labeled records, for every record.",
    "neighbours": "The vote of the nearest labeled records.",
    "regression": "A logistic regression on the embedder's vectors of the labeled records.",
    "tuned_regression": "The same, on an embedder that was fine-tuned on the labeled records before.",
    "base": "The model as it is, asked without demonstrations.",
    "base_demonstrations": "The model as it is, asked with the nearest labeled records shown.",
    "warm_up": "The model fine-tuned on the labeled records.",
    "matched_updates": "The model fine-tuned on the labeled records, with as many updates as the evolved one.",
    "self_training": "The fine-tuned model alone answers the unlabeled records; the same rule keeps its answers.",
    "authors_rule": "The method's candidates, kept by the rule of the authors' code: all that are unanimous, and of "
    "the others the most confident 30 %.",
    "evolved": "The method with the project's settings.",
    "evolved_round_2": "A second round, which starts from the model of the first.",
    "evolved_round_3": "A third round.",
    "warm_up_ensemble": "The fine-tuned model together with the neighbours' vote and the regression: their averaged "
    "probabilities, with the weights that they have as collaborators.",
    "evolved_ensemble": "The evolved model together with the neighbours' vote and the regression, which learn from the "
    "accepted answers, too.",
    "without_in_weight": "The method with the base model in place of the fine-tuned one.",
    "without_in_context": "The method without demonstrations, neighbours' vote and regression.",
    "without_collaboration": "The method with its first collaborator that is a language model, alone.",
    "without_justify": "The method without a judge of disputed records.",
    "without_selection": "The method with every candidate kept.",
    "tuned_with_kl": "The method, fine-tuned with 0.1 times the KL divergence from the start model added to the loss.",
    "cleaned_tokens": "The method, fine-tuned without 30 % of the tokens of accepted free answers: those that the "
    "warm-up made likelier the least.",
    "rslora": "The method, fine-tuned with a LoRA adapter of rank 64 and rank-stabilised scaling (alpha / sqrt(r)).",
    "dora": "The method, fine-tuned with a LoRA adapter that trains magnitude and direction separately.",
    "without_suspects": "The method, fine-tuned without the labeled records whose label looks wrong to the models that "
    "had not seen them.",
    "all_gold": "The true answers of all unlabeled records in place of candidates: what could be reached at most.",
}
EXPLAINED |= {
    arm: f"The method with fewer unlabeled records: {arm.removeprefix('unlabeled_')} per 100 labeled." for arm in SHARES
}
EXPLAINED |= dict.fromkeys(LEFT_OUT, "The method without this collaborator: what it adds is how far Evolved is ahead.")
"""Arm -> a sentence that says what it is."""


def titles(collaborators: Sequence[str]) -> dict[str, str]:
    """Arm -> its name, of the arms that settings with these collaborators have, in the order in which they are shown.

    collaborators: their names, in the order of the settings.
    """
    left_out = dict(zip(LEFT_OUT, (f"Evolved, without {name}" for name in collaborators), strict=False))
    return {arm: left_out.get(arm, name) for arm, name in ARMS.items() if arm in left_out or arm not in LEFT_OUT}


def chosen(names: Sequence[str], collaborators: Sequence[str]) -> tuple[str, ...]:
    """The arms that these names of arms and groups stand for, in order, where settings with these collaborators have
    them. Raises UserError for an unknown name."""
    there = titles(collaborators)
    wanted: set[str] = set()
    for name in names or [DEFAULT]:
        if name not in GROUPS and name not in there:
            known = f"Choose among {', '.join(there)}; or a group: {', '.join(GROUPS)}."
            raise UserError(f'There is no arm "{name}".', "--arms", known)
        wanted.update(GROUPS.get(name, (name,)))
    return tuple(arm for arm in there if arm in wanted)
