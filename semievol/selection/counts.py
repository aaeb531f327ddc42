"""How a round's candidates divide into kept, left out, set aside and undecided: the same counts on every page.

Every candidate is in exactly one part, so the parts add up to all. Knows nothing of databases or screens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from semievol import wording
from semievol.selection.decisions import REMOVES, removes
from semievol.selection.policy import Cut


@dataclass(frozen=True)
class Counts:
    """Candidates of a round under a policy and the experts' decisions.

    by_policy, by_expert: kept, by whom; what an expert accepts or corrects is the expert's. left_out: by the policy.
    set_aside: by an expert, who rejected the answer or said that none fits. undecided: nobody said anything, and no
    policy decides, as there is no answer, no value of the measure, or a text that could steer the model.
    """

    by_policy: int
    by_expert: int
    left_out: int
    set_aside: int
    undecided: int

    @property
    def kept(self) -> int:
        return self.by_policy + self.by_expert

    @property
    def all(self) -> int:
        return self.kept + self.left_out + self.set_aside + self.undecided

    def sentence(self) -> str:
        """All parts that are not empty, and of how many."""
        by = f" ({self.by_expert:,} of them by an expert)" if self.by_expert else ""
        parts = [f"{self.kept:,} kept{by}"]
        parts += [f"{self.left_out:,} left out by the policy"] if self.left_out else []
        parts += [f"{self.set_aside:,} set aside by an expert"] if self.set_aside else []
        parts += [f"{self.undecided:,} undecided"] if self.undecided else []
        return f"Of {wording.plural(self.all, 'candidate')}: {wording.series(parts)}."


def counted(cut: Cut, outcome: tuple[pd.Categorical, np.ndarray] | None = None) -> Counts:
    """The parts of the pool under this cut and the decisions on it. outcome: the cut's, where it is known already."""
    answers, by_expert = outcome or cut.outcome()
    frame, kept = cut.frame, answers.codes >= 0
    aside = ~kept & _set_aside(frame)
    rest, unclear = ~kept & ~aside, undecidable(frame, cut.policy.measure)
    return Counts(
        by_policy=int((kept & ~by_expert).sum()),
        by_expert=int(by_expert.sum()),
        left_out=int((rest & ~unclear).sum()),
        set_aside=int(aside.sum()),
        undecided=int((rest & unclear).sum()),
    )


def undecidable(frame: pd.DataFrame, measure: str) -> np.ndarray:
    """Which candidates no policy over this measure decides: see `Counts.undecided`."""
    found = frame["answer"].isna() | frame[measure].isna() | frame["flagged"].astype(bool)
    return found.to_numpy(bool)


def _set_aside(frame: pd.DataFrame) -> np.ndarray:
    """Which candidates a standing decision removes, as `decisions.removes` says."""
    found = np.zeros(len(frame), dtype=bool)
    places = np.flatnonzero(frame["decision"].isin(REMOVES).to_numpy())
    said = frame[["decision", "decided_answer", "answer"]].iloc[places]
    found[places] = [removes(*one) for one in zip(*(said[name] for name in said.columns), strict=True)]
    return found
