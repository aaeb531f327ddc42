"""Collaborators without a language model: the vote of the nearest labeled records, and a regression on all of them.

Turns a task's answers into texts that can be voted for, and votes into responses. The options of multiple choice are
voted for by their text, since a letter means something else in every record.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from semievol.config import VOTERS, Collaborator, Voter
from semievol.installed import CHAR_TFIDF, MODEL_STATES
from semievol.method import confidence, weights
from semievol.method.conversations import stop_if_asked
from semievol.method.given import without_tokens
from semievol.method.protocols import Engine, Journal, Plan, Reply
from semievol.records import Cost, Record, Response, Task
from semievol.task.answers import LETTERS, allowed_answers, fold
from semievol.task.prompts import suspicious

TUNED_REGRESSION: Literal["tuned_regression"] = "tuned_regression"
"""A regression on an embedder that was fine-tuned on the labeled records: a baseline, no collaborator."""
TUNED_AT_ONCE = 16
"""Labeled records in one update of an embedder's fine-tuning."""
_EPOCHS, _FEWEST_UPDATES, _MOST_UPDATES = 5, 60, 300
RECURRING = 0.5
"""Least share of multiple-choice questions with an option that answers some labeled record; else a vote is useless."""


def obstacle(task: Task, labeled: Sequence[Record], queries: Sequence[Record], how: Voter) -> str:
    """One sentence saying why `how` cannot give probabilities to the task's allowed answers; empty if it can."""
    if how == "regression":
        if task.kind != "classification":
            return f"A regression needs one set of labels for all records, which a {_kind(task)} task does not have."
        if len({record.answer for record in labeled}) < 2:
            return "A regression needs labeled records of at least two labels."
    elif not task.closed:
        return f"The neighbours' vote needs answers to choose among, which a {_kind(task)} task does not have."
    if task.kind == "multiple_choice":
        known = {_votable(task, record) for record in labeled} - {""}
        shared = sum(any(fold(option) in known for option in query.options) for query in queries)
        if shared < RECURRING * len(queries):
            return (
                "The neighbours' vote needs options that recur: only "
                f"{shared:,} of {len(queries):,} questions offer an answer that some labeled record has."
            )
    return ""


def respond(plan: Plan, engine: Engine, journal: Journal, records: Sequence[Record]) -> None:
    """Saves the responses of the collaborators without a language model, unless they are already stored.

    Call it after the other collaborators have responded: the second pass uses their answers, too.
    """
    voting: list[tuple[Collaborator, Voter]] = [
        (c, how) for c in plan.config.propagation.collaborators for how in VOTERS if c.model == how
    ]
    done, first_pass, plan = journal.answered("respond"), dict[str, float](), with_tuned_embedder(plan)
    for plan_of_part, part in _parts(plan, engine, journal, voting, records, first_pass):
        for collaborator, how in voting:
            hashes = input_hashes(plan_of_part, how, part)
            missing = {id for id, input_hash in hashes.items() if (id, collaborator.name, input_hash) not in done}
            if missing:
                stop_if_asked(journal)
                began = time.perf_counter()
                found = poll(plan_of_part, engine, collaborator.name, how, part)
                seconds = time.perf_counter() - began + first_pass.pop(collaborator.name, 0.0)
                new = [response for response in found if response.record_id in missing]
                journal.save_responses("respond", new, {collaborator.name: Cost(len(new), seconds)})


