"""The selection policy as a form. Each change is saved with the project at once and drawn from there.

The slider, the number box and the line in the histogram set the same value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.config import Policy, Rule
from semievol.selection.candidates import measures_of
from semievol.ui.shell import formats, notices, session, state
from semievol.ui.shell.state import Place

RULE_WORDS = {"fraction": "Share", "threshold": "Threshold", "target_precision": "Precision"}
DISPUTED_WORDS = {"together": "Same rule", "apart": "Own rule", "drop": "Leave out"}
RULE_HELP = (
    "Share: keeps the most confident part of all candidates. Threshold: keeps every candidate whose value is at most "
    "this. Precision: keeps as many candidates as calibration records can prove to have this precision. In at most 5 "
    "of 100 projects fewer are right. Often there is not enough evidence to keep any."
)
_NEW_RULE = {"fraction": 0.5, "target_precision": 0.9}


def current(here: Place) -> Policy:
    """The policy that the page shows."""
    return state.policy_shown(here.project, here.round_or_none)


@notices.errors_kept()
def change(here: Place, **values: Any) -> None:
    """Saves the policy with `values` changed."""
    checked = Policy.model_validate({**current(here).model_dump(), **values})
    state.save_settings(here.store, here.project, policy=checked.model_dump(mode="json"))


def form(here: Place, pool: pd.DataFrame) -> None:
    """Draws the form: measure, rule, value, disputed records, classes."""
    policy = current(here)
    known = measures_of(pool)
    st.selectbox(
        "Measure",
        known,
        format_func=lambda m: formats.MEASURE_WORDS[m],
        help="The measure by which candidates are ordered. " + formats.MEASURE_FORMULAS[policy.measure],
        **session.bound(
            "policy_measure",
            policy.measure if policy.measure in known else None,
            lambda measure: _choose_measure(here, pool, measure),
        ),
    )
    st.segmented_control(
        "Rule",
        list(RULE_WORDS),
        format_func=lambda kind: RULE_WORDS[kind],
        required=True,
        width="stretch",
        help=RULE_HELP,
        **session.bound("policy_rule", policy.rule.kind, lambda kind: _choose_rule(here, pool, kind)),
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


def in_words(policy: Policy) -> str:
    """A policy in one line, for tables."""
    rule = {"all": policy.rule} if policy.disputed == "together" else {"agreed": policy.rule}
    if policy.disputed == "apart":
        rule["disputed"] = policy.disputed_rule
    words = [f"{name}: {_rule_in_words(one)}" for name, one in rule.items()]
    words += ["within each class"] if policy.per_class else []
    words += [f"at most {policy.quota:,} per class"] if policy.quota else []
    return f"{formats.MEASURE_WORDS[policy.measure]}, {', '.join(words)}"


def _rule_in_words(rule: Rule) -> str:
    if rule.kind == "threshold":
        return f"up to {rule.value:.3g}"
    share = formats.percent(rule.value)
    return f"most confident {share}" if rule.kind == "fraction" else f"precision {share}"


def drag(here: Place, pool: pd.DataFrame, value: float) -> None:
    """Sets the rule after the line in the histogram was moved to `value`, converted to the rule's unit."""
    policy = current(here)
    if policy.rule.kind == "fraction":
        part = pool if policy.disputed == "together" else pool[pool["agreed"].astype(bool)]
        value = float((part[policy.measure] <= value).mean()) if len(part) else 0.0
    _set_value(here, "rule", value)


def movable(policy: Policy) -> bool:
    """Whether the policy has a single threshold, so that its line can be moved."""
    return policy.rule.kind != "target_precision" and not (policy.per_class and policy.rule.kind == "fraction")


def _value(here: Place, which: str, key: str, pool: pd.DataFrame) -> None:
    """The slider and the number box that set the value of a rule. which: the field of the policy, for the rule."""
    policy = current(here)
    rule: Rule = getattr(policy, which)
    as_share = rule.kind != "threshold"
    top = 100.0 if as_share else max(_largest(pool, policy.measure), rule.value)
    step = 0.5 if as_share else float(f"{top / 200:.1g}")
    shown = float(min(top, 100 * rule.value if as_share else rule.value))

    def moved(value: float) -> None:
        _set_value(here, which, float(value) / 100 if as_share else float(value))

    unit = {"fraction": "Share kept, %", "threshold": "Largest value kept", "target_precision": "Precision, %"}[
        rule.kind
    ]
    left, right = st.columns([5, 3], vertical_alignment="bottom")
    left.slider(unit, 0.0, top, step=step, format="%g", **session.bound(f"{key}_slider", shown, moved))
    right.number_input(
        f"{unit}, typed",
        0.0,
        top,
        step=step,
        format="%.1f" if as_share else "%.4f",
        label_visibility="collapsed",
        **session.bound(f"{key}_number", shown, moved),
    )


def _set_value(here: Place, which: str, value: float) -> None:
    rule = getattr(current(here), which)
    change(here, **{which: {"kind": rule.kind, "value": value}})


def _largest(pool: pd.DataFrame, measure: str) -> float:
    top = float(np.nanmax(pool[measure])) if pool[measure].notna().any() else 1.0
    return top if top > 0 else 1.0


def _choose_measure(here: Place, pool: pd.DataFrame, measure: str) -> None:
    rule = current(here).rule
    if rule.kind == "threshold":  # the old value has no meaning in the new measure
        rule = Rule(kind="threshold", value=float(pool[measure].median()))
    change(here, measure=measure, rule=rule.model_dump())


def take_measure(here: Place, measure: str) -> None:
    """Chooses another measure. The share stays; a threshold, which has no meaning in it, becomes a share of 50 %."""
    rule = current(here).rule
    change(here, measure=measure, rule=(Rule(value=0.5) if rule.kind == "threshold" else rule).model_dump())


def _choose_rule(here: Place, pool: pd.DataFrame, kind: str) -> None:
    measure = current(here).measure
    value = _NEW_RULE.get(kind, float(pool[measure].median()))
    change(here, rule={"kind": kind, "value": value})
