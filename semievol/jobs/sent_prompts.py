"""The prompt behind a stored response, and the words behind its token probabilities.

A prompt is not stored, but made again from the round's settings. With each response stands the hash of its exact
input, so it is known whether the prompt made again is the one that was sent. Loads no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from semievol.config import VOTERS, Collaborator
from semievol.engines.models import resolve, tokenizer
from semievol.errors import UserError
from semievol.export.tables import control_tokens
from semievol.method.conversations import for_judge, questions
from semievol.method.protocols import Ask, Plan
from semievol.records import Demonstration, Message, Response, Task
from semievol.store.database import Store
from semievol.store.results.results import RecordView
from semievol.store.runs import rounds, runs
from semievol.store.runs.rounds import Round

MOST_TOKENS = 600
"""Tokens of a response of which the words are looked up."""


@dataclass(frozen=True)
class Sent:
    """A prompt. exact: whether its hash is the response's. left_out: demonstrations that did not fit the model."""

    messages: tuple[Message, ...]
    exact: bool
    left_out: int = 0


def asked(round_: Round) -> dict[str, Collaborator]:
    """Name -> collaborator, of those that read a prompt."""
    return {one.name: one for one in round_.config.propagation.collaborators if one.model not in VOTERS}


def sent(store: Store, round_: Round, task: Task, view: RecordView, response: Response) -> Sent | None:
    """The prompt that a collaborator or, for `view.justification`, the judge has answered by `response`; None where
    none was sent, because no language model answered."""
    if response is view.justification:
        found = [ask for _, asks in _to_judge(store, round_, task, view) for ask in asks]
    elif (collaborator := asked(round_).get(response.collaborator)) is not None:
        plan, near = Plan(task, round_.config, (), (), round_number=round_.number), _near(round_, view)
        found = list(questions(plan, _tokens(store, round_), "respond", view.record, collaborator, near))
    else:
        return None
    same = next((ask for ask in found if ask.input_hash == response.input_hash), None)
    ask = same or found[0]
    return Sent(ask.messages, same is not None, ask.left_out)


def reordered(store: Store, round_: Round, task: Task, view: RecordView) -> tuple[Ask, Ask] | None:
    """What the judge was asked about the record, and the same question with the candidate answers in reversed order.

    None where it was not asked, or its question cannot be made again exactly (the hash of its input is another one).
    """
    if view.justification is None:
        return None
    judge, near = round_.config.propagation.judge, _near(round_, view)
    plan, tokens = Plan(task, round_.config, (), (), round_number=round_.number), _tokens(store, round_)
    for candidates, asks in _to_judge(store, round_, task, view):
        turned = questions(plan, tokens, "justify", view.record, judge, near, candidates[::-1])
        for ask, reverse in zip(asks, turned, strict=True):
            if ask.input_hash == view.justification.input_hash:
                return ask, reverse
    return None


def _to_judge(store: Store, round_: Round, task: Task, view: RecordView) -> Iterator[tuple[list[str], list[Ask]]]:
    """Candidate answers that the judge may have read, with the questions that they give."""
    judge, near = round_.config.propagation.judge, _near(round_, view)
    plan, tokens = Plan(task, round_.config, (), (), round_number=round_.number), _tokens(store, round_)
    for given in _judged(store, round_, view):
        candidates = for_judge(plan, view.record, given)
        yield candidates, list(questions(plan, tokens, "justify", view.record, judge, near, candidates))


def _near(round_: Round, view: RecordView) -> list[Demonstration]:
    return view.demonstrations[: round_.config.propagation.k]


def _tokens(store: Store, round_: Round) -> Sequence[str]:
    return control_tokens([run for run in runs.list_runs(store) if run.round_id == round_.id], round_) or ()


def _judged(store: Store, round_: Round, view: RecordView) -> list[list[Response]]:
    """What the judge may have read: the collaborators' responses, or only those of collaborators with a weight."""
    read = [one for one in view.responses if not one.unread] or view.responses
    weights = (rounds.weights(store, round_.id) or {}).get("everybody") or {}
    weighed = [one for one in read if weights.get(one.collaborator, 0) > 0]
    return [read, weighed] if weighed else [read]


def words_of(model: str, response: Response, longest: int) -> list[str] | None:
    """The text of every token of a free answer, "" for the token that ended it, aligned with its log-probabilities.

    Tokens are not stored, so the text is tokenized again; None where the model's tokenizer is not on this machine, or
    gives another number of tokens. model: its name, or its folder. longest: most tokens that an answer could have.
    """
    number = len(response.token_logprobs)
    if not 0 < number <= MOST_TOKENS:
        return None
    try:
        folder = tokenizer.folder_of(model) or resolve.downloaded(model)
        if folder is None:
            return None
        encoded = tokenizer.words(folder).encode(response.text, add_special_tokens=False)
    except (UserError, OSError, ValueError):
        return None
    if number - len(encoded.ids) not in ((0, 1) if number >= longest else (1,)):  # a shorter answer ended with a token
        return None
    words, start = [], 0
    for _, end in encoded.offsets:  # a token may end inside of a character; the next one then adds nothing
        words.append(response.text[start : max(start, end)])
        start = max(start, end)
    return words + [""] * (number - len(words))
