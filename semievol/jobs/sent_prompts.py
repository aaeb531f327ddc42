"""The prompt behind a stored response, and the words behind its token probabilities.

A prompt is not stored, but made again from the round's settings. With each response stands the hash of its exact
input, so it is known whether the prompt made again is the one that was sent. Loads no model.
"""

from __future__ import annotations

from dataclasses import dataclass

from semievol.config import VOTERS, Collaborator
from semievol.engines.models import resolve, tokenizer
from semievol.errors import UserError
from semievol.export.tables import control_tokens
from semievol.method.conversations import for_judge, questions
from semievol.method.protocols import Ask, Plan
from semievol.records import Message, Response, Task
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
    settings, judged = round_.config.propagation, response is view.justification
    collaborator = settings.judge if judged else asked(round_).get(response.collaborator)
    if collaborator is None:
        return None
    plan = Plan(task, round_.config, (), (), round_number=round_.number)
    tokens = control_tokens([run for run in runs.list_runs(store) if run.round_id == round_.id], round_) or ()
    near, stage = view.demonstrations[: settings.k], "justify" if judged else "respond"
    found: list[Ask] = []
    for given in _judged(store, round_, view) if judged else [()]:
        candidates = for_judge(plan, view.record, given) if judged else ()
        found += questions(plan, tokens, stage, view.record, collaborator, near, candidates)
    same = next((ask for ask in found if ask.input_hash == response.input_hash), None)
    ask = same or found[0]
    return Sent(ask.messages, same is not None, ask.left_out)


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