def _parts(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    voting: Sequence[tuple[Collaborator, Voter]],
    records: Sequence[Record],
    took: dict[str, float],
) -> list[tuple[Plan, Sequence[Record]]]:
    """The records in parts, each with the plan whose labeled records answer them.

    In the second pass (compare arXiv 2503.03062) these are the labeled records and the unlabeled records of all other
    parts, with the answer that is likeliest over all collaborators. Records of equal content are in one part, so that
    no record votes about itself or its copy, and a calibration record is answered just as an unlabeled one is. Records
    whose text could steer a model do not vote. In a fold of cross-fitting the voters alone make the first pass, since
    the round's model has seen the labels of the records that the fold judges. Such estimates may be a little too low.

    took: is given the seconds that the first pass of each voter takes.
    """
    pool = plan.unlabeled or plan.learn_from
    if not plan.config.propagation.second_pass or not pool:
        return [(plan, records)]
    given: dict[str, list[Response]] = {}
    voters = {collaborator.name for collaborator, _ in voting}
    for response in without_tokens(journal, "respond", plan.unlabeled):
        if response.collaborator not in voters and not response.unread:
            given.setdefault(response.record_id, []).append(response)
    for collaborator, how in voting:
        began = time.perf_counter()
        for response in poll(plan, engine, collaborator.name, how, pool):
            given.setdefault(response.record_id, []).append(response)
        took[collaborator.name] = time.perf_counter() - began
    answered = []
    for record in pool:
        allowed = allowed_answers(plan.task, record)
        answer = confidence.merge(plan.task, allowed, given[record.id], None, "pooled").answer
        if answer is not None and not suspicious(record.question, record.options, record.earlier):
            answered.append(replace(record, answer=answer))
    parts: list[tuple[Plan, Sequence[Record]]] = []
    for number in range(weights.FOLDS):
        others = [record for record in answered if weights.fold_of(record.content_hash) != number]
        part = [record for record in records if weights.fold_of(record.content_hash) == number]
        if part:
            parts.append((replace(plan, labeled=[*plan.labeled, *others]), part))
    return parts


def poll(plan: Plan, engine: Engine, name: str, how: Voter, queries: Sequence[Record]) -> list[Response]:
    """The responses of a collaborator called `name` to all queries, by the vote or the regression.

    Where the plan has an embedder fine-tuned, they are averaged over both embedders, as it is and fine-tuned: alone the
    fine-tuned one would be too sure of itself.
    """
    settings = plan.config.propagation
    embedders = [settings.embedder]
    if plan.tuned_on:
        embedders.append(engine.tune_embedder(plan.tuned_on, settings.embedder, lambda done, total: None, _never))
    return _polled(plan, engine, name, how, queries, embedders, input_hashes(plan, how, queries))


def tuned_regression(
    plan: Plan,
    engine: Engine,
    queries: Sequence[Record],
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
) -> list[Response]:
    """The responses of a regression on the embedder fine-tuned on the labeled records (see `tunes`), a baseline.

    progress, stopping: as for `Engine.tune_embedder`, which says what is raised.
    """
    tuned = engine.tune_embedder(plan.labeled, plan.config.propagation.embedder, progress, stopping)
    hashes = input_hashes(plan, TUNED_REGRESSION, queries)
    return _polled(plan, engine, TUNED_REGRESSION, "regression", queries, [tuned], hashes)


def _polled(
    plan: Plan,
    engine: Engine,
    name: str,
    how: Voter,
    queries: Sequence[Record],
    embedders: Sequence[str],
    hashes: Mapping[str, str],
) -> list[Response]:
    voters = [replace(record, answer=_votable(plan.task, record)) for record in plan.labeled]
    allowed = [_ballot(plan.task, record) for record in queries]
    by_embedder = [engine.vote(voters, queries, allowed, embedder, how) for embedder in embedders]
    found = []
    for record, replies, may in zip(queries, zip(*by_embedder, strict=True), allowed, strict=True):
        reply = _averaged(replies, may)
        answer = _answer(plan.task, reply.text, may)
        found.append(
            Response(
                record_id=record.id,
                collaborator=name,
                text=answer or "",
                answer=answer,
                probabilities=reply.probabilities,
                exactness=reply.exactness,
                input_hash=hashes[record.id],
            )
        )
    return found


def _averaged(replies: Sequence[Reply], allowed: Sequence[str]) -> Reply:
    """The mean of some replies' probabilities, and the answer to which it gives most; of equals the first."""
    if len(replies) == 1:
        return replies[0]
    told = [reply for reply in replies if reply.text]  # the others found nothing to vote for
    if not told:
        return replies[0]
    spread = tuple(sum(values) / len(told) for values in zip(*(reply.probabilities for reply in told), strict=True))
    return replace(told[0], text=allowed[spread.index(max(spread))], probabilities=spread)


