"""The values that all other parts share: task, record, demonstration, response, candidate, decision, example.

Knows nothing of files, models or databases.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["multiple_choice", "classification", "numeric", "text"]
Split = Literal["labeled", "unlabeled", "test", "calibration"]
Exactness = Literal["exact", "bound", "absent"]
Origin = Literal["gold", "pseudo", "expert"]
Action = Literal["accept", "reject", "edit", "skip", "ambiguous", "undo"]

STAGES = ("warm_up", "retrieve", "respond", "justify", "select", "tune", "evaluate")
CROSS_FIT = "cross_fit"
STEPS = (*STAGES[:3], CROSS_FIT, *STAGES[3:])
"""What a run reports progress of, in the order of its display: the stages and, as a part of `justify` with a time of
its own, cross-fitting."""
SPLITS: tuple[Split, ...] = ("labeled", "unlabeled", "test", "calibration")
ACTIONS: tuple[Action, ...] = ("accept", "reject", "edit", "skip", "ambiguous")
"""What an expert may decide; `undo` is no decision but takes one back."""

GOLD_REVIEWER = "Sample reviewer (hidden gold)"
"""Signs the decisions of the sample project, which were made from the hidden gold and not by a person."""


@dataclass(frozen=True)
class Task:
    """What is asked of every record of a project.

    labels: the label set of a classification task, in the order shown to the model; empty for other kinds.
    instruction: system turn given before every prompt; may be empty.
    tolerance: relative difference up to which two numbers count as equal (numeric tasks).
    """

    kind: Kind
    labels: tuple[str, ...] = ()
    instruction: str = ""
    tolerance: float = 1e-6

    @property
    def closed(self) -> bool:
        """Whether every record has a finite list of allowed answers."""
        return self.kind in ("multiple_choice", "classification")


@dataclass(frozen=True)
class Message:
    """One chat turn."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Record:
    """One question with what is known about it.

    id: stable name inside a dataset version, made from the content; ties are broken by it.
    earlier: turns of the conversation that come before the question; the first can be a system turn of its own.
    answer: the canonical gold answer (letter, label text, number or text), None if it is not known.
    row: physical row of the file that it comes from. source_id: its name in that file. group: what it belongs to (a
    patient, a document); all records of a group are in the same split.
    """

    id: str
    question: str
    options: tuple[str, ...] = ()
    answer: str | None = None
    split: Split = "unlabeled"
    row: int = 0
    source_id: str = ""
    group: str = ""
    earlier: tuple[Message, ...] = ()

    @property
    def content_hash(self) -> str:
        """SHA-256 of question, options and earlier turns, 64 hexadecimal digits; decisions are stored under it."""
        return content_hash(self.question, self.options, self.earlier)

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything of it that a model reads: earlier turns, question, options."""
        return (*(turn.content for turn in self.earlier), self.question, *self.options)


def content_hash(question: str, options: tuple[str, ...], earlier: tuple[Message, ...] = ()) -> str:
    """SHA-256 over question, options and earlier turns, each with its length: "ab", "c" and "a", "bc" differ."""
    digest = hashlib.sha256()
    for part in (question, *options):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(f"{len(raw)}:".encode() + raw)
    for turn in earlier:
        raw = turn.content.encode("utf-8", "surrogatepass")
        digest.update(f"{turn.role}:{len(raw)}:".encode() + raw)
    return digest.hexdigest()


def earlier_turns(cell: str | None) -> tuple[Message, ...]:
    """The earlier turns that a cell with a JSON list of [role, text] holds; none for a blank cell. ValueError for
    anything else."""
    return turns_of(json.loads(cell)) if cell else ()


def turns_of(pairs: Any) -> tuple[Message, ...]:
    """Turns from [role, text] each; none for None. ValueError for anything else."""
    turns = []
    for pair in [] if pairs is None else pairs if isinstance(pairs, list) else [pairs]:
        match pair:
            case [("system" | "user" | "assistant") as role, str() as text]:
                turns.append(Message(role, text))
            case _:
                raise ValueError("not a turn")
    return tuple(turns)


def earlier_cell(turns: Sequence[Message]) -> str | None:
    """The JSON list of [role, text] that `earlier_turns` reads; None for none."""
    return json.dumps(pairs_of(turns), ensure_ascii=False) if turns else None


def pairs_of(turns: Sequence[Message]) -> list[list[str]] | None:
    """[role, text] of every turn, as `turns_of` reads them; None for none."""
    return [[turn.role, turn.content] for turn in turns] or None


@dataclass(frozen=True)
class Demonstration:
    """A labeled record shown before a question; `similarity` is the cosine of the two embeddings, in [-1, 1]."""

    record: Record
    similarity: float


@dataclass(frozen=True)
class Cost:
    """What answers took, summed.

    records: how many were answered. seconds: of computing; what answers of one batch share is divided among them.
    prompt_tokens: of all prompts. answer_tokens: of the answers that were generated or, for closed tasks, of the
    allowed answers that were read to score them. Collaborators without a language model have no tokens.
    """

    records: int = 0
    seconds: float = 0.0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.records + other.records,
            self.seconds + other.seconds,
            self.prompt_tokens + other.prompt_tokens,
            self.answer_tokens + other.answer_tokens,
        )


ANSWERING = 0.5
"""Mass on the allowed answers below which a model is said not to answer the question."""


@dataclass(frozen=True)
class Response:
    """One collaborator's answer to one record.

    text: the raw answer as produced, or the most probable (or drawn) allowed answer of a closed task.
    answer: `text` parsed to a canonical answer; None if it cannot be parsed (which is a disagreement).
    probabilities: for closed tasks p(answer) over the record's allowed answers, in their order, summing to 1.
    mass: unrestricted probability that the model gives to the allowed answers together; None for open tasks.
    token_logprobs: log p of every generated token in nats, untempered; empty for scored closed answers.
    token_entropies: Shannon entropy of every next-token distribution in nats, aligned with `token_logprobs`.
    exactness: of the log-probabilities: "exact" (computed in full), "bound" (truncated) or "absent".
    """

    record_id: str
    collaborator: str
    text: str
    answer: str | None
    probabilities: tuple[float, ...] = ()
    mass: float | None = None
    token_logprobs: tuple[float, ...] = ()
    token_entropies: tuple[float, ...] = ()
    exactness: Exactness = "exact"
    input_hash: str = ""

    @property
    def unread(self) -> bool:
        """Whether the model was not asked because the question is too long for it."""
        return self.exactness == "absent" and not self.text


@dataclass(frozen=True)
class Candidate:
    """A record's merged pseudo-response before selection.

    confidences: measure name -> value, lower is more confident; a measure that could not be computed is missing.
    """

    record_id: str
    answer: str | None
    agreed: bool
    confidences: dict[str, float] = field(default_factory=dict)
    justified: bool = False
    exactness: Exactness = "exact"


@dataclass(frozen=True)
class Decision:
    """One entry of the history of experts' decisions; `selection.decisions` says what it means for a candidate.

    content_hash, answer_shown: the record's content and the answer that the decision is about.
    answer: what the expert asserts (accept: the answer shown, edit: another one), None for the other actions.
    at: unix seconds. undoes: id of the decision that an `undo` takes back.
    """

    id: int
    project_id: int
    round_id: int
    record_id: str
    content_hash: str
    action: Action
    answer_shown: str | None
    answer: str | None
    note: str
    reviewer: str
    at: float
    undoes: int | None


@dataclass(frozen=True)
class Example:
    """One training conversation: the prompt's turns, the answer, and the origin of the answer."""

    record_id: str
    messages: tuple[Message, ...]
    answer: str
    origin: Origin
