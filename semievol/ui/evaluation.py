"""The parts of the Evaluation page: the three models side by side, what changed between them, playground, exports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.jobs import asking
from semievol.method.tasks import parse
from semievol.records import Record, Task
from semievol.store import decisions, outcomes, projects
from semievol.store.runs import Run
from semievol.ui import formats, paint, parts, record, router, state, tables
from semievol.ui.paint import node
from semievol.ui.state import Place

FORMULAS = (
    "Accuracy: right answers / test records. Interval: Wilson score at 95 %, "
    "(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n). Macro-F1: the mean over classes of 2PR / (P + R)."
)


def judged(here: Place) -> list[tuple[Run, dict[str, Any]]]:
    """The round's runs with an evaluation, newest first."""
    return [(run, found) for run in here.round_runs if (found := outcomes.evaluation(here.store, run.id))]


def nothing_judged(here: Place) -> None:
    """Why there is no evaluation, and the way to one."""
    version = here.round.version_id if here.round else here.this_project.version_id
    if version is None or projects.records_page(here.store, version, "test", limit=1)[1]:
        parts.empty(
            "Nothing evaluated yet",
            "After fine-tuning, every model answers the test set and is compared here, with intervals.",
        )
        with parts.centred():
            router.link("training", "Go to Training")
    else:
        parts.empty(
            "There is no test set",
            "Models are judged by records with known answers that none of them was trained on. On the Data page, "
            "import a test file (the other records stay), or the labeled file again, a fifth of it split off for "
            "testing; then run everything again.",
        )
        with parts.centred():
            router.link("data", "Add a test set", ":material/upload_file:")


def caveats(here: Place, run: Run) -> list[str]:
    """What else than pseudo-labels tells the evolved model of this run from warm-up, in sentences."""
    said = []
    if here.this_round.parent_id is not None:
        said.append("Warm-up is here the evolved model of the round before.")
    frozen = decisions.selections(here.store, run.round_id)
    used = next((one for one in frozen if one["number"] == run.selection_used), None)
    by_expert = int((used["origins"] or {}).get("expert", 0)) if used else 0
    if by_expert:
        said.append(
            f"The evolved model also learned from {formats.plural(by_expert, 'answer')} that experts gave or "
            "confirmed and warm-up never saw; the difference is theirs as well as the method's."
        )
    return said


def summary(evaluation: dict[str, Any], caveats: Sequence[str] = ()) -> None:
    """Accuracy with 95 % Wilson intervals, macro-F1, and the paired test as a sentence, with what limits it."""
    rows = []
    cells = []
    for model, words in formats.MODEL_WORDS.items():
        found = evaluation.get(model)
        if found:
            span = f"{formats.percent(found['low'])} to {formats.percent(found['high'])}"
            f1 = f"\nmacro-F1 {formats.score(found['macro_f1'])}" if "macro_f1" in found else ""
            cells.append((words, formats.percent(found["accuracy"]), f"{span}{f1}", FORMULAS))
            rows.append({"model": words, **{key: found[key] for key in ("accuracy", "low", "high")}})
    left, right = st.columns([6, 6], gap="medium", vertical_alignment="center")
    with left:
        parts.heading(
            "Accuracy on the test set", f"{formats.count(evaluation.get('n'))} records, 95 % Wilson intervals."
        )
        parts.tiles(cells, strong=len(cells) - 1)
        parts.html(f"<p class='sv-note' style='margin-top:.9rem'>{_paired(evaluation)}</p>")
        for caveat in caveats:
            parts.note(caveat)
    with right:
        tables.figure(charts.accuracy_bars(pd.DataFrame(rows), dark=state.dark()), key="accuracy", height=250)


def _paired(evaluation: dict[str, Any]) -> str:
    if "p_value" not in evaluation:
        return "There is no pair of models to compare."
    gained, lost, p = evaluation.get("gained", 0), evaluation.get("lost", 0), evaluation["p_value"]
    verdict = "This difference is not one that chance makes easily." if p < 0.05 else "Chance alone could make this."
    return (
        f"Against warm-up the evolved model puts <b>{gained:,}</b> records right and <b>{lost:,}</b> wrong "
        f"(<span style='white-space:nowrap'>mid-p McNemar</span>, p = {p:.3g}). {verdict}"
    )


