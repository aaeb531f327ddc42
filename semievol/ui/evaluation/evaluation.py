"""The parts of the Evaluation page: models and baselines side by side, records that changed, the playground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.jobs import inference_client
from semievol.method import comparison
from semievol.records import Demonstration, Record, Task
from semievol.selection import claims
from semievol.selection.summary import pseudo_accuracy
from semievol.store.data import records
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import outcomes, results
from semievol.store.runs.runs import Run
from semievol.task.answers import LETTERS, class_name
from semievol.ui.evaluation import headline
from semievol.ui.shell import (
    actions,
    asking,
    awaiting_results,
    formats,
    paint,
    parts,
    record,
    router,
    session,
    state,
    tables,
)
from semievol.ui.shell.state import Place

FORMULAS = (
    "Accuracy: right answers / test records. Interval: Wilson score at 95 %, "
    "(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n). Macro-F1: the mean over classes of 2PR / (P + R)."
)


NO_ANSWER = "no answer"
MOST_NAMES = 30
"""Texts of options that are classes by themselves; where there are more, the options differ from record to record."""


@dataclass
class Playground:
    """What the session keeps of the playground: the question asked last, of the models of which round, the answers, and
    the demonstrations shown."""

    question: Record | None = None
    round_id: int | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)
    shown: list[Demonstration] = field(default_factory=list)


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


def summary(evaluation: dict[str, Any], caveats: Sequence[str] = (), later_round: bool = False) -> None:
    """The result in a sentence; the accuracy of every model and baseline with its 95 % Wilson interval, the paired
    test, and the caveats."""
    headline.lead(evaluation, later_round)
    parts.heading(
        "Accuracy on the test set",
        f"{formats.count(evaluation.get('n'))} records; intervals with 95 % confidence (Wilson). Beside the models "
        "stand simple baselines made from the same labeled records.",
    )
    names = formats.row_words(later_round)
    rows = {row: evaluation[row] for row in names if row in evaluation}
    cells = {row: (names[row], *_figures(rows, row)) for row in (*comparison.ARMS, *comparison.SIMPLER) if row in rows}
    parts.tiles(list(cells.values()), strong=list(cells).index("evolved") if "evolved" in cells else None)
    for caveat in (comparison.paired(evaluation, later_round) or "There are no two models to compare.", *caveats):
        parts.note(caveat)
    bars = pd.DataFrame([{**_place(row, later_round), **found} for row, found in rows.items()])
    alt = "Accuracy of every model on the test set, with intervals; the numbers are under Every figure"
    tables.figure(charts.accuracy_bars(bars, dark=state.dark()), key="accuracy", alt=alt, height=300)
    with st.expander("Every figure"):
        listed = pd.DataFrame([{"row": names[row], **found} for row, found in rows.items()])
        heads = {"row": "Answered by", "accuracy": "Accuracy", "low": "Interval from", "high": "to"}
        tables.table(listed, "figures", heads | ({"macro_f1": "Macro-F1"} if "macro_f1" in listed else {}))


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


def _figures(rows: dict[str, Any], row: str) -> tuple[str, str, str]:
    """A tile's number, its small print (for a model also its accuracy when asked in other ways) and its formulas."""
    found = rows[row]
    small = [f"{100 * found['low']:.1f} to {formats.percent(found['high'])}"]
    small += [f"macro-F1 {formats.score(found['macro_f1'])}"] if "macro_f1" in found else []
    others = {words: rows.get(f"{row}{way}") for way, words in formats.WAY_WORDS.items() if way}
    small += [f"{w.removeprefix('with ')} {formats.percent(one['accuracy'])}" for w, one in others.items() if one]
    return formats.percent(found["accuracy"]), "\n".join(small), FORMULAS


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


def confusion(here: Place, task: Task, found: pd.DataFrame) -> None:
    """The confusion matrix of one model: gold answers by given answers, both by name."""
    parts.heading("Confusion matrix", "Rows: the known answer (gold). Columns: the answer given.")
    if not task.closed:
        parts.note("This task has no fixed set of answers, so there is no confusion matrix.")
        return
    models = {row: words for row, words in formats.row_words(here.later_round).items() if row in set(found["model"])}
    model = _chosen_model("Model", models, "evolved", "confusion_model")
    part = found[found["model"] == model].set_index("record_id")
    options: dict[str, tuple[str, ...]] = {}
    if task.kind == "multiple_choice":
        options = {one.id: one.options for one in records.load_records(here.store, here.round.version_id, "test")}
    gold, answered = named(task, part["gold"], options), named(task, part["answer"], options).fillna(NO_ANSWER)
    if task.kind == "multiple_choice" and gold.str.startswith("option ").all():
        parts.note("The options differ from record to record, so this counts their places.")
    labels = sorted(set(gold.dropna()) | set(answered))
    if task.labels:
        labels = [label for label in task.labels if label in labels] + [x for x in labels if x not in task.labels]
    counts = pd.crosstab(gold, answered).reindex(index=[x for x in labels if x != NO_ANSWER], columns=labels)
    height = 90 + 34 * max(len(labels), 4)
    chart = charts.confusion(counts.fillna(0), dark=state.dark())
    tables.figure(chart, key="confusion", alt="Confusion matrix on the test set", height=min(height, 620))


