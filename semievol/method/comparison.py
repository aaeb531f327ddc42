"""The comparison on the test set: which models answer in which way, and what came of it.

Every model may answer without and with demonstrations, and both answers may be averaged. A fine-tuned one also answers
in an ensemble with the simple models. An expert would try simpler models first (the most frequent label, the nearest
neighbours' vote, a regression, the same on a fine-tuned embedder), so these answer beside them, from the same labeled
records. Knows nothing of how figures are shown.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from semievol import wording
from semievol.config import VOTERS
from semievol.errors import UserError
from semievol.method import ensemble, metrics, open_answers, voters
from semievol.method.paired_tests import paired as paired_test
from semievol.method.protocols import Engine, Journal, Plan
from semievol.method.voters import TUNED_REGRESSION
from semievol.records import Demonstration, Record, Response, Task
from semievol.selection.summary import Selection
from semievol.task.answers import allowed_answers, same

ARMS = ("base", "warm_up", "evolved")
SIMPLER = ("majority", *VOTERS, TUNED_REGRESSION)
_SHOWN, _AVERAGED = "_demonstrations", "_averaged"
ENSEMBLES = {arm: f"{arm}{wording.ENSEMBLE}" for arm in ("warm_up", "evolved")}
ROWS = (*(f"{arm}{way}" for arm in ARMS for way in ("", _SHOWN, _AVERAGED)), *ENSEMBLES.values(), *SIMPLER)
"""Names under which test answers are stored: every model without and with demonstrations, both averaged, and every
fine-tuned model averaged with the simple models (see `ensemble`)."""


def row(arm: str, shown: bool) -> str:
    """Name of a model's answers without or with demonstrations."""
    return f"{arm}{_SHOWN}" if shown else arm


def demonstrations(plan: Plan, engine: Engine) -> dict[str, list[Demonstration]]:
    """The nearest labeled records of every test record; empty if the settings show none."""
    settings = plan.config.propagation
    if not plan.config.evaluate_demonstrations or not settings.k:
        return {}
    found = engine.neighbours(plan.labeled, plan.test, settings.k, settings.embedder)
    return {record.id: near for record, near in zip(plan.test, found, strict=True)}


def average(plan: Plan, journal: Journal) -> None:
    """Closed tasks: saves the answer with the largest mean probability without and with demonstrations."""
    for arm in ARMS:
        plain = {response.record_id: response for response in journal.predictions(arm)}
        shown = {response.record_id: response for response in journal.predictions(row(arm, True))}
        name = f"{arm}{_AVERAGED}"
        if plan.task.closed and plain and shown:
            _save(
                journal, name, [_mean(plan, name, record, plain[record.id], shown[record.id]) for record in plan.test]
            )


def simpler_rows(plan: Plan, engine: Engine, journal: Journal, progress: Callable[[int, int], None]) -> None:
    """Saves the simpler models' answers to the test set; if one does not fit the task, an event says why.

    progress: is told how far the fine-tuning of an embedder is.
    """
    _save(journal, "majority", voters.majority(plan, plan.test))
    for how in VOTERS:
        reason = voters.obstacle(plan.task, plan.labeled, plan.test, how)
        if reason and plan.task.closed:
            journal.event("evaluate", reason)
        if reason and (plan.task.closed or how == "regression"):
            continue  # in an open task the neighbours can still vote for a whole answer
        hashes = voters.input_hashes(plan, how, plan.test)
        if {r.record_id: r.input_hash for r in journal.predictions(how)} != hashes:
            journal.save_predictions(how, voters.poll(plan, engine, how, how, plan.test))
    hashes = voters.input_hashes(plan, TUNED_REGRESSION, plan.test)
    if voters.tunes(plan) and {r.record_id: r.input_hash for r in journal.predictions(TUNED_REGRESSION)} != hashes:
        try:
            found = voters.tuned_regression(plan, engine, plan.test, progress, journal.stopping)
            journal.save_predictions(TUNED_REGRESSION, found)
        except UserError as reason:
            journal.event("evaluate", str(reason))


def ensembles(plan: Plan, engine: Engine, journal: Journal) -> None:
    """Saves what every fine-tuned model answers together with the simple models, where there is an ensemble."""
    for arm, name in ENSEMBLES.items():
        frozen = journal.selection() if arm == "evolved" else None
        if found := in_ensemble(plan, engine, journal.predictions(arm), name, journal.weights(), frozen):
            _save(journal, name, found)


