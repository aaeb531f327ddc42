"""Asking the labeled records themselves: the nearest ones' vote, or a regression on all of them, no language model.

Turns a task's answers into texts that can be voted for, and votes into responses. Options of a multiple choice are
voted for by their text, as a letter means something else in every record.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from semievol.config import VOTERS, Collaborator, Voter
from semievol.method import confidence, weights
from semievol.method.ask import go_on
from semievol.method.protocols import Engine, Journal, Plan, Reply
from semievol.records import Record, Response, Task
from semievol.task.answers import LETTERS, allowed_answers, fold
from semievol.task.prompts import suspicious

RECURRING = 0.5
"""Share of multiple-choice questions that must offer an answer of some labeled record before a vote means anything."""


def obstacle(task: Task, labeled: Sequence[Record], queries: Sequence[Record], how: Voter) -> str:
    """Why this cannot give probabilities to the task's allowed answers, as one sentence; empty where it can."""
    if how == "regression":
        if task.kind != "classification":
            return f"A regression needs one set of labels for all records, which a {_kind(task)} task does not have."
        if len({record.answer for record in labeled}) < 2:
            return "A regression needs labeled records of at least two labels."
    elif not task.closed:
        return f"The neighbours' vote needs answers to choose among, which a {_kind(task)} task does not have."
    if task.kind == "multiple_choice":
        known = {text for record in labeled for text in [_said(task, record)] if text}
        shared = sum(any(fold(option) in known for option in query.options) for query in queries)
        if shared < RECURRING * len(queries):
            return (
                "The neighbours' vote needs options that recur: only "
                f"{shared:,} of {len(queries):,} questions offer an answer that some labeled record has."
            )
    return ""


def respond(plan: Plan, engine: Engine, journal: Journal, records: Sequence[Record]) -> None:
    """Saves what the collaborators without a language model say about all records, unless it is already there.

    To be called when the others have responded: in the second pass their answers count, too.
    """
    mine: list[tuple[Collaborator, Voter]] = [
        (c, how) for c in plan.config.propagation.collaborators for how in VOTERS if c.model == how
    ]
    taught = _taught(plan, engine, journal, mine, records) if mine else []
    done = journal.answered("respond")
    for plan_of_part, part in taught:
        for collaborator, how in mine:
            hashes = input_hashes(plan_of_part, how, part)
            missing = {id for id, input_hash in hashes.items() if (id, collaborator.name, input_hash) not in done}
            if missing:
                go_on(journal)
                said = poll(plan_of_part, engine, collaborator.name, how, part)
                journal.save_responses("respond", [response for response in said if response.record_id in missing])


def _taught(
    plan: Plan,
    engine: Engine,
    journal: Journal,
    mine: Sequence[tuple[Collaborator, Voter]],
    records: Sequence[Record],
) -> list[tuple[Plan, Sequence[Record]]]:
    """Records in parts, each with the plan whose labeled records answer them.

    In the second pass (compare arXiv 2503.03062) these are the labeled ones and the unlabeled ones of all other parts,
    with the answers of all collaborators together. Parts go by content, so that no record, and no copy of it, has a say
    about itself, and a calibration record is answered just as an unlabeled one is. Texts that could steer a model
    teach nothing. In a fold of cross-fitting the voters alone make the first pass, since the round's model has seen the
    labels of the records that the fold judges. Such estimates may be a little too low.
    """
    pool = plan.unlabeled or plan.learn_from
    if not plan.config.propagation.second_pass or not pool:
        return [(plan, records)]
    said: dict[str, list[Response]] = {}
    voters = {collaborator.name for collaborator, _ in mine}
    for response in journal.responses("respond") if plan.unlabeled else ():
        if response.collaborator not in voters and not response.unread:
            said.setdefault(response.record_id, []).append(response)
    for collaborator, how in mine:
        for response in poll(plan, engine, collaborator.name, how, pool):
            said.setdefault(response.record_id, []).append(response)
    answered = []
    for record in pool:
        allowed = allowed_answers(plan.task, record)
        answer = confidence.merge(plan.task, allowed, said[record.id], None, "pooled").answer
        if answer is not None and not suspicious(record.question, record.options):
            answered.append(replace(record, answer=answer))
    parts: list[tuple[Plan, Sequence[Record]]] = []
    for number in range(weights.FOLDS):
        others = [record for record in answered if weights.fold_of(record.content_hash) != number]
        part = [record for record in records if weights.fold_of(record.content_hash) == number]
        if part:
            parts.append((replace(plan, labeled=[*plan.labeled, *others]), part))
    return parts