def named(task: Task, answers: pd.Series[str], options: Mapping[str, Sequence[str]]) -> pd.Series[str]:
    """The answers as classes are named in charts: in multiple choice by the options' texts, if these recur in the test
    set, else by their places.

    answers: by record id. options: record id -> its options.
    """
    recurring = {text for some in options.values() for text in some}
    if not options or len(recurring) > MOST_NAMES:
        return answers.map(lambda answer: class_name(task, answer), na_action="ignore")
    texts = [
        options[str(i)][LETTERS.index(answer)] if isinstance(answer, str) and str(i) in options else answer
        for i, answer in answers.items()
    ]
    return pd.Series(texts, index=answers.index, dtype=object)


def _chosen_model(label: str, models: Mapping[str, str], default: str, key: str) -> str:
    """A choice among rows of the evaluation, row -> its name; `default` first, where it is one of them."""
    index = list(models).index(default) if default in models else 0
    return st.selectbox(label, list(models), index, models.__getitem__, key=key, label_visibility="collapsed")


def flips(found: pd.DataFrame, later_round: bool = False) -> None:
    """Records that the evolved model answers right and another model wrong, or the other way round."""
    parts.heading("Changed records", "Records where one of the two models is right and the other is wrong.")
    there = set(found["model"]) - {"evolved"}
    others = {row: words for row, words in formats.row_words(later_round).items() if row in there}
    if not others or "evolved" not in set(found["model"]):
        parts.note("There are no two models to compare.")
        return
    left, right = st.columns([1, 1])
    with left:
        other = _chosen_model("Compared with", others, "warm_up", "flips_against")
    wide = found.pivot(index="record_id", columns="model", values=["answer", "correct"])
    before, after = wide["correct"][other].astype(bool), wide["correct"]["evolved"].astype(bool)
    once = found.drop_duplicates("record_id").set_index("record_id")
    table = pd.DataFrame(
        {
            "flip": after.map({True: "now right", False: "now wrong"}),
            "question": once["question"].reindex(wide.index),
            "gold": once["gold"].reindex(wide.index),
            "other": wide["answer"][other],
            "evolved": wide["answer"]["evolved"],
        }
    )[before != after].sort_values("flip")
    which = right.segmented_control(
        "Which",
        ["All", "now right", "now wrong"],
        default="All",
        required=True,
        key="flips",
        label_visibility="collapsed",
    )
    table = table if which == "All" else table[table["flip"] == which]
    if table.empty:
        parts.note("There is no such record.")
        return
    names = {"flip": "Change", "gold": "Gold", "other": others[other], "evolved": "Evolved"}
    names["question"] = "Question"  # last, as it is long
    tables.table(table, f"flips_{which}_{other}", names, height=300)


def playground(here: Place) -> None:
    """A form for a question, and the answers of every model of the round side by side."""
    parts.heading("Playground", "Type a question. Every model answers it, side by side.")
    with st.form("playground", border=False):
        text = st.text_area("Question", key="play_question", height=100)
        options: list[str] = []
        if here.task.kind == "multiple_choice":
            options = [
                x for x in (st.text_area("Options, one per line", key="play_options") or "").splitlines() if x.strip()
            ]
        shown = st.toggle("With demonstrations", value=False, key="play_demonstrations")
        pressed = st.form_submit_button("Ask every model", type="primary", icon=":material/send:")
    if pressed and text:
        question, k = Record("own-question", text, tuple(options)), here.round.config.propagation.k
        with parts.errors_shown(), asking.doing() as watch:
            near = inference_client.nearest(here.store, here.round.id, question, k, watch) if shown else []
            answers = inference_client.ask(here.store, here.round.id, question, near, here.models, watch)
            session.put(Playground(question, here.round.id, answers, near))
    played = session.of(Playground)
    if played.question is not None and played.round_id == here.round.id:
        for column, one in zip(st.columns(len(played.answers)), played.answers, strict=True):
            with column:
                said = record.reply(here.task, played.question, one, here.model_words[one["model"]])
                paint.draw(said, key=f"played_{one['model']}")
        if played.shown:
            paint.draw(
                *[record.demonstration(here.task, played.question, d, i) for i, d in enumerate(played.shown, 1)],
                key="played_near",
            )
