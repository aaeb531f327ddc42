"""Which measure orders the candidates best: risk against coverage on calibration records, and a suggestion from it.

Works on the tables of `selection.candidates`. What a policy never accepts (no answer, no value, a bound) is never kept
here either. Estimated tier (docs/evidence.md): the curves describe calibration records and guarantee nothing. Knows
nothing of policies or figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from semievol.config import MEASURES
from semievol.selection.ranking import at_same_rank, wrong_answers

DEFAULT = "answer_nll"
"""The measure that is preferred where calibration records cannot tell several apart."""
_LEVEL = 0.95
"""Of the intervals, over all comparisons."""
_CELLS = 2_000_000


def curves(pool: pd.DataFrame, calibration: pd.DataFrame, measures: Sequence[str] = MEASURES) -> pd.DataFrame:
    """All measures' curves as `charts.risk_coverage` draws them: measure, coverage, risk, kept; one line a point.

    coverage: the share of the pool down to each calibration record, rising. risk: share wrong among the
    calibration records up to there, `kept` of them. A measure that has no value for any calibration record has no line.
    """
    wrong, parts = wrong_answers(calibration), []
    for measure in measures:
        places, where = np.unique(_placed(measure, pool, calibration), return_inverse=True)
        reached = np.isfinite(places)
        kept = np.cumsum(np.bincount(where, minlength=places.size))[reached]
        errors = np.cumsum(np.bincount(where, weights=wrong, minlength=places.size))[reached]
        columns = {"coverage": places[reached], "risk": errors / kept, "kept": kept}
        parts.append(pd.DataFrame({"measure": measure, **columns}))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Suggestion:
    """The measure to choose here, and why.

    areas: of every measure that has values, smallest first: mean of the risk over the n kept sets of 1 to n calibration
    records (AURC; Geifman, Uziel & El-Yaniv 2019), ties at their expected risk, and records that are never kept last,
    as one tie: so a measure gains nothing by being absent where it is hard. excess: in the same order, area minus that
    of the best order of the same records (E-AURC). best: the measure with the smallest area; other: the next one, or
    None. difference: area of `other` minus that of `best`; low, high: its interval, at a level that holds over all
    comparisons. close: whether the interval holds 0, so that the two cannot be told apart. records, errors: calibration
    records, and how many of them are wrong.
    """

    measure: str
    areas: dict[str, float]
    excess: dict[str, float]
    best: str
    other: str | None
    difference: float
    low: float
    high: float
    close: bool
    records: int
    errors: int

    @property
    def reason(self) -> str:
        """One sentence with the figures behind the suggestion."""
        judged = f"judged from {self.records} calibration records, {self.errors} of them wrong"
        if self.other is None:
            return f"{self.best} is the only measure with values here ({judged})."
        low, high = 100 * self.low, 100 * self.high
        gap = f"{100 * self.difference:.1f} points (between {low:.1f} and {high:.1f}; 95 % over all comparisons)"
        if not self.close:
            return (
                f"Averaged over all coverages, {self.best} keeps fewer wrong answers than the next best, {self.other}, "
                f"by {gap}, {judged}."
            )
        kept = "the default" if self.measure == DEFAULT else "the best of those that differ from the default"
        return (
            f"The difference is too small to decide: {self.best} and {self.other} differ by {gap}, {judged}. The "
            f"suggestion is therefore {self.measure}, {kept}."
        )


def suggestion(
    pool: pd.DataFrame,
    calibration: pd.DataFrame,
    measures: Sequence[str] = MEASURES,
    draws: int = 2_000,
) -> Suggestion | None:
    """Which measure orders best here; None without calibration records or without any values.

    Paired bootstrap over calibration records (Efron & Tibshirani 1993, §13.3): every draw weighs the same records for
    all measures. Since the best of several is compared, each comparison gets the level 1 - 0.05 / comparisons.
    Where best and next are too close to call, the default is suggested, unless it is clearly worse than the best.
    """
    wrong = wrong_answers(calibration)
    placed = {measure: _placed(measure, pool, calibration) for measure in measures}
    placed = {measure: coverage for measure, coverage in placed.items() if np.isfinite(coverage).any()}
    if not placed:
        return None
    once = np.ones((1, wrong.size), dtype=np.int64)
    areas = {measure: float(_areas(coverage, wrong, once)[0]) for measure, coverage in placed.items()}
    areas = dict(sorted(areas.items(), key=lambda item: (round(item[1], 12), item[0] != DEFAULT)))
    oracle = float(_areas(wrong.astype(float), wrong, once)[0])
    excess = {measure: area - oracle for measure, area in areas.items()}
    best, *others = areas
    counted = (len(wrong), int(wrong.sum()))
    if not others:
        return Suggestion(best, areas, excess, best, None, 0.0, 0.0, 0.0, False, *counted)
    # (draws, records): how often each record is drawn
    drawn = np.random.default_rng(0).multinomial(wrong.size, np.full(wrong.size, 1 / wrong.size), size=draws)
    of_best = _areas(placed[best], wrong, drawn)
    tail = (1 - _LEVEL) / len(others) / 2

    def interval(other: str) -> tuple[float, float]:
        low, high = np.quantile(_areas(placed[other], wrong, drawn) - of_best, [tail, 1 - tail])
        return float(low), float(high)

    low, high = interval(others[0])
    close = low <= 1e-12
    chosen = DEFAULT if close and DEFAULT in areas and (best == DEFAULT or interval(DEFAULT)[0] <= 1e-12) else best
    return Suggestion(
        chosen, areas, excess, best, others[0], areas[others[0]] - areas[best], low, high, close, *counted
    )


def _areas(coverage: np.ndarray, wrong: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Area under the curve of each draw, in which record i counts `times[draw, i]` times.

    With B records and E errors before a tie of s records and e errors, its i-th place has the expected risk
    (E + i e/s) / (B + i); summed over i that is e + (E - B e/s) (h(B + s) - h(B)), h the harmonic numbers.
    """
    order = np.argsort(coverage, kind="stable")
    ordered = coverage[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    total = int(times[0].sum())
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, total + 1)))
    areas = np.empty(len(times))
    rows = max(_CELLS // wrong.size, 1)
    for begin in range(0, len(times), rows):
        drawn = times[begin : begin + rows][:, order]
        size = np.add.reduceat(drawn, first, axis=1)
        errors = np.add.reduceat(drawn * wrong[order], first, axis=1)
        end, found = np.cumsum(size, axis=1), np.cumsum(errors, axis=1)
        before = end - size
        excess = (found - errors) - before * errors / np.maximum(size, 1)
        areas[begin : begin + rows] = (errors + excess * (harmonic[end] - harmonic[before])).sum(axis=1) / total
    return areas


def _placed(measure: str, pool: pd.DataFrame, calibration: pd.DataFrame) -> np.ndarray:
    """Coverage of every calibration record: share of all pool candidates with no larger value; infinite for no value.

    Cross-fitted records get the coverage of their rank among themselves.
    """
    ranked, values = np.sort(_usable(measure, pool)), _usable(measure, calibration)
    if calibration["cross_fitted"].any():
        values = at_same_rank(values, ranked)
    if not ranked.size:
        return np.full(values.shape, np.inf)
    share = np.searchsorted(ranked[~np.isnan(ranked)], values, side="right") / ranked.size
    return np.where(np.isnan(values), np.inf, share)


def _usable(measure: str, frame: pd.DataFrame) -> np.ndarray:
    """Values of the measure, NaN for what is never kept; votes are exact whatever the probabilities are."""
    usable = frame["answer"].notna() & ((frame["exactness"] == "exact") | (measure == "vote_entropy"))
    return frame[measure].where(usable).to_numpy(dtype=float)