def _never() -> bool:
    return False


def tunes(plan: Plan) -> bool:
    """Whether an embedder can be fine-tuned to tell the labels of the plan's labeled records apart."""
    embedder, labels = plan.config.propagation.embedder, {record.answer for record in plan.labeled}
    return plan.task.kind == "classification" and embedder not in (CHAR_TFIDF, MODEL_STATES) and len(labels) > 1


def with_tuned_embedder(plan: Plan) -> Plan:
    """The plan whose voters also go by an embedder that is fine-tuned on its labeled records, if the settings say so.

    Call it before anything is added to the labeled records: no pseudo-label and no held-out record teaches it.
    """
    wanted = plan.config.propagation.tune_embedder and tunes(plan)
    return replace(plan, tuned_on=plan.labeled if wanted else ())


def updates(labeled: int) -> int:
    """Updates of an embedder's fine-tuning on this number of labeled records."""
    return min(max(_FEWEST_UPDATES, math.ceil(_EPOCHS * labeled / TUNED_AT_ONCE)), _MOST_UPDATES)


def input_hashes(plan: Plan, how: Voter | Literal["tuned_regression"], queries: Sequence[Record]) -> dict[str, str]:
    """Record id -> SHA-256 (32 hex digits) over all that decides the reply: embedder and what a second one
    is fine-tuned on, labeled records, the query."""
    labeled = sorted((record.content_hash, record.answer or "") for record in plan.labeled)
    parts: list[Any] = [how, plan.config.propagation.embedder, labeled]
    if plan.tuned_on:
        parts.append(sorted((record.content_hash, record.answer or "") for record in plan.tuned_on))
    shared = json.dumps(parts, ensure_ascii=True)
    digest = hashlib.sha256(shared.encode()).hexdigest()
    return {
        record.id: hashlib.sha256(
            json.dumps([digest, record.content_hash, allowed_answers(plan.task, record)]).encode()
        ).hexdigest()[:32]
        for record in queries
    }


def majority(plan: Plan, queries: Sequence[Record]) -> list[Response]:
    """For every query the most frequent answer of the labeled records, of equally frequent ones the smallest.

    Multiple choice: the option whose text is the most frequent answer; if none ever was one, the most frequent letter.
    """
    texts = Counter(_votable(plan.task, record) for record in plan.labeled)
    letters = Counter(record.answer or "" for record in plan.labeled)
    found = []
    for record in queries:
        may = _ballot(plan.task, record)
        best = _most_frequent(texts, may) or _most_frequent(letters, allowed_answers(plan.task, record))
        answer = _answer(plan.task, best, may)
        digest = hashlib.sha256(json.dumps(["majority", best, record.content_hash]).encode()).hexdigest()[:32]
        found.append(Response(record.id, "majority", answer or "", answer, exactness="absent", input_hash=digest))
    return found


def _votable(task: Task, record: Record) -> str:
    """The answer of a labeled record as a text that other records can have, too; empty for none."""
    if task.kind == "multiple_choice":
        place = LETTERS.find(record.answer or "?")
        return fold(record.options[place]) if 0 <= place < len(record.options) else ""
    return record.answer or ""


def _ballot(task: Task, record: Record) -> tuple[str, ...]:
    """The record's allowed answers, in their order, as texts that can be voted for."""
    if task.kind == "multiple_choice":
        return tuple(fold(option) for option in record.options)
    return allowed_answers(task, record)


def _answer(task: Task, text: str, ballot: Sequence[str]) -> str | None:
    """The canonical answer of a text that was voted for."""
    if task.kind == "multiple_choice" and text in ballot:
        return LETTERS[ballot.index(text)]
    return text or None


def _most_frequent(counts: Mapping[str, int], among: Sequence[str]) -> str:
    running = [answer for answer in counts if answer and (not among or answer in among)]
    return min(running, key=lambda answer: (-counts[answer], answer), default="")


def _kind(task: Task) -> str:
    return {"multiple_choice": "multiple choice", "text": "free text"}.get(task.kind, task.kind)
