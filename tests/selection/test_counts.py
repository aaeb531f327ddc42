"""Every candidate is counted once: kept, left out, set aside, or undecided."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semievol.config import Policy, Rule
from semievol.selection.counts import Counts, counted
from semievol.selection.policy import Cut
from tests.selection.test_policy import STEADY, fraction, table, threshold

DECISIONS = (None, "accept", "edit", "reject", "skip", "ambiguous")


def test_what_an_expert_says_is_counted_as_the_experts() -> None:
    frame = table([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, np.nan, 0.1])
    frame["decision"] = [None, "reject", "accept", "ambiguous", "edit", None, None, "skip"]
    frame["decided_answer"] = [None, None, None, None, "B", None, None, None]
    found = counted(Cut(threshold(0.35), frame))
    assert found == Counts(by_policy=2, by_expert=2, left_out=1, set_aside=2, undecided=1)
    assert found.sentence() == (
        "Of 8 candidates: 4 kept (2 of them by an expert), 1 left out by the policy, 2 set aside by an "
        "expert and 1 undecided."
    )


def test_a_reject_of_another_answer_sets_nothing_aside() -> None:
    frame = table([0.1, 0.5]).assign(decision="reject", decided_answer="Z")
    assert counted(Cut(threshold(0.3), frame)) == Counts(1, 0, 1, 0, 0)


def test_what_could_steer_the_model_is_decided_by_nobody() -> None:
    assert counted(Cut(threshold(0.3), table([0.1, 0.2], flagged=[True, False]))) == Counts(1, 0, 0, 0, 1)


@given(
    st.lists(
        st.tuples(st.one_of(st.just(np.nan), st.integers(0, 4).map(float)), st.sampled_from(DECISIONS), st.booleans()),
        max_size=20,
    ),
    st.sampled_from([fraction(0.5), threshold(2.0), Policy(rule=Rule(kind="target_precision", value=0.9))]),
)
@STEADY
def test_the_parts_add_up_to_all_and_kept_is_what_is_frozen(
    made: list[tuple[float, str | None, bool]], policy: Policy
) -> None:
    frame = table([value for value, _, _ in made])
    frame["decision"] = [action for _, action, _ in made]
    frame["flagged"] = [flag for _, _, flag in made]
    cut = Cut(policy, frame)
    found, (answers, origins) = counted(cut), cut.accepted()
    assert found.all == len(frame)
    assert found.kept == len(answers)
    assert found.by_expert == list(origins.values()).count("expert")
