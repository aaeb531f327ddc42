"""The result of an evaluation: in a sentence, as tiles, as a figure, and the evolved model against every other row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from semievol import charts, glossary
from semievol.method import comparison, conclusions, paired_tests
from semievol.records import Task
from semievol.selection import claims
from semievol.selection.summary import pseudo_accuracy
from semievol.store.data import records
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import outcomes, results
from semievol.store.runs.runs import Run
from semievol.ui.evaluation import headline
from semievol.ui.shell import actions, awaiting_results, formats, parts, router, state, tables
from semievol.ui.shell.state import Place

FORMULAS = (
    "Accuracy: right answers / test records. Interval: Wilson score at 95 %, "
    "(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n). Macro-F1: the mean over classes of 2PR / (P + R)."
)
OPEN_FORMULAS = {
    "text": "Token F1 as in SQuAD: 2PR / (P + R) over the words that answer and gold share, without articles and "
    "punctuation; interval by the bootstrap over records.",
    "numeric": "Median error: the median of |answer − gold| / |gold|; its interval lies between two of the values.",
}
PERCENT = "%.1f %%"
COMPARED = ["Evolved compared with", "Verdict", "Points", "95 % interval", "Newly right", "Newly wrong", "p, corrected"]


def nothing_judged(here: Place) -> None:
    """The empty state: why there is no evaluation, and a link to the page that helps."""
    version = here.round.version_id if here.round_or_none else here.project.version_id
    if version is None or records.records_page(here.store, version, "test", limit=1)[1]:
        what = "After fine-tuning, every model answers the test set. This page then compares their accuracies."
        if awaiting_results.missing(here, "evaluation", what):
            return
        with parts.empty("Nothing evaluated yet", what):
            router.link("training", "Go to Training")
            awaiting_results.open_other(here, "evaluation")
    else:
        what = (
            "Models are evaluated on records with known answers that none of them was trained on. On the Data page, "
            "import a test file (the other records stay), or import the labeled file again and split off a fifth of "
            "it for testing. Then run everything again."
        )
        with parts.empty("There is no test set", what):
            router.link("data", "Add a test set", ":material/upload_file:")


def summary(task: Task, evaluation: dict[str, Any], caveats: Sequence[str] = (), later_round: bool = False) -> None:
    """The result in a sentence; the accuracy of every model and baseline with its 95 % Wilson interval, the paired
    test, and the caveats."""
    headline.lead(evaluation, later_round)
    parts.heading(
        "Accuracy on the test set",
        f"{formats.count(evaluation.get('n'))} records, whose answers no model was shown. All intervals, also the one "
        f"above, are at 95 % confidence. {_right(task)}Beside the models stand simple baselines made from the same "
        "labeled records.",
    )
    names = formats.row_words(later_round)
    rows = {row: evaluation[row] for row in names if row in evaluation}
    told = f"{FORMULAS} {OPEN_FORMULAS.get(task.kind, '')}"
    cells = {
        row: (names[row], *_figures(rows, row), told) for row in (*comparison.ARMS, *comparison.SIMPLER) if row in rows
    }
    parts.tiles(list(cells.values()), strong=list(cells).index("evolved") if "evolved" in cells else None)
    for caveat in (conclusions.paired(evaluation, later_round) or "There are no two models to compare.", *caveats):
        parts.note(caveat)
    bars = pd.DataFrame([{**_place(row, later_round), **found} for row, found in rows.items()])
    alt = "Accuracy of every model on the test set, with intervals; the numbers are under Every figure"
    tables.figure(charts.accuracy_bars(bars, dark=state.dark()), key="accuracy", alt=alt, height=300)
    _terms([*(names[row] for row in rows), *(key.replace("_", " ") for one in rows.values() for key in one), *caveats])
    with st.expander("Every figure"):
        listed = pd.DataFrame([{"row": names[row], **found} for row, found in rows.items()])
        heads = {"row": "Answered by", "accuracy": "Accuracy", "low": "Interval from", "high": "to"}
        for score, head in (("macro_f1", "Macro-F1"), ("token_f1", "Token F1"), ("median_error", "Median error")):
            ends = {f"{score}_low": "from", f"{score}_high": "to "}  # two headings that look alike need two names
            heads |= {key: head for key, head in ({score: head} | ends).items() if key in listed}
        shares = [key for key in heads if key not in ("row", "macro_f1")]
        listed[shares] = 100 * listed[shares].astype(float)
        tables.table(listed, "figures", heads, forms=dict.fromkeys(shares, PERCENT))


def _terms(used: Sequence[str]) -> None:
    """What the terms of the page mean. used: what this evaluation adds to those that are always there."""
    always = (
        "test set, labeled records, unlabeled, 95 % interval, points, p = , Holm, candidates, collaborators, policy, "
        "calibration records, adapter, hidden gold"
    )
    with st.expander("What the words mean"):
        for term, meaning in glossary.explained(", ".join([always, *used]).replace("macro f1", "macro-f1")):
            parts.html(f"<p class='sv-note'><b>{escape(term)}:</b> {escape(meaning)}</p>")


def compared(evaluation: Mapping[str, Any], later_round: bool = False) -> None:
    """The evolved model against every other row, with the correction for asking so often."""
    found = paired_tests.against_every_row(evaluation)
    if not found:
        return
    names = formats.row_words(later_round)
    parts.heading(
        "Is it better, or luck?",
        "On the same test records. Points: the accuracy of the evolved model minus that of the other. p: how often "
        f"chance alone would part two equal models this far, corrected for {formats.plural(len(found), 'comparison')} "
        "(mid-p McNemar test, Holm). From 0.05 on it is too close to call. The intervals are not corrected, so one may "
        "leave out 0 all the same.",
    )
    lines = [
        (names[one.row], one.verdict, 100 * one.difference, one.interval, one.gained, one.lost, one.chance)
        for one in found
    ]
    shown = pd.DataFrame(lines, columns=COMPARED)
    tables.table(shown, "compared", forms={"Points": "%+.1f"})


def measured(here: Place, run: Run) -> None:
    """How many of the candidates, and of the run's selection, are right by the hidden gold, if there is any."""
    if run.selection_used is not None:
        written = results.written(here.store, run.round_id)
        if sentence := _measured(here.store, here.task, run.round_id, run.selection_used, written):
            parts.note(sentence)


