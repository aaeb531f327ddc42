"""What a policy does: how many are kept, how many of them are wrong, which classes, and what was frozen before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol import charts
from semievol.config import Policy
from semievol.method import selection
from semievol.store import projects
from semievol.ui import formats, parts, state, tables
from semievol.ui.state import Place

MOST_CLASSES = 30
FEWEST = 14  # error-free calibration records that prove 80 % (one-sided 95 %); below that nothing useful is known
STARVED = 0.5  # a class whose share shrinks below this part of its share in the labeled data is pointed out


def numbers(pool: pd.DataFrame, mask: np.ndarray, answers: Mapping[str, str], origins: Mapping[str, str]) -> None:
    """Kept, left out, decided, agreed."""
    total = max(len(pool), 1)
    by_expert = sum(origin == "expert" for origin in origins.values())
    agreed = int(pool["agreed"].sum()) if len(pool) else 0
    parts.tiles(
        [
            (
                "Kept",
                formats.count(len(answers)),
                f"{formats.percent(len(answers) / total)} of {len(pool):,} candidates",
                "What the policy accepts, with the expert's decisions over it.",
            ),
            ("By the policy", formats.count(int(mask.sum())), formats.percent(mask.sum() / total)),
            ("By the expert", formats.count(by_expert), "accepted or corrected"),
            ("Agreed", formats.percent(agreed / total), f"{formats.count(len(pool) - agreed)} disputed"),
        ],
        strong=0,
    )


def legend() -> None:
    parts.html(
        "<div class='sv-legend'><span>agreed</span><span class='sv-amber'>disputed</span>"
        "<span class='sv-faint'>pale: left out</span><span style='margin-left:auto' class='sv-none'>"
        "drag the line, or focus it and use the arrow keys</span></div>"
    )


def evidence(policy: Policy, pool: pd.DataFrame, calibration: pd.DataFrame, measures: int) -> None:
    """The precision of what is kept, as a sentence, or that there is not enough evidence for one.

    measures: how many there are to choose from; the interval holds whichever is chosen.
    """
    why = selection.reason(policy, pool, calibration)
    if why:
        st.text(why)
        return
    found = selection.evidence(policy, pool, calibration, measures_tried=measures)
    if found is None or not found.drawn:
        parts.html(
            "<p class='sv-note'><b>Precision: not enough evidence.</b> No calibration records went through this round, "
            "so nothing is claimed about how many of the kept answers are right.</p>"
        )
        return
    low, high = 1 - found.high / max(found.kept, 1), 1 - found.low / max(found.kept, 1)
    enough = found.drawn >= FEWEST
    head = f"{formats.percent(low)} to {formats.percent(high)} (95 %)" if enough else "not enough evidence"
    parts.html(
        f"<p class='sv-note'><b>Estimated precision: {head}.</b> "
        f"Of the {found.kept:,} you keep, between {found.low:,} and {found.high:,} are wrong, judged from "
        f"{formats.plural(found.drawn, 'calibration record')} of which {found.wrong:,} are wrong. It holds "
        f"whichever of the {formats.plural(measures, 'measure')} on offer you choose. It assumes that labeled and "
        "unlabeled records are alike: <b>not checked</b>.</p>"
    )


def class_mix(here: Place, pool: pd.DataFrame, answers: Mapping[str, str]) -> None:
    """Shares of the classes among kept, pool and labeled records, with a warning where one starves."""
    parts.heading("Class mix", "What is kept against what all candidates say and what the labeled records hold.")
    if not here.task.closed:
        parts.note("The task has no classes.")
        return
    labeled = [r.answer for r in projects.load_records(here.store, here.this_round.version_id, "labeled")]
    sets = {"kept": list(answers.values()), "pool": pool["answer"].dropna().tolist(), "labeled": labeled}
    shares = pd.DataFrame({name: pd.Series(values).value_counts(normalize=True) for name, values in sets.items()})
    shares = shares.fillna(0.0).sort_values("labeled", ascending=False).head(MOST_CLASSES)
    tables.figure(charts.class_mix(shares, dark=state.dark()), key="class_mix", height=260)
    starved = [str(name) for name, line in shares.iterrows() if line["kept"] < STARVED * line["labeled"]]
    if starved and answers:
        st.text(f"Starving among what is kept: {formats.series(starved[:8])}.")


def selections(frozen: Sequence[Mapping[str, Any]]) -> None:
    """The frozen selections of the round, newest first."""
    if not frozen:
        parts.note("None is frozen yet. Fine-tuning would freeze the policy shown.")
        return
    lines = [
        {
            "number": one["number"],
            "size": one["size"],
            "expert": int((one.get("origins") or {}).get("expert", 0)),
            "created": formats.moment(one["created"]),
        }
        for one in sorted(frozen, key=lambda one: -one["number"])
    ]
    names = {"number": "Selection", "size": "Records", "expert": "By expert", "created": "Frozen"}
    tables.table(pd.DataFrame(lines), "selections", names)


def history(decisions: pd.DataFrame) -> None:
    """Who decided what, when."""
    if decisions.empty:
        parts.note("Nothing was decided by hand yet.")
        return
    shown = decisions.copy()
    shown["at"] = shown["at"].map(formats.moment)
    wanted = {
        "at": "When",
        "reviewer": "Reviewer",
        "action": "Decision",
        "question": "Question",
        "answer_shown": "Candidate",
        "answer": "Answer",
        "note": "Note",
    }
    tables.table(shown, "history", {c: h for c, h in wanted.items() if c in shown})
