"""Which candidates become pseudo-labels: a policy's rule over a confidence measure, then the expert's decisions.

Works on the tables of `candidates`. Knows nothing of where the numbers come from; `ranking` finds where the lines fall.

A policy never accepts a candidate that has no answer, has no value of the measure, or has a text that could steer the
model (`flagged`). Whether it may accept an answer that no collaborator gave is a part of it (`ungiven`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from semievol import wording
from semievol.config import Policy
from semievol.evidence import precision
from semievol.evidence.reviews import level
from semievol.records import Origin
from semievol.selection.decisions import asserted_answer, removes
from semievol.selection.ranking import ALPHA, NEVER, parts_of

NOT_ENOUGH = "not enough evidence"
NEARLY = 0.02
"""Part of the candidates that a share asks for, up to which it is not worth a word that ties keep fewer."""


@dataclass(frozen=True)
class Evidence:
    """What calibration records say about the kept set ("estimated" tier, docs/evidence.md).

    kept: candidates kept; drawn, wrong: calibration records under the same cut, and how many of them are wrong.
    low, high: with probability 1 - alpha the number wrong among `kept`, covered also for a cut found by looking.
    earlier: others that are kept, on which an earlier round was trained: calibration says nothing about them.
    target: the precision that the rule's own test has proven of the kept set with probability 1 - alpha, for a policy
    chosen without looking; None for rules without a test. It needs fewer records than the interval (docs/evidence.md,
    Target precision).
    """

    kept: int
    drawn: int
    wrong: int
    low: int
    high: int
    earlier: int = 0
    target: float | None = None

    @property
    def precision(self) -> float:
        """Share right among the calibration records under the cut; NaN for none."""
        return 1 - self.wrong / self.drawn if self.drawn else math.nan


class Cut:
    """A policy applied to a round's candidates: what it keeps, where its lines are, and what is known of the kept set.

    Making one applies the policy; `outcome` and `accepted` then apply the decisions.

    frame: the pool's candidates; calibration: those with known answers, where there are any.
    known: over `calibration`, which of its records the same cut accepts.
    mask: over `frame`, which candidates the policy accepts, decisions aside, by its rule:

    fraction p: of a group's N candidates the most confident, the largest set of whole ties of at most ceil(p N). If
        the best tie is larger than that, none: `reason` says so. Exact values and bounds are ranked apart.
    threshold: every value up to the rule's.
    target_precision: `precision.target_precision` in every group, alpha 0.05 divided by their number; none where the
        calibration table (or the lack of one) is not enough evidence.

    A quota keeps of this only the most confident of every predicted class, whole ties again.
    """

    def __init__(self, policy: Policy, frame: pd.DataFrame, calibration: pd.DataFrame | None = None) -> None:
        self.policy, self.frame, self._calibration = policy, frame, calibration
        self._judged = calibration is not None and len(calibration) > 0
        self._parts = parts_of(policy, frame, calibration)
        kept = np.zeros(len(frame) + (0 if calibration is None else len(calibration)), dtype=bool)
        for part in self._parts:
            kept[part.index] = part.kept()
        self.mask, self.known = kept[: len(frame)], kept[len(frame) :]

    def outcome(self) -> tuple[pd.Categorical, np.ndarray]:
        """(answers, by_expert), position by position: the accepted answer or none; whether the expert asserts it."""
        answers = pd.Categorical(self.frame["answer"])
        number = {answer: code for code, answer in enumerate(answers.categories)}
        codes = answers.codes.astype(np.int64)
        kept, by_expert = self.mask.copy(), np.zeros(len(codes), dtype=bool)
        if "decision" in self.frame:
            places = np.flatnonzero(self.frame["decision"].notna().to_numpy())
            decided = self.frame[["answer", "decision", "decided_answer"]].iloc[places]
            for place, answer, action, said in zip(places, *(decided[c] for c in decided.columns), strict=True):
                asserted = asserted_answer(action, said, answer)
                if asserted is not None:
                    codes[place] = number.setdefault(asserted, len(number))
                    kept[place], by_expert[place] = True, True
                elif removes(action, said, answer):
                    kept[place] = False
        codes[~kept] = -1
        return pd.Categorical.from_codes(codes, categories=pd.Index(list(number), dtype=object)), by_expert

    def accepted(self) -> tuple[dict[str, str], dict[str, Origin]]:
        """(answers, origins) by record id: what the policy keeps, overridden by the expert's decisions (see
        `selection.decisions`); an asserted answer has the origin "expert"."""
        answers, by_expert = self.outcome()
        kept = np.flatnonzero(answers.codes >= 0)
        ids = self.frame.index[kept].tolist()
        origins: list[Origin] = ["expert" if one else "pseudo" for one in by_expert[kept]]
        return dict(zip(ids, answers[kept], strict=True)), dict(zip(ids, origins, strict=True))

    def lines(self) -> dict[str, float]:
        """Where to draw the line in the histogram: part ("all", "agreed", "disputed") -> largest accepted value.

        A part in which nothing is kept is missing, and so is one that is cut per class and thus has several lines.
        """
        lines = {}
        for part in self._parts:
            kept = part.kept() & part.in_pool
            if part.rule.kind == "threshold":
                lines[part.name] = part.rule.value
            elif kept.any() and part.groups == 1:
                lines[part.name] = float(part.values[kept].max())
        return lines

    def reason(self) -> str:
        """One sentence saying why the policy accepts nothing; empty if it accepts something."""
        if self.mask.any():
            return ""
        policy, parts = self.policy, self._parts
        ranked = [part.place[part.place < NEVER] for part in parts]
        if not sum(place.size for place in ranked):
            return self._none_may()
        if policy.quota is not None and self._without_quota().mask.any():
            return (
                f"More than {policy.quota:,} of the most confident candidates of every class have the same value. They "
                "can only be kept together, and the limit per class does not allow it."
            )
        if any(part.rule.kind == "target_precision" for part in parts):
            target = max(part.rule.value for part in parts if part.rule.kind == "target_precision")
            needed = precision.needed_reviews(target, alpha=level(1))
            few = f"{needed} reviewed records without an error would prove it"
            cure = f" Keep a share instead, and verify it by a random review ({few})." if needed else ""
            return f"The calibration records give {NOT_ENOUGH} for a precision of {100 * target:.3g} %.{cure}"
        if all(part.rule.kind == "fraction" for part in parts):
            if all(part.rule.value == 0 for part in parts):
                return "A share of 0 % keeps nothing."
            best = min(int(place.min()) for place in ranked if place.size)
            return f"The {best} most confident candidates have the same value and can only be kept together."
        limits = sorted({part.rule.value for part in parts if part.rule.kind == "threshold"})
        return f"The value of every candidate is above the threshold {wording.series([f'{x:g}' for x in limits])}."

    def short(self) -> str:
        """One sentence where ties make a share keep clearly fewer candidates than it asks for; empty elsewhere, and
        where nothing is kept (see `reason`)."""
        ties = [tie for part in self._parts for tie in part.next_ties()]
        asked, kept = sum(tie[0] for tie in ties), sum(tie[1] for tie in ties)
        if not self.mask.any() or self.policy.quota is not None or asked - kept <= NEARLY * asked:
            return ""
        next_one = f"The next {ties[0][2]:,}" if len(ties) == 1 else "Those that come next in their groups"
        return (
            f"The share asks for {asked:,} candidates, but {kept:,} are kept. {next_one} have the same value and can "
            "only be kept together."
        )

    def _without_quota(self) -> Cut:
        calibration = self._calibration if self._judged else None
        return Cut(self.policy.model_copy(update={"quota": None}), self.frame, calibration)

    def _none_may(self) -> str:
        """Why not one candidate may be accepted: how many of them for which reason, each counted once."""
        frame, measure = self.frame, self.policy.measure
        left = np.ones(len(frame), dtype=bool)
        counts = []
        for concerned, words in (
            (frame["flagged"].to_numpy(), "with a text that could steer the model"),
            (frame["answer"].isna().to_numpy(), "without an answer"),
            (self._ungiven(), "with an answer that no collaborator gave"),
            (frame[measure].isna().to_numpy(), f"without a value of {measure}"),
            (self._dropped(), "disputed, which the policy leaves out"),
        ):
            if number := int((left & concerned).sum()):
                counts.append(f"{number:,} {words}")
            left &= ~concerned
        if not counts:
            return "There are no candidates."
        return f"None of the {len(frame):,} candidates may be accepted: {', '.join(counts)}."

    def _dropped(self) -> np.ndarray:
        return ~self.frame["agreed"].to_numpy(bool) & (self.policy.disputed == "drop")

    def _ungiven(self) -> np.ndarray:
        """Candidates that the policy may not accept because no collaborator gave their answer."""
        given = self.frame["given"].to_numpy() if "given" in self.frame else np.ones(len(self.frame), dtype=bool)
        return ~given & (not self.policy.ungiven)

    def evidence(self, measures_tried: int = 1) -> Evidence | None:
        """Bounds on the number wrong among what the policy keeps, by the band (docs/evidence.md, Many
        thresholds); None without calibration.

        Groups with a cut of their own (agreed and disputed apart; every class under a target precision) get a band each
        at an equal share of alpha, and their bounds add up. Choosing the measure on the same data divides
        alpha by `measures_tried`.
        """
        if not self._judged:
            return None
        dials = [dial for part in self._parts for dial in part.dials()]
        share = ALPHA / measures_tried / max(len(dials), 1)
        counts = [part.counts(part.kept()) for part in dials]
        bounds = [part.band(share).at(kept) for part, (_, _, kept) in zip(dials, counts, strict=True)]
        drawn, wrong, kept = np.array(counts, np.int64).reshape(-1, 3).sum(axis=0).tolist()
        low, high = np.array(bounds, np.int64).reshape(-1, 2).sum(axis=0).tolist()
        return Evidence(kept, drawn, wrong, low, high, int(self.mask.sum()) - kept, self._tested())

    def _tested(self) -> float | None:
        """The least precision that the rules' own tests have proven of all that is kept; None where a part of it was
        not tested: it has another rule, or a quota keeps only some of a tested set."""
        rules = [part.rule for part in self._parts if part.kept().any()]
        if self.policy.quota is not None or any(rule.kind != "target_precision" for rule in rules):
            return None
        return min((rule.value for rule in rules), default=None)