def in_ensemble(
    plan: Plan,
    engine: Engine,
    said: Sequence[Response],
    name: str,
    fitted: Mapping[str, Any] | None,
    frozen: Selection | None,
) -> list[Response]:
    """The test answers of a model together with the simple models, called `name`; none where there is no ensemble, the
    model gives no probabilities, or a simple model does not fit the test records.

    said: the model's own. fitted: as for `ensemble.weights`. frozen: as for `ensemble.learned`.
    """
    weighted = ensemble.weights(plan.task, plan.config, fitted)
    simple = [how for how in VOTERS if how in weighted]
    informed = replace(voters.with_tuned_embedder(plan), labeled=ensemble.learned(plan.labeled, plan.unlabeled, frozen))
    unfit = any(voters.obstacle(plan.task, informed.labeled, plan.test, how) for how in simple)
    if not simple or unfit or not any(response.probabilities for response in said):
        return []
    by_id = {ensemble.MODEL: {response.record_id: response for response in said}}
    for how in simple:
        by_id[how] = {r.record_id: r for r in voters.poll(informed, engine, how, how, plan.test)}
    given = [(record, {which: of[record.id] for which, of in by_id.items()}) for record in plan.test]
    return [ensemble.together(plan.task, record, each, name, weighted) for record, each in given]


def evaluation(plan: Plan, journal: Journal) -> dict[str, Any]:
    """The `figures` of every row that answered."""
    found = {name: {r.record_id: r.answer for r in journal.predictions(name)} for name in ROWS}
    answers = {name: given for name, given in found.items() if given}
    if not ensemble.weights(plan.task, plan.config, journal.weights()):  # an earlier evaluation may have had some
        answers = {name: given for name, given in answers.items() if name not in ENSEMBLES.values()}
    return figures_of(plan.task, {record.id: record.answer for record in plan.test}, answers)


def figures_of(
    task: Task, gold: Mapping[str, str | None], answers: Mapping[str, Mapping[str, str | None]]
) -> dict[str, Any]:
    """n, and for every row accuracy with its 95 % interval and the scores of the task's kind: macro_f1 (closed tasks),
    token_f1 (text) or median_error (numeric), the last two with `_low` and `_high`.

    Under `against` the paired test of evolved against every other row; that against warm-up also at the top. gold:
    record id -> known answer. answers: row -> record id -> answer.
    """
    correct = {name: [same(task, given.get(i), gold[i]) for i in gold] for name, given in answers.items()}
    result: dict[str, Any] = {"n": len(gold)}
    for name, given in answers.items():
        low, high = metrics.wilson(sum(correct[name]), len(gold))
        result[name] = {"accuracy": sum(correct[name]) / len(gold), "low": low, "high": high}
        result[name] |= _of_kind(task, [answer or "" for answer in gold.values()], [given.get(i) for i in gold])
    if "evolved" in correct:
        if "warm_up" in correct:
            result |= paired_test(correct["warm_up"], correct["evolved"])
        others = [name for name in ROWS if name in correct and name != "evolved"]
        result["against"] = {name: paired_test(correct[name], correct["evolved"]) for name in others}
    return result


def _of_kind(task: Task, gold: Sequence[str], given: Sequence[str | None]) -> dict[str, float | None]:
    """The scores that only tasks of this kind have; None where one is not defined."""
    if task.closed:
        return {"macro_f1": metrics.macro_f1(gold, given)}
    pairs = list(zip(given, gold, strict=True))
    if task.kind == "text":
        name, found = "token_f1", open_answers.mean_interval([open_answers.token_f1(*pair) for pair in pairs])
    else:
        errors = [open_answers.relative_error(*pair) for pair in pairs]
        name, found = "median_error", open_answers.median_interval(errors)
    values = [value if math.isfinite(value) else None for value in found]
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _save(journal: Journal, name: str, responses: list[Response]) -> None:
    """Saves the responses, unless these very ones are already stored."""
    stored = {response.record_id: response.input_hash for response in journal.predictions(name)}
    if stored != {response.record_id: response.input_hash for response in responses}:
        journal.save_predictions(name, responses)


def _mean(plan: Plan, name: str, record: Record, plain: Response, shown: Response) -> Response:
    """The average of two responses; if one has no probabilities, the other alone."""
    both = [response for response in (plain, shown) if response.probabilities]
    digest = hashlib.sha256(f"{plain.input_hash}/{shown.input_hash}".encode()).hexdigest()[:32]
    if len(both) < 2:
        return replace((both or [plain])[0], collaborator=name, input_hash=digest)
    table = np.mean([response.probabilities for response in both], axis=0)
    answer = allowed_answers(plan.task, record)[int(np.argmax(table))]
    probabilities = tuple(table.tolist())
    return Response(record.id, name, answer, answer, probabilities=probabilities, input_hash=digest)
