"""SemiEvol (Luo et al., arXiv 2410.14745): the seven stages of a round, in the order in which they run.

Written against two protocols: an `Engine` that embeds, answers and trains, and a `Journal` that remembers. Knows no
model library, no database and no screen. Every stage skips what the journal already holds, so that a resumed round
and an uninterrupted one give the same numbers: work is cut into chunks from the full list, a chunk is saved whole,
and every random draw is keyed by (seed, round, stage, record, collaborator).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from semievol.config import VOTERS, Collaborator
from semievol.endpoints import is_endpoint
from semievol.evidence import shift
from semievol.method import comparison, confidence, earned_weights, remote, verifier, voters
from semievol.method.conversations import (
    TooLong,
    answer_chunk,
    ask_of,
    base_path,
    chunks,
    demonstrations_of,
    model_paths,
    path_of,
    stop_if_asked,
    train,
    tune_examples,
    warm_up_examples,
)
from semievol.method.crossfit import cross_fit
from semievol.method.given import Given, blocks
from semievol.method.judging import ask_judge
from semievol.method.local_models import SKIPPED, loaded_together, warm_up_is_used
from semievol.method.protocols import Engine, Journal, Plan
from semievol.records import STAGES, Candidate, Record, Response
from semievol.selection.summary import accepted, short, why_none
from semievol.task.answers import allowed_answers

_OF_TUNING = 0.9
"""Share of `retrieve` that fine-tuning an embedder takes, for its progress."""


def evolve(plan: Plan, engine: Engine, journal: Journal, first: str = "warm_up", until: str = "evaluate") -> None:
    """Runs the stages from `first` to `until`, both inclusive. Raises `Stopped` when the journal asks for it."""
    functions = dict(zip(STAGES, (warm_up, retrieve, respond, justify, select, tune, evaluate), strict=True))
    cross_fitted = bool(plan.config.cross_fit) and not plan.calibration
    earned = plan.config.propagation.weighting == "earned"
    learning = (warm_up,) if plan.config.propagation.uses_warm_up else ()
    for stage in STAGES[STAGES.index(first) : STAGES.index(until) + 1]:
        stop_if_asked(journal)
        if stage == "justify" and earned and cross_fitted:  # weights are fitted on what the models of the folds answer
            cross_fit(plan, engine, journal, (*learning, retrieve, respond))
        journal.progress(stage, 0, 0)  # the stage has begun; the amount of its work is not known yet
        if stage == "justify" and earned:
            earned_weights.fit(plan, journal)
        if stage == "warm_up" and not warm_up_is_used(plan, first, until):
            journal.event(stage, SKIPPED)
            continue
        functions[stage](plan, engine, journal)
        if stage == "justify" and cross_fitted:
            rest = (retrieve, justify) if earned else (*learning, retrieve, respond, justify)
            cross_fit(plan, engine, journal, rest)
        if stage == "justify" and (plan.calibration or cross_fitted):
            verifier.fit(plan, engine, journal)


def warm_up(plan: Plan, engine: Engine, journal: Journal) -> None:
    """In-weight propagation: fine-tune the base model on the labeled records (paper, §3.1).

    In a later round the parent's evolved adapter takes this place.
    """
    if journal.adapter("warm_up") is not None:
        return
    adapter = plan.parent or train(plan, engine, journal, "warm_up", warm_up_examples(plan, engine), start=None)
    journal.save_adapter("warm_up", adapter)


def retrieve(plan: Plan, engine: Engine, journal: Journal) -> None:
    """In-context propagation: the k nearest labeled records of every record become its demonstrations (§3.1).

    The same vectors show whether labeled and unlabeled texts are alike, which every estimate assumes, and give every
    record its place on the map. The voters' second embedder is fine-tuned here, where the settings ask for it.
    """
    queries = [*plan.unlabeled, *plan.calibration, *plan.labeled]
    settings = plan.config.propagation
    tuned_on = voters.with_tuned_embedder(plan).tuned_on
    share = _OF_TUNING if tuned_on else 0.0

    def learns(done: int, total: int) -> None:
        journal.progress("retrieve", int(len(queries) * share * done / total), len(queries))

    def maps(done: int, total: int) -> None:
        journal.progress("retrieve", int(len(queries) * (share + (1 - share) * done / total)), len(queries))

    if tuned_on:
        engine.tune_embedder(tuned_on, settings.embedder, learns, journal.stopping)
    stored = journal.demonstrations()
    if any(record.id not in stored for record in queries):
        # One neighbour is found even if none is shown: its similarity says how far a record is from the labeled ones.
        found = engine.neighbours(plan.labeled, queries, max(settings.k, 1), settings.embedder)
        pairs = zip(queries, found, strict=True)
        journal.save_demonstrations({q.id: [(d.record.id, d.similarity) for d in near] for q, near in pairs})
    if journal.shift() is None:
        known = [*plan.labeled, *plan.calibration]
        of_known, of_pool = shift.drawn(len(known), len(plan.unlabeled), plan.config.seed)
        compared = [*(known[i] for i in of_known), *(plan.unlabeled[i] for i in of_pool)]
        vectors = engine.embed(compared, settings.embedder)
        apart = shift.text_shift(vectors[: len(of_known)], vectors[len(of_known) :], plan.config.seed)
        journal.save_shift(asdict(apart) if apart else {})
    if not journal.mapped():
        vectors = engine.embed(queries, settings.embedder)
        places = engine.places(vectors, plan.config.seed, maps).astype(float).tolist()
        journal.save_map({query.id: (x, y) for query, (x, y) in zip(queries, places, strict=True)})
    journal.progress("retrieve", len(queries), len(queries))


def respond(plan: Plan, engine: Engine, journal: Journal) -> None:
    """Collaborative learning: every collaborator answers every unlabeled and calibration record (§3.2).

    Endpoints come first: a server that cannot be used is then found out before this machine has worked. Then the base
    with its adapters, then one other model after the other, so that each is loaded once.
    """
    near = demonstrations_of(plan, journal)
    models = model_paths(plan, journal)
    records = [*plan.unlabeled, *plan.calibration]
    done, too_long = journal.answered("respond"), TooLong()
    everybody = plan.config.propagation.collaborators
    far = [c for c in everybody if is_endpoint(path_of(c, models))]
    here = [c for c in everybody if c.model not in VOTERS and c not in far]
    groups = loaded_together(here, models)
    total, before = len(records) * (len(far) + len(groups)), len(records) * len(far)
    if far:
        calls = (
            (r, ask_of(plan, engine, "respond", r, c, models, near))
            for _, chunk in chunks(records, near, engine.chunk)
            for r in chunk
            for c in far
        )
        remote.answer(plan, engine, journal, "respond", calls, done, lambda n: journal.progress("respond", n, total))
    for group in groups:
        for start, chunk in chunks(records, near, engine.chunk):
            asks = [(r, ask_of(plan, engine, "respond", r, c, models, near)) for r in chunk for c in group]
            answer_chunk(plan, engine, journal, "respond", asks, done, too_long)
            journal.progress("respond", before + start + len(chunk), total)
        before += len(records)
    if len(far) + len(here) < len(everybody):
        voters.respond(plan, engine, journal, records)
    too_long.report(journal, "respond")


def justify(plan: Plan, engine: Engine, journal: Journal) -> None:
    """Self-justify: where collaborators disagree the judge weighs their answers; then candidates are merged (§3.2).

    A collaborator without weight is left out altogether: it does not count for agreement, the judge does not see its
    answer, and its numbers are not averaged.
    """
    given = Given(plan, journal)
    answered = {record_id for record_id, _, _ in journal.answered("respond")}
    records = [record for record in [*plan.unlabeled, *plan.calibration] if record.id in answered]
    if plan.config.propagation.justify:
        disputed = [record for block in blocks(records) for record in _disputed(plan, block, given(block))]
        ask_judge(plan, engine, journal, disputed, given)
    journal.save_candidates(
        candidate for block in blocks(records) for candidate in _merged(plan, journal, block, given)
    )
    journal.progress("justify", len(records), len(records))


def _disputed(plan: Plan, records: Sequence[Record], given: Mapping[str, Sequence[Response]]) -> list[Record]:
    """The records whose responses do not agree."""
    read = [record for record in records if not given[record.id][0].unread]
    return [r for r in read if not confidence.agree(plan.task, [response.answer for response in given[r.id]])]


def _merged(plan: Plan, journal: Journal, records: Sequence[Record], given: Given) -> Iterator[Candidate]:
    """The candidates of some records."""
    by_record, rule = given(records), plan.config.propagation.verdict_confidence
    justified = {response.record_id: response for response in journal.responses("justify", list(by_record))}
    for r in records:
        allowed = allowed_answers(plan.task, r)
        yield confidence.merge(plan.task, allowed, by_record[r.id], justified.get(r.id), rule, given.weights(r))


def select(plan: Plan, engine: Engine, journal: Journal) -> None:
    """Knowledge-adaptive selection: policy and decisions accept or reject candidates; the result is frozen (§3.3)."""
    policy = plan.config.policy
    frozen = journal.freeze(lambda: accepted(policy, journal.considered()))
    if not frozen.answers:
        journal.event("select", f"No candidate is accepted. {why_none(policy, journal.considered())}")
    elif sentence := short(policy, journal.considered()):
        journal.event("select", sentence)
    journal.progress("select", len(plan.unlabeled), len(plan.unlabeled))


def tune(plan: Plan, engine: Engine, journal: Journal) -> None:
    """Fine-tune on the labeled records together with the accepted pseudo-labels (§3.3)."""
    if journal.adapter("tune") is not None:
        return
    frozen = journal.selection()
    if frozen is None:
        select(plan, engine, journal)
        frozen = journal.selection()
    assert frozen is not None, "a selection was frozen a moment ago"
    start = journal.adapter("warm_up") if plan.config.tune_from == "warm_up" else None
    examples = [example for _, example in tune_examples(plan, frozen, engine.control_tokens)]
    adapter = train(plan, engine, journal, "tune", examples, start)
    journal.save_adapter("tune", adapter)


def evaluate(plan: Plan, engine: Engine, journal: Journal) -> None:
    """Base, warm-up and evolved model on the test set, without and with demonstrations, beside and together with
    simpler models, with intervals and paired tests."""
    models = {"base": base_path(plan.config), "warm_up": journal.adapter("warm_up"), "evolved": journal.adapter("tune")}
    paths = {arm: path for arm, path in models.items() if path is not None}
    if not plan.test:
        journal.event("evaluate", "There is no test set, so nothing was evaluated.")
        return
    near = comparison.demonstrations(plan, engine)
    ways = [False, True] if near else [False]
    rows = [
        Collaborator(name=comparison.row(arm, shown), model=arm, demonstrations=shown)
        for shown in ways
        for arm in paths
    ]
    # Fine-tuning an embedder, which a simpler model goes by, counts as much as one row.
    asked_for, too_long = len(plan.test) * len(rows), TooLong()
    total = asked_for + (len(plan.test) if voters.tunes(plan) else 0)
    done = {(r.record_id, row.name, r.input_hash) for row in rows for r in journal.predictions(row.name)}
    if plan.config.is_far:
        asked = ((r, ask_of(plan, engine, "evaluate", r, row, paths, near)) for row in rows for r in plan.test)
        remote.evaluate(plan, engine, journal, asked, done, lambda n: journal.progress("evaluate", n, total))
    for position, row in enumerate(rows if not plan.config.is_far else ()):
        for start, chunk in chunks(plan.test, near if row.demonstrations else None, engine.chunk):
            asks = [(r, ask_of(plan, engine, "evaluate", r, row, paths, near)) for r in chunk]
            answer_chunk(plan, engine, journal, "evaluate", asks, done, too_long)
            journal.progress("evaluate", position * len(plan.test) + start + len(chunk), total)
    too_long.report(journal, "evaluate")
    comparison.average(plan, journal)

    def teaching(so_far: int, steps: int) -> None:
        journal.progress("evaluate", asked_for + len(plan.test) * so_far // steps, total)

    comparison.simpler_rows(plan, engine, journal, teaching)
    journal.progress("evaluate", total, total)
    comparison.ensembles(plan, engine, journal)
    journal.save_evaluation(comparison.evaluation(plan, journal))
