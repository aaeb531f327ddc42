"""How good each collaborator is, how alike they answer, and whether the judge helped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.method import scorecards
from semievol.method.scorecards import Alike, JudgeAudit, Scorecard
from semievol.records import Cost, Record, Task
from semievol.store.data import records
from semievol.store.database import Store
from semievol.store.results import collaborators, costs, results
from semievol.store.runs import rounds
from semievol.ui.evaluation import calibration
from semievol.ui.responses import costs as takes
from semievol.ui.responses import judge_order
from semievol.ui.shell import formats, parts, state, tables
from semievol.ui.shell.state import Place

COLUMNS = {
    "name": "Collaborator",
    "right": "Right",
    "interval": "95 % interval",
    "alone": "Right alone",
    "stated": "States",
    "fits": "Its probabilities are",
    "weight": "Weight",
}


def view(here: Place) -> None:
    """All of it: a line for each collaborator, then classes and agreement beside reliability; the judge where there is
    room."""
    with parts.card("scores"):
        cards = _scores(here)
    measured = any(card.calibration for card in cards)
    wide = measured and here.round.config.propagation.justify
    left, right = st.columns(2, gap="medium")
    with left:
        if cards and cards[0].of_class:
            with parts.card("class_scores"):
                _by_class(cards)
        if len(here.round.config.propagation.collaborators) > 1:
            with parts.card("agreement"):
                _agreement(here)
    with right:
        if measured:
            with parts.card("reliability"):
                _reliability(cards)
        if not wide:
            with parts.card("judge"):
                _judge(here)
                judge_order.view(here)
    if wide:
        with parts.card("judge"):
            left, right = st.columns(2, gap="large")
            with left:
                _judge(here)
            with right:
                judge_order.view(here)
    if changed := judge_order.changed(here):
        with parts.card("order"):
            judge_order.listed(here, changed)


def _scores(here: Place) -> list[Scorecard]:
    """A line for each collaborator, measured on records with known answers that its model had not seen."""
    known = state.candidates(here.store, here.round.id)[1]
    parts.heading("How good is each collaborator, and what does it take?")
    if known.empty:
        folds = "" if here.round.config.is_far else " or set a number of folds (cross-fitting)"
        parts.note(
            "How good: not known, as no record with a known answer was kept from the models. On the Training page, "
            f"hold out calibration records{folds}, then propagate again."
        )
        _costs_alone(here)
        return []
    kind = "cross-fitted labeled" if known["cross_fitted"].all() else "calibration"
    cards = _cards(here.store, here.task, here.round.id, results.written(here.store, here.round.id))
    if not cards or not cards[0].n:
        parts.note("How good: not known, as no record with a known answer was answered by every collaborator.")
        _costs_alone(here)
        return []
    parts.note(
        f"On {formats.plural(cards[0].n, f'{kind} record')} that no model had seen. Right alone: records that no other "
        "collaborator has right. States: the probability that it gives to its own answers on average."
    )
    took = costs.costs(here.store, here.round.id, "respond")
    names = COLUMNS | takes.columns(here, took)
    tables.table(_lines(here, cards, took), "scorecards", names, forms={"right": "%.1f %%", "stated": "%.1f %%"})
    parts.note(takes.NOTE if took else takes.BEFORE)
    return cards


def _costs_alone(here: Place) -> None:
    """What each collaborator takes, where nothing is known of how good they are."""
    took = costs.costs(here.store, here.round.id, "respond")
    if not took:
        parts.note(takes.BEFORE)
        return
    names = [one.name for one in here.round.config.propagation.collaborators if one.name in took]
    lines = [{"name": name} | takes.per_record(took[name], takes.price(here, name)) for name in names]
    tables.table(pd.DataFrame(lines), "costs", {"name": COLUMNS["name"]} | takes.columns(here, took))
    parts.note(takes.NOTE)


@st.cache_data(max_entries=5, show_spinner=False, hash_funcs=state.HASH)
def _cards(store: Store, task: Task, round_id: int, written: int) -> list[Scorecard]:
    known = _known(store, round_id, written)
    return scorecards.scorecards(task, known, collaborators.known_responses(store, round_id)[0])


def _known(store: Store, round_id: int, written: int) -> list[Record]:
    """The records with true answers that no model had seen when it answered them."""
    gold = state.read_candidates(store, round_id, written)[1]["gold"].dropna()
    version_id = rounds.get_round(store, round_id).version_id
    return [one for one in records.records_by_id(store, version_id, gold.index).values() if one.answer]


def _lines(here: Place, cards: Sequence[Scorecard], took: Mapping[str, Cost]) -> pd.DataFrame:
    weights = (rounds.weights(here.store, here.round.id) or {}).get("everybody")
    lines = []
    for card in cards:
        fit = card.calibration
        weight = formats.percent(weights.get(card.name, 0), 0) if weights else "all alike"
        lines.append(
            {
                "name": card.name,
                "right": 100 * card.right,
                "interval": f"{100 * card.low:.1f} to {100 * card.high:.1f}",
                "alone": card.alone,
                "stated": 100 * fit.stated if fit else None,
                "fits": fit.sentence.rpartition(": ")[2].rstrip(".") if fit else "not known",
                "weight": weight,
                **takes.per_record(took.get(card.name), takes.price(here, card.name)),
            }
        )
    return pd.DataFrame(lines).astype({"stated": float})


def _by_class(cards: Sequence[Scorecard]) -> None:
    parts.heading("Where each is better", "Right answers among the records of a class.")
    lines = []
    for label, (_, of) in cards[0].of_class.items():
        lines.append({"label": label, "of": of} | {card.name: card.of_class[label][0] for card in cards})
    names = {"label": "Class", "of": "Records"} | {card.name: card.name for card in cards}
    tables.table(pd.DataFrame(lines), "class_scores", names, height="content" if len(lines) <= 8 else 320)


def _reliability(cards: Sequence[Scorecard]) -> None:
    measured = {card.name: card.calibration for card in cards if card.calibration is not None}
    parts.heading("May its probabilities be believed?", "What it states, against how often it is right.")
    name = st.selectbox("Collaborator", list(measured), key="reliability_of")
    found = measured[name or next(iter(measured))]
    parts.html(f"<p class='sv-lead sv-small'>{found.sentence}</p>")
    alt = "Reliability curve: probability stated against share of right answers"
    tables.figure(charts.reliability(calibration.bins(found), dark=state.dark()), "reliability", alt, height=280)
    parts.note(calibration.figures(found))


def _agreement(here: Place) -> None:
    """How often two collaborators answer alike, over the whole pool."""
    names = [one.name for one in here.round.config.propagation.collaborators]
    pairs = _alike(here.store, here.task, here.round.id, results.written(here.store, here.round.id), names)
    parts.heading("How alike do they answer?", f"Share of {formats.plural(pairs[0].n, 'unlabeled record')}.")
    chart = charts.agreement(pd.DataFrame([asdict(pair) for pair in pairs]), names, dark=state.dark())
    alt = "Heat map of how often two collaborators give the same answer"
    tables.figure(chart, "agreement_matrix", alt, height=90 + 44 * len(names))
    least = min(pairs, key=lambda pair: pair.share)
    parts.note(
        f"Least alike: {least.first} and {least.second}, on {formats.percent(least.share)} (Cohen's kappa "
        f"{formats.score(least.kappa)}: 0 is what chance alone would give, 1 is always). Where good collaborators "
        "differ, their agreement says more."
    )


@st.cache_data(max_entries=3, show_spinner="Comparing the answers", hash_funcs=state.HASH)
def _alike(store: Store, task: Task, round_id: int, written: int, names: list[str]) -> list[Alike]:
    votes = collaborators.votes(store, round_id)
    if not task.closed:
        votes = [{name: scorecards.spelled(task, answer) for name, answer in of.items()} for of in votes]
    return scorecards.agreement(names, votes)


def _judge(here: Place) -> None:
    """Whether self-justify was better than the majority."""
    parts.heading("Did the judge help?", "Self-justify against the majority vote, where collaborators disagree.")
    settings = here.round.config.propagation
    if not settings.justify:
        pooled = settings.verdict_confidence == "pooled"
        rule = "gets the answer that is likeliest on average" if pooled else "goes to the majority"
        parts.note(f"This round has no judge (self-justify is off): a dispute {rule}.")
        return
    found = _audit(here.store, here.task, here.round.id, results.written(here.store, here.round.id))
    parts.html(f"<p class='sv-lead sv-small'>{verdict(found)}</p>")
    for cost in costs.costs(here.store, here.round.id, "justify").values():
        parts.note(
            f"It was asked {formats.plural(cost.records, 'time')}: {takes.time_of(cost)} and {takes.tokens_of(cost)} "
            "tokens each."
        )


@st.cache_data(max_entries=5, show_spinner=False, hash_funcs=state.HASH)
def _audit(store: Store, task: Task, round_id: int, written: int) -> JudgeAudit:
    known = _known(store, round_id, written)
    return scorecards.judge_audit(task, known, *collaborators.known_responses(store, round_id))


def verdict(found: JudgeAudit) -> str:
    """The audit in sentences."""
    if not found.n:
        return "Not known: it was asked about no record with a known answer."
    said = (
        f"Asked about {formats.plural(found.n, 'disputed record')} with a known answer, it is right on "
        f"{found.right:,}; the majority is right on {found.majority_right:,}."
    )
    if not found.changed:
        return f"{said} It never overturned the majority."
    neither = found.changed - found.helped - found.harmed
    rest = f", {neither:,} from one wrong answer to another" if neither else ""
    return (
        f"{said} It overturned the majority {found.changed:,} times: {found.helped:,} from wrong to right, "
        f"{found.harmed:,} from right to wrong{rest}."
    )
