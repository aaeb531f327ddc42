"""Do the bounds hold as often as they say: simulated projects of known truth, through the functions of the Studio.

    python -m tests.benchmarks.coverage [--projects 1000] [--quick] [--json]

Every setting: pools of 700 and 5,000, 18 to 400 calibration records, five kinds of confidence (`tests/simulated.py`),
with and without a shift. Beside every check stands what happens to it with a familiar procedure in its place, and
beside every target how often it abstains and how much it keeps. In brackets: Monte Carlo standard error, in points.
With --json the last line is one object.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from semievol.config import MEASURES, Policy, Rule
from semievol.evidence import precision, shift
from semievol.selection.policy import Cut, Evidence
from tests import simulated

ALPHA = 0.05
TARGETS = (0.8, 0.9, 0.95)
REVIEWS, LONGEST = 40, 100
"""Size of a random review fixed beforehand, and where one that may stop at any time ends at the latest."""
CHUNK = 50
Outcome = dict[str, float]
Bounds = Callable[[np.ndarray, np.ndarray, np.ndarray, float], tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Setting:
    world: str
    pool: int
    known: int
    shifted: bool = False


def settings() -> list[Setting]:
    sizes = (18, 45, 90, 400)
    found = [Setting(world, 700, known) for world in ("smooth", "discrete", "edge") for known in sizes]
    found += [Setting(world, 700, known) for world in ("tied", "flat") for known in (90, 400)]
    found += [Setting("smooth", 5000, known) for known in sizes]
    found += [Setting(world, 5000, known) for world in ("discrete", "edge") for known in (90, 400)]
    found += [Setting("smooth", 700, known, True) for known in sizes]
    return found + [Setting("smooth", 5000, known, True) for known in (90, 400)]


def judged(setting: Setting, chance: np.random.Generator) -> Outcome:
    """One project: name of a check -> whether it held (1 or 0), or a size; missing where it does not apply."""
    pool, known = simulated.learned(
        *simulated.project(setting.world, setting.pool, setting.known, chance, setting.shifted)
    )
    half = Policy(rule=Rule(value=0.5))
    mask, found = Cut(half, pool).mask, Cut(half, pool, known).evidence()
    result = band(pool, known) | chosen(pool, known) | verified(pool, known)
    if found is not None and mask.sum() >= LONGEST:
        result |= single(found, (~pool["correct"])[mask].to_numpy()) | reviews(found, mask, pool, chance)
    for target in TARGETS:
        result |= targeted(f"{target:.0%}", Policy(rule=Rule(kind="target_precision", value=target)), pool, known)
    if setting.world == "smooth" and setting.known == 400:
        for name, policy in split_policies(0.9):
            result |= targeted(name, policy, pool, known)
    return result


def single(found: Evidence, wrong: np.ndarray) -> Outcome:
    """One interval, for a kept set that was fixed before anybody looked: the most confident half."""
    truth = int(wrong.sum())
    counts = (np.array(found.drawn), np.array(found.wrong), np.array(found.kept))
    ways: dict[str, Bounds] = {
        "single": precision.bounds,
        "single CP": simulated.clopper_pearson,
        "single Wald": simulated.wald,
    }
    result: Outcome = {}
    for name, way in ways.items():
        low, high = way(*counts, ALPHA)
        result |= {name: float(low <= truth <= high), f"{name} width": float(high - low) / found.kept}
    return result


def band(pool: pd.DataFrame, known: pd.DataFrame, measure: str = "answer_nll") -> Outcome:
    """All ten coverages at once, and every cut there is: what any choice by looking comes to at the worst."""
    cuts = simulated.nested(measure, pool, known)
    at = np.array([position for c in precision.COVERAGES if (position := cuts.up_to(c)) >= 0])
    drawn, found, kept, truth = cuts.drawn[at], cuts.found[at], cuts.ends[at], cuts.wrong[at]
    made = precision.band(drawn, found, kept, ALPHA)
    each = (made.low <= truth) & (truth <= made.high)
    low, high = between(made, cuts.ends)
    cp_low, cp_high = simulated.clopper_pearson(drawn, found, kept, ALPHA / at.size)
    alone_low, alone_high = precision.bounds(drawn, found, kept, ALPHA)
    return {
        "band": float(each.all()),
        "every cut": float(((low <= cuts.wrong) & (cuts.wrong <= high)).all()),
        "band CP": float(((cp_low <= truth) & (truth <= cp_high)).all()),
        "ten singles": float(((alone_low <= truth) & (truth <= alone_high)).all()),
    }


def between(made: precision.Band, ends: np.ndarray) -> np.ndarray:
    """`Band.at` for every cut at once."""
    larger, smaller = np.searchsorted(made.kept, ends), np.searchsorted(made.kept, ends, side="right") - 1
    low = np.where(smaller >= 0, made.low[np.maximum(smaller, 0)], 0)
    both = np.array([low, np.minimum(made.high[larger], ends)])
    some = ends.size // 3
    assert tuple(both[:, some]) == made.at(int(ends[some]))
    return both


def chosen(pool: pd.DataFrame, known: pd.DataFrame) -> Outcome:
    """The measure and the threshold that look best: fewest calibration errors, from 20 % of the pool on."""
    looks: list[tuple[float, int, str, int]] = []
    for measure in (name for name in MEASURES if known[name].notna().all()):
        cuts = simulated.nested(measure, pool, known)
        shown = np.flatnonzero((cuts.ends >= 0.2 * len(pool)) & (cuts.drawn > 0))
        rate = cuts.found[shown] / cuts.drawn[shown]
        if shown.size:
            best = int(np.lexsort((-cuts.drawn[shown], rate))[0])
            looks.append((float(rate[best]), -int(cuts.drawn[shown[best]]), measure, int(shown[best])))
    if not looks:
        return {}
    _, _, best_measure, place = min(looks)
    cuts = simulated.nested(best_measure, pool, known)
    policy = Policy(measure=best_measure, rule=Rule(kind="threshold", value=float(cuts.values[place])))
    found = Cut(policy, pool, known).evidence(measures_tried=len(MEASURES))
    assert found is not None
    assert found.kept == cuts.ends[place]
    truth = cuts.wrong[place]
    low, high = precision.bounds(cuts.drawn[place], cuts.found[place], cuts.ends[place], ALPHA)
    return {"chosen": float(found.low <= truth <= found.high), "chosen, single": float(low <= truth <= high)}


def verified(pool: pd.DataFrame, known: pd.DataFrame) -> Outcome:
    """The band on a verifier's confidence, fitted out of fold on the very records that calibrate it."""
    if known["verifier_nll"].isna().any():
        return {}
    return {"learned band": band(pool, known, "verifier_nll")["band"]}