@st.cache_data(max_entries=10, show_spinner=False, hash_funcs=state.HASH)
def _measured(store: Store, task: Task, round_id: int, number: int, written: int) -> str:
    """written: changes where the candidates do."""
    pool, kept = results.candidate_frame(store, round_id), selections.get_selection(store, round_id, number)
    return claims.measured(pseudo_accuracy(task, pool, kept.answers))


def _right(task: Task) -> str:
    """When an answer of an open task is right, as a sentence."""
    if task.kind == "numeric":
        return f"A number is right within {formats.percent(task.tolerance)} of the known one. "
    if task.kind == "text":
        return "A text is right if it is the known one, apart from case and punctuation. "
    return ""


def _figures(rows: dict[str, Any], row: str) -> tuple[str, str]:
    """A tile's number and its small print (for a model also its accuracy when asked in other ways)."""
    found = rows[row]
    small = [f"{100 * found['low']:.1f} to {formats.percent(found['high'])}"]
    small += [f"macro-F1 {formats.score(found['macro_f1'])}"] if "macro_f1" in found else []
    small += [f"token F1 {formats.percent(found['token_f1'])}"] if "token_f1" in found else []
    small += [f"median error {formats.percent(found['median_error'])}"] if "median_error" in found else []
    others = {words: rows.get(f"{row}{way}") for way, words in formats.WAY_WORDS.items() if way}
    small += [f"{w.removeprefix('with ')} {formats.percent(one['accuracy'])}" for w, one in others.items() if one]
    return formats.percent(found["accuracy"]), "\n".join(small)


def _place(row: str, later_round: bool) -> dict[str, str]:
    """The group and the kind of a row's bar, which decide its place and colour."""
    if row in formats.SIMPLER_WORDS:
        return {"group": formats.SIMPLER_WORDS[row], "kind": "without a language model"}
    model = next(model for model in comparison.ARMS if row.startswith(model))
    return {"group": formats.model_words(later_round)[model], "kind": formats.WAY_WORDS[row.removeprefix(model)]}


def offer_demonstrations(here: Place, run: Run, evaluation: dict[str, Any]) -> None:
    """Offers to evaluate with demonstrations if that was left out and the run's adapter is still the round's newest."""
    shown = any(row in evaluation for row in comparison.ROWS if row.endswith("_demonstrations"))
    newest = outcomes.run_adapter(here.store, run.id) == outcomes.evolved_adapter(here.store, run.round_id)
    if shown or not newest or not run.config.propagation.k:
        return
    busy = here.active is not None and here.active.round_id == run.round_id
    with st.container(horizontal=True, vertical_alignment="center"):
        parts.act(
            "Evaluate with demonstrations, too",
            lambda: actions.evaluate_demonstrations(here.store, here.project, run),
            icon=":material/library_add:",
            disabled=busy,
        )
        parts.note("Every model answers the test set once more, this time with the nearest labeled records shown.")
