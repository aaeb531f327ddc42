"""What may be said about the kept answers, as sentences."""

from __future__ import annotations

from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import cast

from semievol.evidence import precision
from semievol.evidence.reviews import Review, level
from semievol.evidence.shift import ShiftResult
from semievol.selection import claims
from semievol.selection.policy import Evidence
from semievol.selection.summary import Verified

ALIKE = ShiftResult(0.51, {"texts": 0.4})


def test_under_a_target_precision_what_the_rule_has_proven_is_said() -> None:
    found = Evidence(kept=659, drawn=85, wrong=3, low=0, high=141, target=0.9)
    tier = claims.estimated(found, ALIKE, 6, True)
    assert tier.share == (0.9, 1.0)
    assert "Of these, at least 90.0 % are right" in tier.sentence
    assert any("Trying several and taking the best weakens that" in d and "78.6 %" in d for d in tier.details)
    known = {"estimated": asdict(found), "p_values": {"texts": 0.4}, "measures": 6, "cross_fitted": True}
    assert claims.sentences(known) == ["at least 90.0 % right (estimated, approximate)"]
    assert claims.remembered(known, 659)[0].share == tier.share
    surer = replace(found, high=20)  # the interval promises more
    assert claims.estimated(surer, ALIKE, 6, True).share == (0.969, 1.0), "rounded outward"


def test_a_low_guarantee_says_how_many_reviews_would_raise_it() -> None:
    best = Verified(review=1, reviewed=20, wrong=0, most=81, outside=0, fixed=0, doubtful=False)
    past = [cast(Review, SimpleNamespace(open=False))]
    needed = precision.needed_reviews(0.95, 607, level(2))
    sentence = claims.verified(best, 607, past).sentence
    assert f"only 20 records were reviewed, all right: {needed} in another random review" in sentence
    assert "another" not in claims.verified(replace(best, most=20), 607, past).sentence
    assert "another" not in claims.verified(replace(best, wrong=2), 607, past).sentence


def test_what_was_cross_fitted_is_not_said_to_be_kept_out_of_training() -> None:
    found = Evidence(kept=600, drawn=60, wrong=3, low=12, high=61)
    for fitted in (True, False):
        details = " ".join(claims.estimated(found, ALIKE, 6, fitted).details)
        assert ("kept out of training" in details, "cross-fitting" in details) == (not fitted, fitted)
