"""The demonstrations on offer for a record: its nearest labeled records, and those that a person added by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from semievol.errors import UserError
from semievol.jobs import inference_client, planning
from semievol.records import Demonstration, Record
from semievol.store.results import results
from semievol.ui.demonstrations import picker
from semievol.ui.demonstrations.browsing import Browsing
from semievol.ui.shell import asking, formats, session, state
from semievol.ui.shell.state import Place


@dataclass(frozen=True)
class Offered:
    """name: the number of a neighbour ("1"), or that of one added by hand ("+1")."""

    name: str
    shown: Demonstration
    by_hand: bool = False


@dataclass(frozen=True)
class Search:
    """How demonstrations are found. k: how many nearest labeled records. embedder: by which vectors. stored: how many
    the round has stored, by its own embedder."""

    k: int
    embedder: str
    stored: int
    own_embedder: str

    @property
    def in_round(self) -> Search:
        """As the round has found them."""
        return replace(self, k=self.stored, embedder=self.own_embedder)


def offered(here: Place, question: Record, search: Search) -> list[Offered] | None:
    """The nearest ones and those added by hand; None where they, or their similarities, must be found first."""
    near, known = nearest(here, question, search), session.of(Browsing).similarities
    mine = added(here, question)
    keys = {name: (here.round_id, question.content_hash, one.id, search.embedder) for name, one in mine.items()}
    if near is None or any(key not in known for key in keys.values()):
        return None
    by_hand = [Offered(name, Demonstration(one, known[keys[name]]), True) for name, one in mine.items()]
    return [Offered(str(place), one) for place, one in enumerate(near, 1)] + by_hand


def nearest(here: Place, question: Record, search: Search) -> list[Demonstration] | None:
    """The nearest labeled records, where they are known."""
    key = (here.round_id, question.content_hash, search.k, search.embedder)
    if (near := session.of(Browsing).nearest.get(key)) is not None:
        return near
    stored = search.embedder == search.own_embedder and search.k <= search.stored
    if here.round_or_none is None or question.id == picker.OWN_ID or not stored:
        return None
    try:
        return results.record_view(here.store, here.round.id, question.id).demonstrations[: search.k] or None
    except UserError:
        return None


def added(here: Place, question: Record) -> dict[str, Record]:
    """Name -> labeled record that was added by hand. One that has the question's text is left out: it would give the
    answer away."""
    mine = session.of(Browsing).added[here.round_id, question.id]
    return {name: one for name, one in mine.items() if one.content_hash != question.content_hash}


def find(here: Place, question: Record, search: Search) -> None:
    """Finds what `offered` lacks, and what the round would have found; says meanwhile what is done."""
    kept, id = session.of(Browsing), round_id(here)
    with asking.doing() as watch:
        for wanted in dict.fromkeys((search, search.in_round)):
            if nearest(here, question, wanted) is None:
                near = inference_client.nearest(here.store, id, question, wanted.k, watch, wanted.embedder)
                kept.nearest[id, question.content_hash, wanted.k, wanted.embedder] = near
    compare(here, question, list(added(here, question).values()), search.embedder)


def compare(here: Place, question: Record, labeled: Sequence[Record], embedder: str) -> None:
    """Finds how similar these labeled records are to the question."""
    if not labeled:
        return
    with asking.doing() as watch:
        id, ids = round_id(here), [one.id for one in labeled]
        found = inference_client.similarities(here.store, id, question, ids, watch, embedder)
    known = session.of(Browsing).similarities
    known.update({(id, question.content_hash, one, embedder): value for one, value in found.items()})


def round_id(here: Place) -> int:
    """The current round; without one, the round that "Propagate" would use is opened."""
    if here.round_or_none is not None:
        return here.round.id
    config = planning.config_to_run(here.store, here.project, state.config_of(here.project))
    return planning.open_round(here.store, here.project, config, "warm_up").id


def chosen_key(question: Record, names: Sequence[str]) -> str:
    """Key of the choice of those that a model is shown, among these names."""
    return f"kept_{question.id}_{' '.join(names)}"


def carry_choice(question: Record, before: Sequence[str], now: Sequence[str]) -> None:
    """Other demonstrations are on offer from now on: those that were struck out stay so, new ones are chosen."""
    chosen = st.session_state.get(chosen_key(question, before), before)
    struck = set(before) - set(chosen)
    st.session_state[chosen_key(question, now)] = [name for name in now if name not in struck]


def in_words(names: Sequence[str]) -> str:
    """["1", "2", "+1"] -> "with demonstrations 1, 2 and +1"."""
    if not names:
        return "without demonstrations"
    return f"with {'demonstration' if len(names) == 1 else 'demonstrations'} {formats.series(list(names))}"
