"""What a run started now would need: time and memory, estimated before the start."""

from __future__ import annotations

import streamlit as st

from semievol.config import Config
from semievol.errors import UserError
from semievol.jobs import duration, launch
from semievol.store.database import Store
from semievol.store.runs import runs
from semievol.ui.shell import formats, parts, state
from semievol.ui.shell.state import Place


def needs(here: Place, config: Config) -> None:
    """The time of each of the three buttons, and the memory beside what is free; a warning if there is not enough."""
    if here.project.version_id is None:
        return
    if config.is_far:
        parts.note("The model is at a server: a run takes as long as the server does. A run of everything:")
        return
    try:
        needed = state.memory_needed(here.store, here.project.version_id, config)
        time = estimated(here, config)
    except UserError as error:
        parts.note(f"Time and memory of a run cannot be estimated. {error.what}")
        return
    if needed is None or time is None:
        parts.note(
            "Time and memory of a run can be estimated once the model's files are here. The first run brings them."
        )
        return
    _tiles(time)
    device = state.device()
    where = "of the GPU's memory" if device.gpu else "of memory"
    words = f"A run needs about {formats.gigabytes(needed)} {where} at its peak; "
    words += f"{formats.gigabytes(device.free)} are free."
    if needed > device.free:
        st.warning(f"{words} Set method to lora, or choose a smaller model.", icon=":material/memory:")
    else:
        parts.note(words)


def estimated(here: Place, config: Config) -> duration.Estimate | None:
    """As `duration.estimate`; made again only where a run has finished, and after a minute."""
    assert here.project.version_id is not None, "drawn without data"
    return _time(here.store, here.project.version_id, config, here.round_id, _finished(here))


def answering(here: Place, config: Config) -> duration.Answering | None:
    """As `duration.answering`; kept like `estimated`. None also where the model cannot be used."""
    if here.project.version_id is None:
        return None
    try:
        return _answering(here.store, here.project.version_id, config, _finished(here))
    except UserError:
        return None


def _tiles(time: duration.Estimate) -> None:
    spans = {"Propagate": launch.PROPAGATE, "Fine-tune": launch.FINE_TUNE, "Run everything": launch.EVERYTHING}
    parts.tiles([(name, formats.about(time.of(*span)), "") for name, span in spans.items()])
    parts.note(
        "Estimated from this project's prompts and earlier runs of this model here."
        if time.measured
        else "A rough estimate from this project's prompts, the size of the model and the speed of this processor. "
        "A busy machine takes longer, a GPU much less. Stages that were done here are measured."
    )


def _finished(here: Place) -> int:
    """Changes when a run has finished anywhere in the workspace."""
    return sum(run.status == "done" for run in runs.list_runs(here.store))


@st.cache_data(max_entries=20, ttl=60, show_spinner=False, hash_funcs=state.HASH)
def _time(
    store: Store, version_id: int, config: Config, round_id: int | None, finished: int
) -> duration.Estimate | None:
    return duration.estimate(store, version_id, config, round_id)


@st.cache_data(max_entries=20, ttl=60, show_spinner=False, hash_funcs=state.HASH)
def _answering(store: Store, version_id: int, config: Config, finished: int) -> duration.Answering | None:
    return duration.answering(store, version_id, config)
