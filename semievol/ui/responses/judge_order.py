"""Whether the judge decides by the order of the answers: a button that asks it again, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from semievol.jobs import judge_order
from semievol.jobs.judge_order import OrderAudit, Verdict
from semievol.store.database import Store
from semievol.store.results import collaborators, results
from semievol.ui.shell import asking, formats, parts, record, router, session, state, tables
from semievol.ui.shell.state import Place

SIZE = 20
"""Records that are asked about, where nothing else is chosen."""
MOST = 200
_NAMES = {"question": "Question", "before": "Verdict", "after": "In reversed order"}


@dataclass
class AskedAgain:
    """What the session keeps: round id and its last write -> what came of asking again."""

    found: dict[tuple[int, int], OrderAudit] = field(default_factory=dict)


def view(here: Place) -> None:
    """The button; then the sentence. Nothing where the round has no judge."""
    if not here.round.config.propagation.justify:
        return
    parts.heading(
        "Does the order of the answers sway it?",
        "The judge reads the collaborators' answers in random order. A random sample of disputed records is put to it "
        "again with the same prompt, but the answers in reversed order. Nothing of the round changes.",
    )
    if here.round.config.at_server(here.round.config.propagation.judge.model):
        parts.note("This judge is a remote model, which is asked in runs only: here it cannot be asked again.")
        return
    disputed = _disputed(here.store, *_key(here))
    if not disputed:
        parts.note("It was asked about no unlabeled record.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        size = st.number_input("How many", 1, min(MOST, disputed), min(SIZE, disputed), key="order_size", width=120)
        pressed = st.button("Ask in another order", icon=":material/swap_vert:")
    if pressed:
        with parts.errors_shown(), asking.doing() as watch:
            session.of(AskedAgain).found[_key(here)] = judge_order.audit(here.store, here.round.id, size, watch)
    if (found := session.of(AskedAgain).found.get(_key(here))) is not None:
        parts.html(f"<p class='sv-lead sv-small'>{parts.unbroken(sentence(found))}</p>")
        for note in left_out(found):
            parts.note(note)


@st.cache_data(max_entries=5, show_spinner=False, hash_funcs=state.HASH)
def _disputed(store: Store, round_id: int, written: int) -> int:
    return len(collaborators.judged(store, round_id))


def changed(here: Place) -> list[Verdict]:
    """The verdicts that changed when the judge was asked last, in this session."""
    found = session.of(AskedAgain).found.get(_key(here))
    return [] if found is None else found.changed


def _key(here: Place) -> tuple[int, int]:
    return here.round.id, results.written(here.store, here.round.id)


def listed(here: Place, verdicts: Sequence[Verdict]) -> None:
    """Records with both verdicts, and a link to the one that is ticked."""
    parts.heading("Where the order changed the verdict", "The judge's answer, and what it says of the reversed order.")
    lines = [
        {
            "question": one.record.question,
            "before": record.named_answer(here.task, one.record, one.before),
            "after": record.named_answer(here.task, one.record, one.after),
        }
        for one in verdicts
    ]
    height = "content" if len(lines) <= 8 else 320
    place = tables.pick(pd.DataFrame(lines), "order_changed", _NAMES, {"question": 400}, height=height)
    if place is None:
        parts.note("Tick a record to open it.")
    else:
        router.link("responses", "Open this record", record=verdicts[place].record.id)


def sentence(found: OrderAudit) -> str:
    """In how many of how many records the verdict changed, with the interval."""
    n, changed = len(found.verdicts), len(found.changed)
    if not n:
        return "Not known: none of the records drawn can be compared."
    low, high = found.interval
    return (
        f"In {changed:,} of {formats.plural(n, 'disputed record')} the verdict changed: {formats.percent(changed / n)} "
        f"(95 % interval {100 * low:.1f} to {formats.percent(high)}, Clopper-Pearson). A judge that goes by the "
        "content of the answers alone changes none."
    )


def left_out(found: OrderAudit) -> list[str]:
    """What was drawn and is not counted, and why; one sentence each."""
    reasons = [
        (found.alike, "left out: the answers read the same in both orders."),
        (found.lost, "left out: the prompt cannot be made again exactly as it was sent."),
        (found.unstable, "left out: the same prompt, read again on this machine, already gives another verdict."),
    ]
    return [f"{formats.plural(count, 'record')} {words}" for count, words in reasons if count]
