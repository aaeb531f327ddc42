"""The table of candidates: one page of those that the filters leave, as the store sorts them.

The address holds the record that is chosen in it, and the number of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.records import Record
from semievol.store.data import records
from semievol.store.database import Store
from semievol.store.results import results
from semievol.task.answers import same
from semievol.ui.responses import filters, hidden_gold
from semievol.ui.shell import area, disputed_source, formats, parts, record, state, tables
from semievol.ui.shell.state import Place

CHOSEN = "record"
"""Parameter of the address: the record that is shown in full."""
SHOWN = 100
"""Most candidates on a page."""
COUNTED = 5_000
"""Most candidates of which those that are right are counted."""
_HEIGHT = 330
_HEADING = 16
"""Most characters of a collaborator's name in the table; longer names are numbered."""
_WIDTHS = {"question": 190}
_FREE = 290
"""Pixels for the free answers of all collaborators; more would push the last ones off a screen of 1280 pixels."""


def shown(here: Place) -> list[str]:
    """Draws filters, pager and table; ids of the record to show in full and of those that follow it on this page."""
    wanted = filters.drawn(here)
    offset = tables.offset_of(filters.PAGE, SHOWN)
    frame, total = _page(here, wanted, offset)
    area.told(total)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        parts.note(formats.plural(total, "candidate") + _right(here, wanted, total))
        actual = tables.pages_of(total, filters.PAGE, SHOWN, addressed=True)
        filters.saved_views(here)
    if actual != offset:
        frame, _ = _page(here, wanted, actual)
    named = st.query_params.get(CHOSEN)
    if frame.empty:
        parts.note("No candidate matches these filters.")
        return [named] if named else []
    ids = [str(one) for one in frame.index]
    _draw(here, frame, wanted["measure"], f"candidates_{actual}_{hash(str(wanted))}", ids, named)
    return [named] if named and named not in ids else ids[ids.index(named) if named else 0 :]


def _page(here: Place, wanted: Mapping[str, Any], offset: int, limit: int | None = None) -> tuple[pd.DataFrame, int]:
    line = wanted["area"] and wanted["area"].written()
    rest = {name: value for name, value in wanted.items() if name != "area"}
    return _read(
        here.store, here.round.id, results.revision(here.store, here.round.id), line, offset, limit or SHOWN, **rest
    )


@st.cache_data(max_entries=10, show_spinner=False, hash_funcs=state.HASH)
def _read(
    store: Store, round_id: int, revision: int, line: str | None, offset: int, limit: int, **wanted: Any
) -> tuple[pd.DataFrame, int]:
    drawn = area.Area.read(line)
    return results.candidates_page(store, round_id, area=drawn, offset=offset, limit=limit, **wanted)


def _right(here: Place, wanted: Mapping[str, Any], total: int) -> str:
    """How many of the candidates are right, in words, while a person sees the known answers."""
    if not hidden_gold.shown() or total > COUNTED:
        return ""
    frame, _ = _page(here, wanted, 0, COUNTED)
    known = frame[frame["gold"].notna()]
    right = sum(same(here.task, said, gold) for said, gold in zip(known["answer"], known["gold"], strict=True))
    return f"; {right:,} right of {len(known):,} whose answer is known"


def _draw(here: Place, frame: pd.DataFrame, measure: str, key: str, ids: list[str], named: str | None) -> None:
    known = records.records_by_id(here.store, here.round.version_id, frame.index)
    table = frame.assign(
        id=[known[one].source_id for one in ids],
        answer=_named(here, frame, known),
        decision=frame["decision"].map(formats.DECISION_WORDS),
        agreed=np.where(frame["agreed"], "agreed", np.where(frame["given"], "disputed", disputed_source.UNGIVEN)),
        **{measure: [formats.confidence(measure, value) for value in frame[measure]]},
    )
    names = {
        **({"id": "Id"} if table["id"].any() else {}),
        "question": "Question",
        "answer": "Candidate",
        **({"gold": "Known"} if hidden_gold.shown() else {}),
        "agreed": "Agreement",
        measure: _short(measure),
        "decision": "Decision",
    }
    voters = list(dict.fromkeys(name for votes in frame["votes"] for name in votes))
    for number, voter in enumerate(voters, 1):
        table[f"vote {voter}"] = _said(frame, voter, here.task.closed)
        names[f"vote {voter}"] = voter if len(max(voters, key=len)) <= _HEADING else str(number)
    votes = [f"vote {voter}" for voter in voters]
    place = ids.index(named) if named in ids else None
    tables.table(
        table,
        f"{key}_{place}",
        names,
        _WIDTHS if here.task.closed else _WIDTHS | {"answer": 150} | {name: _FREE // len(voters) for name in votes},
        height=_HEIGHT,
        on_select=partial(_choose, f"{key}_{place}", ids),
        selection_mode="single-row",
        selection_default=None if place is None else {"selection": {"rows": [place]}},
    )
    listed = [
        voter if names[f"vote {voter}"] == voter else f"{number}: {voter}" for number, voter in enumerate(voters, 1)
    ]
    numbered = (
        f" {'; '.join(listed)}." if any(line != voter for line, voter in zip(listed, voters, strict=True)) else ""
    )
    parts.note(f"H: how much a collaborator doubts its answer, an entropy (0: not at all).{numbered}")


def _choose(key: str, ids: Sequence[str]) -> None:
    rows = [row for row in st.session_state[key].selection.rows if row < len(ids)]
    if rows:
        st.query_params[CHOSEN] = ids[rows[0]]
    else:
        st.query_params.pop(CHOSEN, None)


def _said(frame: pd.DataFrame, voter: str, closed: bool) -> list[str]:
    """The collaborator's answer to each record with the entropy of it: "roads, H 0.12". A free answer comes after its
    number, as it may be cut."""
    cells = []
    for votes, doubts in zip(frame["votes"], frame["doubts"], strict=True):
        answer, doubt = votes.get(voter), doubts.get(voter)
        number = [] if doubt is None else [f"H {doubt:.2f}"]
        words = ["no answer" if answer is None else formats.shorten(answer, 60)]
        cells.append(", ".join(words + number if closed else number + words))
    return cells


def _short(measure: str) -> str:
    """A measure in one word, as the choice above the table has its whole name."""
    return "Confidence" if measure in formats.PROBABILITIES else formats.MEASURE_WORDS[measure].partition(" ")[0]


def _named(here: Place, frame: pd.DataFrame, known: Mapping[str, Record]) -> pd.Series[str]:
    """The answers as words: a letter alone says nothing without the record's options."""
    if here.task.kind != "multiple_choice":
        return frame["answer"].map(lambda answer: answer and formats.shorten(answer, 60))
    said = {
        i: answer and formats.shorten(record.named_answer(here.task, known[str(i)], answer), 60)
        for i, answer in frame["answer"].items()
    }
    return pd.Series(said, index=frame.index, dtype=object)
