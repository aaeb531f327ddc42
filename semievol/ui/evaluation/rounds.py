"""The rounds of a project on the Evaluation page: what each brought, whether another is worth it, which one counts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd
import streamlit as st

from semievol.method.ledger import Line
from semievol.store.database import Store
from semievol.store.runs.rounds import choose, counting
from semievol.ui.shell import formats, next_round, notices, parts, round_ledger, router, tables
from semievol.ui.shell.state import Place

NAMES = {
    "round": "Round",
    "after": "Started from",
    "pool": "Pool",
    "new": "New records",
    "changed": "Changed",
    "accepted": "Accepted",
    "joined": "Newly",
    "left": "No longer",
    "decided": "By experts",
    "right": "Right on test",
    "flipped": "Test: gained / lost",
    "p_value": "p",
    "precision": "Of the accepted",
}
HELP = (
    "Changed: pseudo-labels that differ from the round before, of the records that both answered. Newly, no longer: "
    "accepted here and not in the round before, and the other way round. By experts: records decided in this round. "
    "Right on test: the evolved model, with its 95 % Wilson interval. Gained, lost: test records that it turned right "
    "and wrong against the model that it started from (first round: plain fine-tuning); p: mid-p McNemar. Of the "
    "accepted: what was known when they were frozen."
)


def rounds(here: Place) -> None:
    """The card: a sentence for each round, the advice, the buttons, and every figure in a fold."""
    if not (lines := round_ledger.lines(here)):
        return
    with parts.card("rounds"):
        parts.heading(
            "Rounds",
            "What each round added, changed and broke. Pseudo-labels are the answers to unlabeled records; the evolved "
            "model learns from the accepted ones.",
        )
        counts = counting(here.rounds)
        for line in reversed(lines):
            name = f"Round {line.place}"
            mark = " (counts)" if counts is not None and counts.id == line.round and len(lines) > 1 else ""
            said = escape(line.sentence).replace(name, f"<b>{name}{mark}</b>", 1)
            parts.html(f"<p class='sv-note'>{said}</p>")
        _advice(here)
        _buttons(here)
        with st.expander("Every figure of the rounds"):
            tables.table(table(lines), "ledger", NAMES, {"precision": 210})
            parts.note(HELP)


def table(lines: Sequence[Line]) -> pd.DataFrame:
    """The ledger as it is shown, newest first; columns: `NAMES`."""
    rows = []
    for line in reversed(lines):
        change = line.change
        rows.append(
            {
                "round": f"Round {line.place}",
                "after": line.model if line.after is None else f"round {line.after}",
                "pool": line.pool,
                "new": formats.count(None if change is None else change.new),
                "changed": formats.DASH if change is None else _share(change.changed, change.common),
                "accepted": formats.count(line.accepted),
                "joined": formats.count(None if change is None else change.joined),
                "left": formats.count(None if change is None else change.left),
                "decided": line.decided,
                "right": _interval(line),
                "flipped": formats.DASH if line.gained is None else f"{line.gained:,} / {line.lost or 0:,}",
                "p_value": formats.score(line.p_value),
                "precision": line.precision or formats.DASH,
            }
        )
    return pd.DataFrame(rows, columns=list(NAMES))


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" + (f" ({formats.percent(part / whole)})" if whole else "")


def _interval(line: Line) -> str:
    if line.accuracy is None or line.low is None or line.high is None:
        return formats.DASH
    return f"{formats.percent(line.accuracy)} ({100 * line.low:.1f} to {100 * line.high:.1f})"


def _advice(here: Place) -> None:
    """Whether another round is worth it, by calibration records."""
    verdict = round_ledger.verdict(here)
    if verdict is None:
        return
    parts.html(f"<p class='sv-note'><b>Another round?</b> {escape(verdict.sentence)}</p>")


def _buttons(here: Place) -> None:
    """The next round, a random review where nothing else can judge it, and which round counts."""
    counts = counting(here.rounds)
    with st.container(horizontal=True, vertical_alignment="center"):
        reason = next_round.button(here, "next_round")
        verdict = round_ledger.verdict(here)
        if verdict is not None and verdict.advice == "nothing to judge by":
            router.link("selection", "Review some at random", ":material/casino:")
        if len(here.rounds) > 1 and counts is not None and counts.id != here.round.id:
            parts.act(
                f"Let {here.round.title.lower()} count",
                lambda: _count(here.store, here, here.round.id),
                icon=":material/bookmark:",
                key="let_count",
                help="The round that counts is the one that opens with the project, and the one whose answers, adapter "
                "and report are exported where none is named. Choose it by calibration records or a random review: a "
                "round that is chosen for its test accuracy looks better on this test set than it is.",
            )
        if counts is not None and counts.chosen:
            parts.act(
                "Let the newest count",
                lambda: _count(here.store, here, None),
                icon=":material/bookmark_remove:",
                key="newest_counts",
            )
    if reason:
        parts.note(f"{next_round.LABEL}: {reason}")
    if counts is not None and counts.chosen:
        parts.note(f"{counts.title} was chosen: it counts, also where a newer round comes.")


def _count(store: Store, here: Place, round_id: int | None) -> None:
    choose(store, here.project.id, round_id)
    notices.say("The newest round counts." if round_id is None else f"{here.round.title} counts from now on.")