def targeted(name: str, policy: Policy, pool: pd.DataFrame, known: pd.DataFrame) -> Outcome:
    """Whether any kept set that was promised the target misses it, and what the promise cost."""
    target = policy.rule.value
    mask = Cut(policy, pool, known).mask
    kept = pool[mask]
    groups = [kept]
    if policy.disputed == "apart":
        groups = [part for _, part in kept.groupby("agreed")]
    elif policy.per_class:
        groups = [part for _, part in kept.groupby("answer")]
    missed = any(len(part) and part["correct"].mean() < target - 1e-9 for part in groups)
    result = {f"{name} missed": float(missed), f"{name} none": float(not mask.any()), f"{name} kept": mask.mean()}
    if mask.any():  # what somebody sees who was given a set; the claim is about all projects
        result[f"{name} of given"] = float(missed)
    if policy.disputed == "together" and not policy.per_class:
        cuts = simulated.nested("answer_nll", pool, known)
        result |= rivals(name, target, cuts) | pac_labeling(name, target, cuts)
    return result


def pac_labeling(name: str, target: float, cuts: simulated.Nested) -> Outcome:
    """The loosest cut whose kept errors are at most 1 - target of *all* records, if people answer the others (Candès,
    Ilyas & Zrnic, arXiv 2506.10908). Kept errors never fall from cut to cut, so one bound at each cut is enough.

    "PAC missed": its own promise; "PAC kept wrong": what the Studio promises, of the kept ones alone.
    """
    high = np.maximum.accumulate(precision.upper(cuts.drawn, cuts.found, cuts.ends, ALPHA))
    allowed = (1 - target) * cuts.ends[-1] + 1e-9
    passed = np.flatnonzero(high <= allowed)
    if not passed.size:
        return {
            f"{name} PAC missed": 0.0,
            f"{name} PAC none": 1.0,
            f"{name} PAC kept": 0.0,
            f"{name} PAC kept wrong": 0.0,
        }
    wrong, kept = int(cuts.wrong[passed[-1]]), int(cuts.ends[passed[-1]])
    return {
        f"{name} PAC missed": float(wrong > allowed),
        f"{name} PAC none": 0.0,
        f"{name} PAC kept": kept / int(cuts.ends[-1]),
        f"{name} PAC kept wrong": float(wrong > (1 - target) * kept + 1e-9),
    }


