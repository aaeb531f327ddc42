"""Two or more runs beside each other: their losses in one chart, their results, and the settings that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol.store.decisions import selections
from semievol.store.results import outcomes
from semievol.store.runs import progress, runs
from semievol.store.runs.runs import Run
from semievol.ui.shell import formats, parts, tables
from semievol.ui.shell.state import Place
from semievol.ui.training import curves

MOST = 6
_STAGES = ("tune", "warm_up")


def comparison(here: Place, chosen: Sequence[Run]) -> None:
    """The chosen runs, oldest first."""
    shown = sorted(chosen, key=lambda run: run.id)[-MOST:]
    parts.html(f"<h2 class='sv-title'>{formats.series([f'Run {run.id}' for run in shown])}</h2>")
    if len(chosen) > MOST:
        parts.note(f"The newest {MOST} of the {len(chosen)} chosen runs are compared.")
    measured = {f"Run {run.id}": progress.metrics(here.store, run.id) for run in shown}
    there = [stage for stage in _STAGES if any((frame["stage"] == stage).any() for frame in measured.values())]
    if there:
        stage = there[0]
        if len(there) > 1:
            stage = st.segmented_control(
                "Losses of",
                there,
                format_func=formats.STAGE_WORDS.__getitem__,
                default=stage,
                required=True,
                key="compared_stage",
            )
        curves.overlaid({name: frame[frame["stage"] == stage] for name, frame in measured.items()}, "compared_loss")
    else:
        parts.note("None of these runs has trained yet.")
    differences = list(_differences(shown))
    lines = [*_results(here, shown), *differences]
    frame = pd.DataFrame(lines, columns=["What", *(f"Run {run.id}" for run in shown)])
    tables.table(frame, "compared_" + "_".join(str(run.id) for run in shown))
    if not differences:
        parts.note("All settings are the same.")


def _results(here: Place, shown: Sequence[Run]) -> Iterator[list[str]]:
    """Lines of the table: what came of the runs."""
    numbers = {round_.id: round_.number for round_ in here.rounds}
    sizes = {
        run.id: {one["number"]: one["size"] for one in selections.selections(here.store, run.round_id)} for run in shown
    }
    evaluations = [outcomes.evaluation(here.store, run.id) or {} for run in shown]
    yield ["Round", *(str(numbers.get(run.round_id, formats.DASH)) for run in shown)]
    names = formats.STAGE_WORDS
    yield ["Stages", *(f"{names[run.first]} to {names[run.until]}" for run in shown)]
    yield ["Took", *(formats.duration(runs.worked(here.store, run)) for run in shown)]
    kept = [sizes[run.id].get(run.selection_used) for run in shown]
    yield ["Kept answers", *(formats.DASH if size is None else formats.count(size) for size in kept)]
    for arm, words in (("warm_up", "Test accuracy, plain fine-tuning"), ("evolved", "Test accuracy, evolved")):
        yield [words, *(_accuracy(found.get(arm)) for found in evaluations)]


def _accuracy(arm: Mapping[str, Any] | None) -> str:
    if arm is None:
        return formats.DASH
    return f"{formats.percent(arm['accuracy'])} ({formats.percent(arm['low'])} to {formats.percent(arm['high'])})"


def _differences(shown: Sequence[Run]) -> Iterator[list[str]]:
    """Lines of the table: the settings in which the runs differ, as dotted paths like in a config file."""
    settings = [dict(_flat(run.config.model_dump(mode="json"))) for run in shown]
    for path in dict.fromkeys(path for one in settings for path in one):
        values = [str(one.get(path, formats.DASH)) for one in settings]
        if len(set(values)) > 1:
            yield [path, *values]


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value, 1):
            name = inner.get("name", number) if isinstance(inner, Mapping) else number
            yield from _flat(inner, f"{path}[{name}]")
    else:
        yield path, value
