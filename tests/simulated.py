"""Made-up projects of known truth, and the familiar procedures that the Studio does not use, to show that they fail.

A record's doubt z gives its chance to be wrong, 1 / (1 + exp(-z)); measures see z through noise of their own. Labeled
and unlabeled records are exchangeable unless there is a shift, which makes the pool harder than its scores tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from semievol.engines.verification import probability_right
from semievol.method import verifier, weights

WORLDS = ("smooth", "tied", "discrete", "flat", "edge")
"""What `answer_nll` is like: without ties; rounded, so that many share a value; of three values; no use at all; and
"edge": an order in which the share wrong rises to 10 % and stays there, hard for a target of 90 %."""
DRAWN = ("answer_entropy", "mean_nll", "token_entropy")
"""Measures with a random value each."""
SHIFT = 0.9
"""Added to the doubt of the pool's records under a shift."""


def project(
    world: str, pool: int, known: int, chance: np.random.Generator, shifted: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Candidates of the pool and of the calibration split, each with `correct`; 15 to 30 % wrong ("edge": 11 %)."""
    count = pool + known
    if world == "edge":
        rank = chance.random(count)
        z = special.logit(np.select([rank < 0.4, rank < 0.8], [0.04, 0.16], 0.1))
        seen = np.log(rank)
    else:
        z = chance.normal(chance.uniform(-2.3, -1.2), 1.7, count)
        seen = chance.normal(0, 1, count) if world == "flat" else z + chance.normal(0, 1, count)
    doubt = np.logaddexp(0, seen)
    if world == "tied":
        doubt = np.round(doubt, 1)
    elif world == "discrete":
        doubt = np.digitize(seen, np.quantile(seen, [0.45, 0.8])).astype(float)
    harder = np.where(np.arange(count) < pool, SHIFT * shifted, 0.0)
    columns: dict[str, object] = {
        "answer": chance.choice(list("ABC"), count, p=[0.5, 0.3, 0.2]),
        "agreed": z + chance.normal(0, 1.5, count) < 0,
        "exactness": "exact",
        "answer_nll": doubt,
        **{measure: np.logaddexp(0, z + chance.normal(0, 1.2, count)) for measure in DRAWN},
        "vote_entropy": np.digitize(z + chance.normal(0, 1, count), [0, 1]).astype(float),
        "correct": chance.random(count) >= special.expit(z + harder),
        "verifier_nll": np.nan,
        **dict.fromkeys(("flagged", "spent", "cross_fitted"), False),
    }
    words = {"answer": object, "exactness": object}
    frame = pd.DataFrame(columns, index=[f"r{i}" for i in range(count)]).astype(words)
    return frame[:pool], frame[pool:]


def learned(pool: pd.DataFrame, known: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same project with the measure of a verifier that was fitted on the known candidates, as in a round."""
    right = known["correct"].to_numpy(dtype=bool)
    if verifier.obstacle(right):
        return pool.assign(verifier_nll=np.nan), known.assign(verifier_nll=np.nan)
    names = ["answer_nll", *DRAWN, "vote_entropy", "agreed"]
    of_known, of_pool = (frame[names].to_numpy(dtype=float) for frame in (known, pool))
    folds = [np.arange(len(frame)) % weights.FOLDS for frame in (known, pool)]
    found = verifier.out_of_fold(probability_right, (of_known, of_pool), right, folds)
    judged, pooled = (-np.log(np.clip(probability, 1e-6, 1)) for probability in found)
    return pool.assign(verifier_nll=pooled), known.assign(verifier_nll=judged)


def next_round(
    pool: pd.DataFrame, known: pd.DataFrame, trained: np.ndarray, chance: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same records in the round after: four errors in five are gone and scores are drawn anew, but of the pool
    records that the model was trained on it says again, and surely, what it was taught."""

    def better(frame: pd.DataFrame) -> pd.DataFrame:
        mended = frame["correct"] | (chance.random(len(frame)) < 0.8)
        return frame.assign(correct=mended, answer_nll=frame["answer_nll"] * chance.uniform(0.5, 1.5, len(frame)))

    learned = better(pool)
    learned.loc[trained, "correct"] = pool["correct"][trained]
    learned.loc[trained, "answer_nll"] = chance.uniform(0, 0.05, trained.sum())
    return learned, better(known)


@dataclass(frozen=True)
class Nested:
    """Kept sets that grow into each other, cut between whole ties, counted apart from `selection`.

    ends: pool candidates kept at every possible cut; wrong: how many of them; drawn, found: calibration records under
    the cut and how many of them are wrong; values: the largest value kept.
    """

    ends: np.ndarray
    wrong: np.ndarray
    drawn: np.ndarray
    found: np.ndarray
    values: np.ndarray

    def up_to(self, share: float) -> int:
        """Position of the largest cut that keeps at most this share of the pool; -1 if there is none."""
        return int(np.searchsorted(self.ends, np.ceil(share * self.ends[-1] - 1e-9), side="right")) - 1


def nested(measure: str, pool: pd.DataFrame, calibration: pd.DataFrame) -> Nested:
    """Every cut of one measure without absent values."""
    order = np.argsort(pool[measure].to_numpy(), kind="stable")
    values, wrong = pool[measure].to_numpy()[order], ~pool["correct"].to_numpy()[order]
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    known = np.argsort(calibration[measure].to_numpy(), kind="stable")
    known_values = calibration[measure].to_numpy()[known]
    errors = np.append(0, np.cumsum(~calibration["correct"].to_numpy()[known]))
    # a calibration record between two cuts belongs to the smaller kept set: as many pool candidates are at most it
    drawn = np.searchsorted(known_values, np.append(values[last[1:]], np.inf) if last.size > 1 else [np.inf])
    return Nested(last + 1, np.cumsum(wrong)[last], drawn, errors[drawn], values[last])


def clopper_pearson(drawn: np.ndarray, wrong: np.ndarray, rest: np.ndarray, alpha: float) -> tuple[np.ndarray, ...]:
    """Bounds on a share (Clopper & Pearson 1934) times the records of unknown correctness: the wrong question."""
    n, x = np.asarray(drawn, dtype=float), np.asarray(wrong, dtype=float)
    with np.errstate(invalid="ignore"):
        low = np.where(x > 0, stats.beta.ppf(alpha / 2, x, n - x + 1), 0.0)
        high = np.where(x < n, stats.beta.ppf(1 - alpha / 2, x + 1, n - x), 1.0)
    return np.floor(low * rest), np.ceil(high * rest)


def wald(drawn: np.ndarray, wrong: np.ndarray, rest: np.ndarray, alpha: float) -> tuple[np.ndarray, ...]:
    """The textbook's p ± z sqrt(p (1 - p) / n), times the records of unknown correctness."""
    n = np.maximum(np.asarray(drawn, dtype=float), 1)
    share = np.asarray(wrong) / n
    half = stats.norm.isf(alpha / 2) * np.sqrt(share * (1 - share) / n)
    return np.floor(np.clip(share - half, 0, 1) * rest), np.ceil(np.clip(share + half, 0, 1) * rest)


def neyman(doubt: np.ndarray, wrong: np.ndarray, reviews: int, chance: np.random.Generator, alpha: float) -> float:
    """Upper bound of the number wrong: reviews spread by Neyman allocation over quarters by doubt, and Wald's error.

    doubt: -log of the probability that the answer is right, from which the allocation guesses each quarter's spread.
    """
    strata = np.array_split(np.argsort(doubt, kind="stable"), 4)
    guess = np.array([1 - np.exp(-doubt[members]).mean() for members in strata])
    weight = np.array([members.size for members in strata]) * np.sqrt(guess * (1 - guess)) + 1e-9
    sizes = np.maximum(2, np.floor(reviews * weight / weight.sum())).astype(int)
    sizes[np.argmax(sizes)] += reviews - sizes.sum()
    total, variance = 0.0, 0.0
    for members, size in zip(strata, sizes, strict=True):
        share = wrong[chance.choice(members, min(size, members.size), replace=False)].mean()
        total += members.size * share
        variance += members.size**2 * (1 - size / members.size) * share * (1 - share) / (size - 1)
    return float(total + stats.norm.isf(alpha) * np.sqrt(variance))