def rivals(name: str, target: float, cuts: simulated.Nested) -> Outcome:
    """The loosest cut whose estimate, or whose Clopper-Pearson or Wald bound, reaches the target."""
    drawn, found = np.maximum(cuts.drawn, 1), cuts.found
    rate = found / drawn
    reached = {
        "estimate": rate <= 1 - target,
        "CP": special.bdtr(found, drawn, 1 - target) <= ALPHA,
        "Wald": rate + stats.norm.isf(ALPHA) * np.sqrt(rate * (1 - rate) / drawn) <= 1 - target,
    }
    result: Outcome = {}
    for rival, passes in reached.items():
        passed = np.flatnonzero(passes & (cuts.drawn > 0))
        last = int(passed[-1]) if passed.size else -1
        result[f"{name} {rival}"] = float(last >= 0 and cuts.wrong[last] > (1 - target) * cuts.ends[last] + 1e-9)
    return result


def split_policies(target: float) -> Iterator[tuple[str, Policy]]:
    rule = Rule(kind="target_precision", value=target)
    yield f"{target:.0%} apart", Policy(rule=rule, disputed="apart", disputed_rule=rule)
    yield f"{target:.0%} per class", Policy(rule=rule, per_class=True)


def reviews(found: Evidence, mask: np.ndarray, pool: pd.DataFrame, chance: np.random.Generator) -> Outcome:
    """Random reviews of what a policy keeps: a fixed number, and stopped at the worst moment.

    "ended early": the bound of a fixed number if it was completed, that of any time at the worst moment before.
    """
    wrong = (~pool["correct"])[mask].to_numpy()
    truth, seen = int(wrong.sum()), chance.permutation(wrong)[:LONGEST]
    fixed = precision.guarantee(REVIEWS, int(seen[:REVIEWS].sum()), wrong.size)
    counted = np.cumsum(seen)
    sizes = np.arange(1, LONGEST + 1)
    prior = (1.0 + found.wrong, 1.0 + found.drawn - found.wrong)
    running = precision.anytime_uppers(seen, wrong.size, prior)
    peeked = precision.upper(sizes, counted, wrong.size - sizes) + counted
    doubt = pool["answer_nll"][mask].to_numpy()
    wald_high = simulated.wald(np.array(REVIEWS), counted[REVIEWS - 1], np.array(wrong.size), 2 * ALPHA)[1]
    compared = precision.fisher_exact(found.wrong, found.drawn, int(counted[REVIEWS - 1]), REVIEWS)
    return {
        "fixed 40": float(fixed.wrong_at_most >= truth),
        "fixed bound": fixed.share,
        "any time": float(running.min() >= truth),
        "any time bound at 40": float(running[REVIEWS - 1]) / wrong.size,
        "ended early": float(min(running[: REVIEWS - 1].min(), fixed.wrong_at_most) >= truth),
        "fixed, stopped": float(peeked.min() >= truth),
        "40 Wald": float(wald_high >= truth),
        "40 Neyman": float(simulated.neyman(doubt, wrong, REVIEWS, chance, ALPHA) >= truth),
        "wrong in kept": truth / wrong.size,
        "shift seen": float(bool(shift.result(None, None, compared).shifted)),
        "shift seen at 5 %": float(compared <= ALPHA),
    }


def chunk(setting: Setting, first: int, count: int) -> list[Outcome]:
    identity = [simulated.WORLDS.index(setting.world), setting.pool, setting.known, int(setting.shifted)]
    return [judged(setting, np.random.default_rng([*identity, project])) for project in range(first, first + count)]


def run(wanted: Sequence[Setting], projects: int, processes: int) -> dict[Setting, list[Outcome]]:
    """Every setting's projects, the same whatever the number of processes."""
    pieces = [(s, first, min(CHUNK, projects - first)) for s in wanted for first in range(0, projects, CHUNK)]
    results: dict[Setting, list[Outcome]] = {setting: [] for setting in wanted}
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as workers:
        for (setting, _, _), done in zip(pieces, workers.map(chunk, *zip(*pieces, strict=True)), strict=True):
            results[setting].extend(done)
    return results


def share(outcomes: Sequence[Outcome], name: str) -> tuple[float, float] | None:
    """Mean of a check over the projects to which it applies, and its standard error; None for none of them."""
    values = [outcome[name] for outcome in outcomes if name in outcome]
    if not values:
        return None
    return float(np.mean(values)), float(np.std(values) / math.sqrt(len(values)))


GUARANTEED = ("single", "band", "every cut", "chosen", "learned band")
VERIFIED = ("fixed 40", "any time", "ended early")


