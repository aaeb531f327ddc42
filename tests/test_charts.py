"""Figures: one palette with enough contrast, data text inert, small enough to send."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from semievol import charts, map_figure
from semievol.palette import DARK, LIGHT, Palette, palette

EVIL = "<b>bold</b> <a href='https://x'>x</a> %{y} $x$"
CONFIG = tomllib.loads((Path(__file__).parents[1] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_colours_have_the_contrast_that_wcag_asks_for(dark: bool) -> None:
    colours = palette(dark)
    for ground in (colours.background, colours.surface):
        assert contrast(colours.text, ground) >= 7
        assert contrast(colours.quiet, ground) >= 4.2
        assert all(contrast(shade, ground) >= 3 for shade in colours.series)
    assert contrast(colours.quiet, colours.background) >= 4.5
    assert contrast(colours.accent, colours.background) >= 4.5


@pytest.mark.parametrize(("name", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_the_theme_repeats_the_palette(name: str, colours: Palette) -> None:
    theme = CONFIG["theme"][name]
    assert theme["backgroundColor"] == colours.background
    assert theme["secondaryBackgroundColor"] == colours.surface
    assert (theme["textColor"], theme["grayColor"], theme["borderColor"]) == (colours.text, colours.quiet, colours.line)
    assert tuple(theme["chartCategoricalColors"]) == colours.series
    assert tuple(theme["chartSequentialColors"]) == colours.ramp


def test_text_from_data_is_escaped_shortened_and_one_line() -> None:
    assert charts.label(EVIL, 99) == "&lt;b&gt;bold&lt;/b&gt; &lt;a href='https://x'&gt;x&lt;/a&gt; %{y} $x$"
    assert charts.label("one\n two") == "one two"
    assert charts.label("x" * 50) == "x" * 39 + "…"


def figures(dark: bool) -> dict[str, go.Figure]:
    chance = np.random.default_rng(0)
    names = [EVIL, EVIL + " again"]
    values = chance.exponential(0.3, 500)
    points = pd.DataFrame({"x": values, "y": values, "question": EVIL, "label": EVIL, "similarity": values})
    bins = pd.DataFrame({"confidence": [0.4, 0.8], "accuracy": [0.5, 0.7], "count": [9, 9]})
    risk = pd.DataFrame({"measure": EVIL, "coverage": np.linspace(0, 1, 900), "risk": np.linspace(0, 1, 900)})
    scores = {"group": names, "kind": names, "accuracy": [0.5, 0.7], "low": [0.4, 0.6], "high": [0.6, 0.8]}
    return {
        "mix": charts.class_mix(pd.DataFrame({"kept": [0.4, 0.6], EVIL: [0.5, 0.5]}, index=names), dark),
        "risk": charts.risk_coverage(risk, dark),
        "reliability": charts.reliability(bins.assign(null_low=[0.3, 0.6], null_high=[0.6, 0.9]), dark),
        "map": map_figure.records_map(points, "label", dark),
        "ramp": map_figure.records_map(points, "similarity", dark),
        "confusion": charts.confusion(pd.DataFrame([[3, 1], [0, 0]], index=names, columns=names), dark),
        "similarity": charts.similarity_histogram(charts.bin_similarity(chance.random(50)), dark),
        "accuracy": charts.accuracy_bars(pd.DataFrame(scores), dark),
    }


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_wears_the_template_and_no_data_text_is_markup(dark: bool) -> None:
    for name, figure in figures(dark).items():
        assert figure.layout.template == charts.template(dark), name
        assert figure.layout.title.text is None, "the page says what a figure shows"
        json = figure.to_json().replace("\\u003c", "<").replace("\\u003e", ">")
        assert "<b>" not in json, name
        assert "<a href" not in json, name
        for trace in figure.data:
            assert "bold" not in (trace.hovertemplate or ""), f"{name}: data text in a template would be filled in"


def test_figures_of_large_projects_stay_small() -> None:
    chance = np.random.default_rng(0)
    values = chance.exponential(0.3, 100_000)
    histogram = charts.similarity_histogram(charts.bin_similarity(values))
    assert len(histogram.to_json()) < 20_000
    curves = pd.DataFrame({"measure": "vote_entropy", "coverage": np.sort(chance.random(100_000)), "risk": values})
    drawn = charts.risk_coverage(curves).data[0]
    assert len(drawn.x) == charts.MOST_POINTS
    assert drawn.name == charts.MEASURES["vote_entropy"], "a long name is whole"


def test_bins_hold_every_candidate_that_has_a_value() -> None:
    bins = charts.bin_confidence([0.0, 0.1, 0.5, np.nan, 1.0], [True, False, True, True, True], bins=2)
    assert bins.to_dict("list") == {"left": [0.0, 0.5], "right": [0.5, 1.0], "agreed": [1, 2], "disputed": [1, 0]}
    assert charts.bin_confidence([np.nan], [True]).empty
    assert charts.bin_confidence([0.0, 0.0], [True, True], bins=4)["agreed"].sum() == 2
    assert charts.bin_similarity([-0.2, 0.5, 1.0000001, np.nan])["records"].sum() == 3


def test_nothing_to_draw_is_drawn() -> None:
    assert charts.bin_confidence([], []).empty
    assert not charts.risk_coverage(pd.DataFrame({"measure": [], "coverage": [], "risk": []})).data
    assert charts.similarity_histogram(charts.bin_similarity([])).data
    assert charts.class_mix(pd.DataFrame({"kept": []}, dtype=float)).data
    assert charts.confusion(pd.DataFrame()).data


def test_the_last_point_of_a_long_curve_is_drawn() -> None:
    figure = figures(False)["risk"]
    assert len(figure.data[0].x) == charts.MOST_POINTS
    assert figure.data[0].x[-1] == 100


def test_a_map_names_the_six_most_frequent_groups_and_gives_ids() -> None:
    groups = [f"g{i}" for i in range(9) for _ in range(10 - i)] + [None]
    points = pd.DataFrame({"x": 0.0, "y": 0.0, "question": "q", "label": groups}, index=[f"r{i}" for i in range(55)])
    figure = map_figure.records_map(points, "label")
    assert [trace.name for trace in figure.data] == ["g0", "g1", "g2", "g3", "g4", "other"]
    assert sum(len(trace.x) for trace in figure.data) == 55
    assert figure.data[0].customdata[0][0] == "r0"


def test_a_large_map_is_counted_in_cells() -> None:
    points = pd.DataFrame({"x": [-1, -0.999, 0.5, 1], "y": [-1, -1, 0.5, 1], "label": ["a", "b", "b", None]})
    found = map_figure.bin_places(points.assign(label=["a", "a", "b", "b"]), "label", cells=4)
    assert found[["records", "label", "share"]].values.tolist() == [[2, "a", 1.0], [2, "b", 1.0]]
    assert found[["x", "y"]].values.tolist() == [[-0.75, -0.75], [0.75, 0.75]]
    mixed = map_figure.bin_places(points, "label", cells=1)
    assert mixed[["records", "share"]].values.tolist() == [[4, 0.5]]
    number = map_figure.bin_places(points.assign(label=[0.0, 1.0, 2.0, 3.0]), "label", cells=1)
    assert number["label"].tolist() == [1.5]
    assert "4 records" in map_figure.records_map(mixed, "label").data[0].customdata[0][1]


def test_two_names_that_look_the_same_shortened_stay_two() -> None:
    names = ["x" * 30 + "a", "x" * 30 + "b"]
    figure = charts.class_mix(pd.DataFrame({"kept": [0.4, 0.6]}, index=names))
    assert list(figure.data[0].x) == [0, 1]
    assert list(figure.data[0].y) == [40, 60]
    one, two = figure.layout.xaxis.ticktext
    assert one != two
    assert (one[-1], two[-1]) == ("a", "b")
    assert list(figure.data[0].customdata) == names, "in full on hover"


def test_meaning_does_not_hang_on_colour_alone() -> None:
    drawn = figures(False)
    assert len({trace.marker.pattern.shape for trace in drawn["mix"].data}) == 2
    assert len({trace.marker.pattern.shape for trace in drawn["accuracy"].data if trace.type == "bar"}) == 2
    two = pd.DataFrame({"measure": ["a", "b"] * 2, "coverage": [0, 0, 1, 1], "risk": 1.0})
    assert len({trace.line.dash for trace in charts.risk_coverage(two).data}) == 2


def test_confusion_is_coloured_by_the_share_of_each_gold_class() -> None:
    figure = charts.confusion(pd.DataFrame([[3, 1], [0, 0]], index=["a", "b"], columns=["a", "b"]))
    assert np.array(figure.data[0].z).tolist() == [[75, 25], [0, 0]]
    assert [list(row) for row in figure.data[0].text] == [[3, 1], [0, 0]]


def test_accuracies_stand_in_groups_and_those_of_a_kind_look_alike() -> None:
    kinds = ["plain", "shown", "plain", "shown", "none"]
    scores = pd.DataFrame({"group": ["Base", "Base", "Evolved", "Evolved", "Regression"], "kind": kinds})
    scores = scores.assign(accuracy=[0.3, 0.4, 0.8, 0.9, 0.7], low=0.2, high=0.95)
    figure = charts.accuracy_bars(scores)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [(trace.name, list(trace.y)) for trace in bars] == [("plain", [30, 80]), ("shown", [40, 90]), ("none", [70])]
    places = sorted(x for trace in bars for x in trace.x)
    gap = 1 + charts.GROUP_GAP
    assert np.diff(places) == pytest.approx([1, gap, 1, gap])
    assert list(figure.layout.xaxis.ticktext) == ["Base", "Evolved", "Regression"]
    assert list(figure.layout.xaxis.tickvals) == pytest.approx([0.5, 2.5 + charts.GROUP_GAP, 4 + 2 * charts.GROUP_GAP])
