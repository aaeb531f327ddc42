"""The selection policy as a form. What is changed is tried by this person alone, until it is saved for everybody.

The slider, the number box and the line in the histogram set the same value. A policy under trial is kept in the session
and in the address, so that a reload or a link shows it again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.config import Measure, Policy, Rule
from semievol.errors import UserError
from semievol.selection import equivalent
from semievol.selection.candidates import measures_of
from semievol.ui.shell import formats, notices, parts, policies, session, state
from semievol.ui.shell.state import Place

RULE_WORDS = {"fraction": "Share", "threshold": "Threshold", "target_precision": "Precision"}
DISPUTED_WORDS = {"together": "Same rule", "apart": "Own rule", "drop": "Leave out"}
RULE_HELP = (
    "Share: keeps the most confident part of all candidates. Threshold: keeps every candidate whose value is at most "
    "this. Precision: keeps as many candidates as the checked records prove to have this precision; in at most 5 of "
    "100 projects fewer are right. Often there is not enough evidence to keep any. Changing between share and "
    "threshold keeps what is kept."
)
SHARE, PRECISION = 0.5, 0.9
"""What a rule begins with where nothing kept can be carried over."""


@dataclass
class SameCut:
    """Project id -> the rules by kind that keep what the present one keeps, as the person came from them."""

    rules: dict[int, dict[str, Rule]] = field(default_factory=dict)


def current(here: Place) -> Policy:
    """The policy that the page shows: the one under trial in this session, else the saved one."""
    return policies.shown(here.project, here.round_or_none)


def follow_address(here: Place) -> None:
    """Shows the policy of the address, so that a reload and a link show it again."""
    if not policies.follow_address(here.project, here.round_or_none):
        what = "The policy in this address cannot be read."
        notices.fail(UserError(what, "address", "The saved one is shown."), lasting=True)
        st.rerun()


def change(here: Place, **values: Any) -> None:
    """Tries the policy with `values` changed."""
    _cut_changed(here)
    _try(here, Policy.model_validate({**current(here).model_dump(), **values}))


@notices.errors_kept()
def save(here: Place) -> None:
    """Saves the policy under trial with the project, so that everybody sees it and runs use it."""
    policies.save(here.store, here.project, current(here))
    notices.say("The policy is saved for everybody in this project.")


def forget(here: Place) -> None:
    """Ends the trial: the page shows the saved policy again."""
    _cut_changed(here)
    policies.forget(here.project)


def trial(here: Place) -> None:
    """What the person should know while the policy differs from the saved one, and how to end that."""
    if policies.on_trial(here.project) is None:
        return
    saved = policies.saved(here.project, here.round_or_none)
    parts.note(f"You are trying this policy; nobody else sees it. Saved: {in_words(saved)}.")
    with st.container(horizontal=True):
        st.button(
            "Save for everybody",
            help="All who work on this project then see this policy, and runs use it. Freezing a selection saves it, "
            "too. Until then, only what you start yourself uses it.",
            on_click=save,
            args=(here,),
        )
        st.button("Back to the saved one", on_click=forget, args=(here,))


def form(here: Place, pool: pd.DataFrame, calibration: pd.DataFrame) -> None:
    """Draws the form: measure, rule, value, disputed records, classes."""
    policy = current(here)
    known = measures_of(pool)
    st.selectbox(
        "Measure",
        known,
        format_func=formats.measure,
        help="The measure by which candidates are ordered. " + formats.MEASURE_FORMULAS[policy.measure],
        **session.bound(
            "policy_measure",
            policy.measure if policy.measure in known else None,
            lambda measure: choose_measure(here, measure),
        ),
    )
    st.segmented_control(
        "Rule",
        list(RULE_WORDS),
        format_func=lambda kind: RULE_WORDS[kind],
        required=True,
        width="stretch",
        help=RULE_HELP,
        **session.bound("policy_rule", policy.rule.kind, lambda kind: _choose_rule(here, pool, calibration, kind)),
    )
    _value(here, "rule", "policy_value", pool)
    st.segmented_control(
        "Disputed records",
        list(DISPUTED_WORDS),
        format_func=lambda kind: DISPUTED_WORDS[kind],
        required=True,
        width="stretch",
        help="Disputed: the collaborators did not all give the same answer. They can follow the same rule as agreed "
        "records, a rule of their own, or be left out.",
        **session.bound("policy_disputed", policy.disputed, lambda kind: change(here, disputed=kind)),
    )
    if policy.disputed == "apart":
        _value(here, "disputed_rule", "policy_disputed_value", pool)
    alone = int((~pool["given"]).sum())
    if alone or not policy.ungiven:
        st.toggle(
            f"Also answers that no collaborator gave ({alone:,})",
            help="The judge, or the average of all collaborators, can arrive at an answer that none of them gave. "
            "Such answers are wrong more often than others.",
            **session.bound("policy_ungiven", policy.ungiven, lambda wanted: change(here, ungiven=wanted)),
        )
    st.toggle(
        "Within each predicted class",
        help="Applies the rule to each predicted class separately, so that rare classes are kept, too.",
        **session.bound("policy_per_class", policy.per_class, lambda wanted: change(here, per_class=wanted)),
    )
    st.number_input(
        "At most per class",
        min_value=1,
        value=None,
        step=1,
        placeholder="No limit",
        help="Keeps at most this many candidates of each predicted class, the most confident ones.",
        **session.bound("policy_quota", policy.quota, lambda most: change(here, quota=most)),
    )
    trial(here)


def in_words(policy: Policy) -> str:
    """A policy in one line, for tables."""
    rule = {"all": policy.rule} if policy.disputed == "together" else {"agreed": policy.rule}
    if policy.disputed == "apart":
        rule["disputed"] = policy.disputed_rule
    words = [f"{name}: {_rule_in_words(one)}" for name, one in rule.items()]
    words += ["disputed: left out"] if policy.disputed == "drop" else []
    words += [] if policy.ungiven else ["only answers that a collaborator gave"]
    words += ["within each class"] if policy.per_class else []
    words += [f"at most {policy.quota:,} per class"] if policy.quota else []
    return f"{formats.measure(policy.measure)}, {', '.join(words)}"


def _rule_in_words(rule: Rule) -> str:
    if rule.kind == "threshold":
        return f"up to {rule.value:.3g}"
    share = formats.percent(rule.value)
    return f"most confident {share}" if rule.kind == "fraction" else f"precision {share}"


def drag(here: Place, pool: pd.DataFrame, value: float) -> None:
    """Sets the rule after the line in the histogram was moved to `value`, converted to the rule's unit."""
    policy = current(here)
    share = policy.rule.kind == "fraction"
    _set_value(here, "rule", equivalent.share_below(policy, value, pool) if share else float(f"{value:.4g}"))


