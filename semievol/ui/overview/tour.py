"""The method in one picture: propagate, inspect, select, evolve. For a visitor without a project, or on request.

Every number in it was measured on the bundled sample (`jobs.sample_figures`). Markup of our own; the sample's texts are
not shown.
"""

from __future__ import annotations

from html import escape

import streamlit as st

from semievol.jobs.sample_figures import Figures, figures
from semievol.method import conclusions
from semievol.ui.evaluation import headline
from semievol.ui.shell import formats, gates, parts

RECORDS_A_DOT = 10
LEAD = "A few answers from you, many from the model, and a model that has learned your task."


def tour() -> None:
    """The picture and, in sight below it, the ways to begin."""
    with parts.card("tour"):
        found = _method()
        with st.container(horizontal=True, vertical_alignment="center"):
            gates.start_buttons(primary=True)
        words = "The sample opens with a finished round to look at. A project of your own begins with two files."
        parts.note(words if found is None else f"{words} {_source(found)}")


def again() -> None:
    """The button that shows the picture, for where a project is open."""
    if st.button("The method in one picture", type="tertiary", icon=":material/route:"):
        _enlarged()


@st.dialog("The method in one picture", width="large")
def _enlarged() -> None:
    if (found := _method()) is not None:
        parts.note(_source(found))


def _method() -> Figures | None:
    found = figures()
    parts.html(f"<p class='sv-lead' style='max-width:none'>{LEAD}</p>")
    if found is not None:
        parts.html(f"<div class='sv-tour'>{''.join(_picture(found))}</div>")
    return found


def _source(found: Figures) -> str:
    count, model = formats.count(found.evaluation["n"]), found.model
    simpler = conclusions.ahead(found.evaluation)
    return (
        f"The figures are the sample's, with the model {model}: answers are checked against known ones that the sample "
        f"hides, models on {count} test records. {simpler}"
    ).strip()


def _picture(found: Figures) -> list[str]:
    known, unknown = formats.count(found.labeled), formats.count(found.unlabeled)
    agreed = found.agreed / found.unlabeled
    gain = conclusions.gain(found.evaluation)
    points = f"{100 * gain.difference:+.1f}".replace("-", "−") if gain else ""
    return [
        _step(
            "Propagate",
            _dots(found),
            f"{known} records with answers teach a model, which answers {unknown} without.",
            f"{formats.percent(found.right)} right",
        ),
        _step(
            "Inspect",
            _split(agreed),
            f"{found.collaborators} ways of answering are compared. You see every answer and how sure each of them is.",
            f"{formats.percent(agreed)} agreed",
        ),
        _step(
            "Select",
            _histogram(found),
            f"You keep the confident answers ({formats.count(found.kept)}), correct others, and see what it is worth.",
            f"{formats.percent(found.kept_right)} right",
        ),
        _step(
            "Evolve",
            _models(found),
            "against plain fine-tuning: the model has also learned from the answers that were kept.",
            f"{points} points" if points else "",
        ),
    ]


def _step(name: str, figure: str, words: str, number: str) -> str:
    return (
        f"<div><div class='sv-name'>{name}</div><div class='sv-figure'>{figure}</div>"
        f"<div class='sv-value'>{number}</div><p class='sv-note'>{words}</p></div>"
    )


def _dots(found: Figures) -> str:
    """A dot for every ten records, those with answers filled."""
    sizes = (("sv-known", found.labeled), ("sv-asked", found.unlabeled))
    dots = "".join(f"<i class='{kind}'></i>" * round(size / RECORDS_A_DOT) for kind, size in sizes)
    return _figure("sv-dots", f"{found.labeled} labeled and {found.unlabeled} unlabeled records", dots)


def _split(agreed: float) -> str:
    """The answered records as one bar: agreed and disputed."""
    parts_of = (("sv-agreed", "agreed", agreed), ("sv-disputed", "disputed", 1 - agreed))
    bar = "".join(f"<span class='{kind}' style='width:{100 * size:.1f}%'></span>" for kind, _, size in parts_of)
    names = "".join(f"<span>{name} {100 * size:.0f} %</span>" for _, name, size in parts_of)
    words = ", ".join(f"{name} {100 * size:.0f} %" for _, name, size in parts_of)
    return _figure("sv-split", words, f"<div>{bar}</div><p>{names}</p>")


def _histogram(found: Figures) -> str:
    """Candidates by the probability of their answer; what is kept is dark."""
    tallest = max(sum(pair) for pair in found.bins) ** 0.5
    bars = "".join(
        f"<span style='height:{100 * (kept + out) ** 0.5 / tallest:.0f}%'>"
        f"<b style='height:{100 * out / max(kept + out, 1):.0f}%'></b></span>"
        for kept, out in found.bins
    )
    return _figure("sv-bars", "Histogram of confidence, the confident answers are kept", f"<div>{bars}</div>") + (
        "<p class='sv-ends'><span>unsure</span><span>sure</span></p>"
    )


def _models(found: Figures) -> str:
    return headline.lines(found.evaluation, ["base", "warm_up", "evolved"])


def _figure(kind: str, words: str, body: str) -> str:
    return f"<div class='{kind}' role='img' aria-label='{escape(words)}'>{body}</div>"