def failures(results: dict[Setting, list[Outcome]]) -> list[str]:
    """Checks that fail by more than three standard errors where they must hold: the first tier without a shift only."""
    found = []
    for setting, outcomes in results.items():
        for name in (*VERIFIED, *(() if setting.shifted else GUARANTEED)):
            told = share(outcomes, name)
            if told and told[0] < 1 - ALPHA - 3 * math.sqrt(ALPHA * (1 - ALPHA) / len(outcomes)):
                found.append(f"{title(setting)}: {name} {100 * told[0]:.1f} %")
        for name in () if setting.shifted else {name for o in outcomes for name in o if name.endswith(" missed")}:
            told = share(outcomes, name)
            if told and told[0] > ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / len(outcomes)):
                found.append(f"{title(setting)}: {name} {100 * told[0]:.1f} %")
    return found


def title(setting: Setting) -> str:
    return f"{setting.world:9}{setting.pool:5}{setting.known:5}{'  shift' if setting.shifted else ''}"


def table(results: dict[Setting, list[Outcome]], heading: str, columns: Sequence[str]) -> None:
    """One line a setting, in %, with the standard error of each figure in brackets."""
    widths = [max(len(column), 12) for column in columns]
    print(
        f"\n{heading}\n{'world     pool known':28}"
        + "  ".join(c.rjust(w) for c, w in zip(columns, widths, strict=True))
    )
    for setting, outcomes in results.items():
        cells = []
        for column, width in zip(columns, widths, strict=True):
            told = share(outcomes, column)
            cells.append(("-" if told is None else f"{100 * told[0]:.1f} ({100 * told[1]:.1f})").rjust(width))
        if any(cell.strip() != "-" for cell in cells):
            print(f"{title(setting):28}" + "  ".join(cells))


def report(results: dict[Setting, list[Outcome]]) -> None:
    table(
        results,
        "One interval, most confident half: covers (95 % claimed, without a shift); mean width as a share of the kept",
        ["single", "single CP", "single Wald", "single width"],
    )
    table(
        results,
        "Band: all ten coverages at once; every cut at once; measure and threshold that look best (95 % claimed)",
        ["band", "every cut", "chosen", "learned band", "band CP", "ten singles", "chosen, single"],
    )
    for target in TARGETS:
        name = f"{target:.0%}"
        parts = ["missed", "none", "kept", "of given", "estimate", "CP", "Wald"]
        table(
            results,
            f"Target precision {name}: missed (at most 5 % claimed), abstained, share kept, missed of those given; "
            "missed by the loosest cut whose estimate, Clopper-Pearson or Wald bound reaches it",
            [f"{name} {part}" for part in parts],
        )
        table(
            results,
            f"PAC labeling, at most {1 - target:.0%} of all records wrong if people answer the others: missed (at most "
            f"5 % claimed), abstained, share kept; how often fewer than {name} of the kept ones alone are right",
            [f"{name} PAC {part}" for part in ("missed", "none", "kept", "kept wrong")],
        )
    split = [f"{name} {part}" for name, _ in split_policies(0.9) for part in ("missed", "none", "kept")]
    table(results, "Target precision 90 % with agreed and disputed apart, and per predicted class", split)
    table(
        results,
        "Random reviews of the most confident half (95 % claimed, shift or not): 40, and stopped at the worst moment "
        "up to 100",
        ["wrong in kept", "fixed 40", "fixed bound", "any time", "any time bound at 40", "ended early"],
    )
    table(results, "The same with what is familiar", ["fixed, stopped", "40 Wald", "40 Neyman"])
    table(
        results,
        "Shift seen by Fisher's test of the errors of calibration under the cut against those of 40 random reviews: at "
        "a third of alpha, as the page looks, and at 5 %",
        ["shift seen", "shift seen at 5 %"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=1000, help="simulated projects per setting")
    parser.add_argument("--quick", action="store_true", help="a hundred projects per setting")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    results = run(settings(), 100 if options.quick else options.projects, options.processes)
    report(results)
    found = failures(results)
    print("\n" + ("\n".join(["Does not hold:", *found]) if found else "All that is claimed holds."))
    print(f"{time.monotonic() - began:.0f} s")
    if options.json:
        names = sorted({name for outcomes in results.values() for outcome in outcomes for name in outcome})
        figures = {
            title(setting): {name: told[0] for name in names if (told := share(outcomes, name)) is not None}
            for setting, outcomes in results.items()
        }
        print(json.dumps({"settings": figures, "does_not_hold": found}))


if __name__ == "__main__":
    main()