def poll(plan: Plan, engine: Engine, name: str, how: Voter, queries: Sequence[Record]) -> list[Response]:
    """What `how` says about every query, as responses of a collaborator called `name`."""
    voters = [replace(record, answer=_said(plan.task, record)) for record in plan.labeled]
    allowed = [_ballot(plan.task, record) for record in queries]
    replies = engine.vote(voters, queries, allowed, plan.config.propagation.embedder, how)
    hashes = input_hashes(plan, how, queries)
    return [
        _response(plan.task, record, name, reply, hashes[record.id])
        for record, reply in zip(queries, replies, strict=True)
    ]


def input_hashes(plan: Plan, how: Voter, queries: Sequence[Record]) -> dict[str, str]:
    """Record id -> SHA-256 (32 hex digits) over what decides the reply: embedder, labeled records, the query."""
    labeled = sorted((record.content_hash, record.answer or "") for record in plan.labeled)
    shared = json.dumps([how, plan.config.propagation.embedder, labeled], ensure_ascii=True)
    digest = hashlib.sha256(shared.encode()).hexdigest()
    return {
        record.id: hashlib.sha256(
            json.dumps([digest, record.content_hash, allowed_answers(plan.task, record)]).encode()
        ).hexdigest()[:32]
        for record in queries
    }


def majority(plan: Plan, name: str, queries: Sequence[Record]) -> list[Response]:
    """The most frequent answer of the labeled records, for every query: of a multiple choice the most frequent text
    among its options, else the most frequent letter. Of equally frequent ones the smaller."""
    said = Counter(_said(plan.task, record) for record in plan.labeled)
    letters = Counter(record.answer or "" for record in plan.labeled)
    found = []
    for record in queries:
        may = _ballot(plan.task, record)
        best = _most_frequent(said, may) or _most_frequent(letters, allowed_answers(plan.task, record))
        answer = _answer(plan.task, best, may)
        digest = hashlib.sha256(json.dumps(["majority", best, record.content_hash]).encode()).hexdigest()[:32]
        found.append(Response(record.id, name, answer or "", answer, exactness="absent", input_hash=digest))
    return found


def _said(task: Task, record: Record) -> str:
    """The answer of a labeled record as a text that other records can have, too."""
    if task.kind == "multiple_choice":
        place = LETTERS.find(record.answer or "?")
        return fold(record.options[place]) if 0 <= place < len(record.options) else ""
    return record.answer or ""


def _ballot(task: Task, record: Record) -> tuple[str, ...]:
    """As `allowed_answers`, in the same order, but in texts that can be voted for."""
    if task.kind == "multiple_choice":
        return tuple(fold(option) for option in record.options)
    return allowed_answers(task, record)


def _answer(task: Task, text: str, ballot: Sequence[str]) -> str | None:
    """The canonical answer that a text voted for stands for."""
    if task.kind == "multiple_choice" and text in ballot:
        return LETTERS[ballot.index(text)]
    return text or None


def _response(task: Task, record: Record, name: str, reply: Reply, input_hash: str) -> Response:
    answer = _answer(task, reply.text, _ballot(task, record))
    return Response(
        record_id=record.id,
        collaborator=name,
        text=answer or "",
        answer=answer,
        probabilities=reply.probabilities,
        exactness=reply.exactness,
        input_hash=input_hash,
    )


def _most_frequent(counts: Mapping[str, int], among: Sequence[str]) -> str:
    running = [answer for answer in counts if answer and (not among or answer in among)]
    return min(running, key=lambda answer: (-counts[answer], answer), default="")


def _kind(task: Task) -> str:
    return {"multiple_choice": "multiple choice", "text": "free text"}.get(task.kind, task.kind)
