"""What is compared on the test set: the three models in the ways they may be asked, and what a user would pick instead.

A model that was fine-tuned may still be asked with demonstrations, and both answers may be averaged. Whoever knows the
field will try the nearest neighbours' vote and a regression first, so these stand beside the models, on the same
labeled records. Knows nothing of how figures are computed or shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from semievol.config import VOTERS
from semievol.method import voters
from semievol.method.protocols import Engine, Journal, Plan
from semievol.records import Demonstration, Record, Response
from semievol.task.answers import allowed_answers

ARMS = ("base", "warm_up", "evolved")
SIMPLER = ("majority", *VOTERS)
_SHOWN, _AVERAGED = "_demonstrations", "_averaged"
ROWS = (*(f"{arm}{way}" for arm in ARMS for way in ("", _SHOWN, _AVERAGED)), *SIMPLER)
"""Names under which answers to the test set are kept: every model plainly, with demonstrations, and both averaged."""
NAMED = {
    "majority": "The most frequent label",
    "neighbours": "The vote of the nearest labeled records",
    "regression": "A logistic regression on the embedder's vectors",
}


def row(arm: str, shown: bool) -> str:
    """Name of a model asked plainly or with demonstrations."""
    return f"{arm}{_SHOWN}" if shown else arm


def demonstrations(plan: Plan, engine: Engine) -> dict[str, list[Demonstration]]:
    """The nearest labeled records of every test record; empty where none are to be shown."""
    settings = plan.config.propagation
    if not plan.config.evaluate_demonstrations or not settings.k:
        return {}
    found = engine.neighbours(plan.labeled, plan.test, settings.k, settings.embedder)
    return {record.id: near for record, near in zip(plan.test, found, strict=True)}


def average(plan: Plan, journal: Journal) -> None:
    """Keeps the answer with the largest mean probability of asking plainly and with demonstrations (closed tasks)."""
    for arm in ARMS:
        plain = {response.record_id: response for response in journal.predictions(arm)}
        shown = {response.record_id: response for response in journal.predictions(row(arm, True))}
        name = f"{arm}{_AVERAGED}"
        if plan.task.closed and plain and shown:
            _keep(
                journal, name, [_mean(plan, name, record, plain[record.id], shown[record.id]) for record in plan.test]
            )


def simpler_rows(plan: Plan, engine: Engine, journal: Journal) -> None:
    """Keeps what the labeled records alone say about the test set; why one does not apply is told."""
    _keep(journal, "majority", voters.majority(plan, "majority", plan.test))
    for how in VOTERS:
        reason = voters.obstacle(plan.task, plan.labeled, plan.test, how)
        if reason and plan.task.closed:
            journal.event("evaluate", reason)
        if reason and (plan.task.closed or how == "regression"):
            continue  # the neighbours of an open question may still vote for a whole answer
        hashes = voters.input_hashes(plan, how, plan.test)
        if {r.record_id: r.input_hash for r in journal.predictions(how)} != hashes:
            journal.save_predictions(how, voters.poll(plan, engine, how, how, plan.test))


def ahead(evaluation: Mapping[str, Any]) -> str:
    """One sentence where something simpler than the evolved model is right more often; empty where nothing is."""
    evolved = evaluation.get("evolved")
    there = [name for name in SIMPLER if name in evaluation]
    if not evolved or not there:
        return ""
    best = max(there, key=lambda name: evaluation[name]["accuracy"])
    found = evaluation[best]["accuracy"]
    if found <= evolved["accuracy"]:
        return ""
    p = evaluation["against"][best]["p_value"]
    chance = "" if p < 0.05 else "; chance alone could explain it"
    return (
        f"{NAMED[best]} is right on {100 * found:.1f} %, the evolved model on {100 * evolved['accuracy']:.1f} %: "
        f"the simpler model is ahead here (mid-p McNemar, p = {p:.3g}{chance})."
    )


def _keep(journal: Journal, name: str, responses: list[Response]) -> None:
    there = {response.record_id: response.input_hash for response in journal.predictions(name)}
    if there != {response.record_id: response.input_hash for response in responses}:
        journal.save_predictions(name, responses)


def _mean(plan: Plan, name: str, record: Record, plain: Response, shown: Response) -> Response:
    """Where one of the two has no probabilities, the other stands alone."""
    both = [response for response in (plain, shown) if response.probabilities]
    digest = hashlib.sha256(f"{plain.input_hash}/{shown.input_hash}".encode()).hexdigest()[:32]
    if len(both) < 2:
        return replace((both or [plain])[0], collaborator=name, input_hash=digest)
    table = np.mean([response.probabilities for response in both], axis=0)
    answer = allowed_answers(plan.task, record)[int(np.argmax(table))]
    probabilities = tuple(table.tolist())
    return Response(record.id, name, answer, answer, probabilities=probabilities, input_hash=digest)