def confusion(task: Task, found: pd.DataFrame) -> None:
    """Gold against answered for one model."""
    parts.heading("Confusion", "Lines are gold, columns what was answered.")
    if not task.closed:
        parts.note("The task has no fixed set of answers.")
        return
    models = [model for model in formats.MODEL_WORDS if model in set(found["model"])]
    model = st.segmented_control(
        "Model",
        models,
        default=models[-1],
        required=True,
        format_func=lambda m: formats.MODEL_WORDS[m],
        key="confusion_model",
        label_visibility="collapsed",
    )
    part = found[found["model"] == model]
    answered = part["answer"].fillna("no answer")
    labels = sorted(set(part["gold"].dropna()) | set(answered))
    if task.labels:
        labels = [label for label in task.labels if label in labels] + [x for x in labels if x not in task.labels]
    counts = pd.crosstab(part["gold"], answered).reindex(index=[x for x in labels if x != "no answer"], columns=labels)
    height = 90 + 34 * max(len(labels), 4)
    tables.figure(charts.confusion(counts.fillna(0), dark=state.dark()), key="confusion", height=min(height, 620))


def flips(found: pd.DataFrame) -> None:
    """Records that the evolved model answers differently from warm-up, as far as right and wrong go."""
    parts.heading("Flipped records", "Where the evolved model and warm-up differ in being right.")
    wide = found.pivot(index="record_id", columns="model", values=["answer", "correct"])
    if not {"warm_up", "evolved"} <= set(found["model"]):
        parts.note("There are no two models to compare.")
        return
    before, after = wide["correct"]["warm_up"].astype(bool), wide["correct"]["evolved"].astype(bool)
    once = found.drop_duplicates("record_id").set_index("record_id")
    table = pd.DataFrame(
        {
            "flip": after.map({True: "now right", False: "now wrong"}),
            "question": once["question"].reindex(wide.index),
            "gold": once["gold"].reindex(wide.index),
            "warm_up": wide["answer"]["warm_up"],
            "evolved": wide["answer"]["evolved"],
        }
    )[before != after].sort_values("flip")
    which = st.segmented_control(
        "Which",
        ["All", "now right", "now wrong"],
        default="All",
        required=True,
        key="flips",
        label_visibility="collapsed",
    )
    table = table if which == "All" else table[table["flip"] == which]
    if table.empty:
        parts.note("No record changed sides.")
        return
    names = {"flip": "Change", "question": "Question", "gold": "Gold", "warm_up": "Warm-up", "evolved": "Evolved"}
    tables.table(table, f"flips_{which}", names, height=300)


def playground(here: Place, task: Task) -> None:
    """A question of one's own to every model that is there, side by side."""
    parts.heading("Playground", "Type a question; every model answers it side by side.")
    trained = outcomes.adapters(here.store, here.this_round.id)
    models = ["base", *(["warm_up"] if "warm_up" in trained else []), *(["evolved"] if "tune" in trained else [])]
    with st.form("playground", border=False):
        text = st.text_area("Question", key="play_question", height=100)
        options: list[str] = []
        if task.kind == "multiple_choice":
            options = [
                x for x in (st.text_area("Options, one a line", key="play_options") or "").splitlines() if x.strip()
            ]
        shown = st.toggle("With demonstrations", value=False, key="play_demonstrations")
        pressed = st.form_submit_button("Ask every model", type="primary", icon=":material/send:")
    if pressed and text:
        asked = Record("own-question", text, tuple(options))
        with parts.errors_shown(), st.spinner("Asking"):
            near = (
                asking.nearest(here.store, here.this_round.id, asked, here.this_round.config.propagation.k)
                if shown
                else []
            )
            st.session_state["played"] = (asked, asking.ask(here.store, here.this_round.id, asked, near, models), near)
    played = st.session_state.get("played")
    if played:
        asked, said, near = played
        for column, one in zip(st.columns(len(said)), said, strict=True):
            head = node(
                "between",
                None,
                node("label", formats.MODEL_WORDS[one["model"]], tag="span"),
                record.chip(one["answer"]),
            )
            spread = one.get("probabilities")
            below = (
                record.bars(task, asked, spread)
                if spread
                else node("mono", one["text"] or parse(task, asked, "") or "")
            )
            with column:
                paint.draw(node("demo", None, head, node("gap", None, below)), key=f"played_{one['model']}")
        if near:
            paint.draw(*[record.demonstration(task, asked, d, i) for i, d in enumerate(near, 1)], key="played_near")