def movable(policy: Policy) -> bool:
    """Whether the policy has a single threshold, so that its line can be moved."""
    return policy.rule.kind != "target_precision" and not (policy.per_class and policy.rule.kind == "fraction")


def _value(here: Place, which: str, key: str, pool: pd.DataFrame) -> None:
    """The slider and the number box that set the value of a rule. which: the field of the policy, for the rule."""
    policy = current(here)
    rule: Rule = getattr(policy, which)
    as_share = rule.kind != "threshold"
    unit = {
        "fraction": "Kept by the policy, %",
        "threshold": "Largest value kept",
        "target_precision": "Precision, %",
    }
    digits = 1 if as_share else 4
    top = 100.0 if as_share else _ceiled(max(_largest(pool, policy.measure), rule.value), digits)
    step = 0.5 if as_share else float(f"{top / 200:.1g}")
    shown = round(float(min(top, 100 * rule.value if as_share else rule.value)), digits)

    def moved(value: float) -> None:
        _set_value(here, which, round(float(value) / 100, 6) if as_share else round(float(value), 6))

    look: dict[str, Any] = {"step": step, "format": f"%.{digits}f"}
    left, right = st.columns([5, 3], vertical_alignment="bottom")
    words = unit[rule.kind] if which == "rule" else f"{unit[rule.kind]}, disputed"
    if which == "rule" and policy.disputed != "together":
        words = f"{words}, agreed"
    about = formats.MEASURE_FORMULAS[policy.measure] if rule.kind == "threshold" else None
    left.slider(words, 0.0, top, help=about, **look, **session.bound(f"{key}_slider", shown, moved))
    right.number_input(
        f"{words}, typed",
        0.0,
        top,
        label_visibility="collapsed",
        **look,
        **session.bound(f"{key}_number", shown, moved),
    )
    if not as_share and policy.measure in formats.PROBABILITIES:
        parts.note(f"Keeps answers with a probability of at least {formats.percent(math.exp(-rule.value))}.")


def _set_value(here: Place, which: str, value: float) -> None:
    rule = getattr(current(here), which)
    change(here, **{which: {"kind": rule.kind, "value": value}})


def _largest(pool: pd.DataFrame, measure: str) -> float:
    top = float(np.nanmax(pool[measure])) if pool[measure].notna().any() else 1.0
    return top if top > 0 else 1.0


def _ceiled(value: float, digits: int) -> float:
    return math.ceil(value * 10**digits) / 10**digits


@notices.errors_kept()
def choose_measure(here: Place, measure: Measure) -> None:
    """Chooses another measure. A share stays, and a threshold becomes the one that keeps as many."""
    policy = current(here)
    _cut_changed(here)
    _try(here, equivalent.with_measure(policy, measure, *state.candidates(here.store, here.round.id)))


@notices.errors_kept()
def _choose_rule(here: Place, pool: pd.DataFrame, calibration: pd.DataFrame, kind: Any) -> None:
    """Another rule, with the same cut where there is one: the very rule that the person came from, else its like."""
    policy, same = current(here), session.of(SameCut).rules.setdefault(here.project.id, {})
    before = same.get(kind)
    same[policy.rule.kind] = policy.rule
    if before is None and kind != "target_precision":
        found = equivalent.with_rule(policy, kind, pool, calibration)
        start = policy.model_copy(update={"rule": Rule(value=SHARE)})
        before = (found or equivalent.with_rule(start, kind, pool, calibration) or start).rule
    _try(here, policy.model_copy(update={"rule": before or Rule(kind="target_precision", value=PRECISION)}))


def _cut_changed(here: Place) -> None:
    """Forgets the rules that were equivalent; a target precision is a wish of its own and stays."""
    rules = session.of(SameCut).rules.setdefault(here.project.id, {})
    for kind in ("fraction", "threshold"):
        rules.pop(kind, None)


def _try(here: Place, policy: Policy) -> None:
    policies.try_out(here.project, here.round_or_none, policy)
