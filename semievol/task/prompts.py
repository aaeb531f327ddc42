"""Records to chat turns: the one place that decides what a model reads (docs/design.md, Prompts).

The bundled starter is trained on exactly these prompts, so a change of wording is a new PROMPT_VERSION, which
every run stores.
Knows nothing of tokenizers: it neutralises the chat control tokens in common use; callers pass their model's own
special tokens as `control_tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from semievol.records import Demonstration, Message, Record, Task
from semievol.task.answers import LETTERS

PROMPT_VERSION = 1
Variant = Literal["standard", "bare"]

CONTROL = re.compile(
    r"<\|[^\s<>|]{1,64}\|>|<｜[^<>]{1,64}｜>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS)\]|<</?SYS>>"
    r"|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
)

_INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|above|previous|prompts?|rules)\b"
    r"|\bignore instructions\b|\byou (?:are|must) now\b|\bsystem prompt\b|^[ \t]{0,8}(?:system|assistant)[ \t]{0,8}:",
    re.IGNORECASE | re.MULTILINE,
)
# Faster than the pattern: a text without any of these words cannot match it.
_CUES = ("ignore", "disregard", "forget", "override", "you are now", "you must now", "system", "assistant")
_TOKENS = "<["  # every known control token begins with one of these


def neutralise(text: str, control_tokens: Sequence[str] = ()) -> str:
    """`text` with a space after the first character of every chat control token, so that no model reads it as one."""
    if any(sign in text for sign in _TOKENS):
        text = CONTROL.sub(lambda match: f"{match.group()[0]} {match.group()[1:]}", text)
    known = _known(tuple(control_tokens))
    if known is None or known.search(text) is None:
        return text
    for token in control_tokens:  # one after the other, since tokens may overlap
        if _breaks(token):
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


@lru_cache(maxsize=16)
def _known(control_tokens: tuple[str, ...]) -> re.Pattern[str] | None:
    """One pattern that finds any of these tokens; a model may have hundreds of them, and a text mostly has none."""
    broken = [re.escape(token) for token in control_tokens if _breaks(token)]
    return re.compile("|".join(broken)) if broken else None


def _breaks(token: str) -> bool:
    return len(token) > 1 and not token.isspace()


def has_control_tokens(text: str) -> bool:
    """Whether `text` contains what a tokenizer could read as a control token."""
    return any(sign in text for sign in _TOKENS) and CONTROL.search(text) is not None


def gives_orders(text: str) -> bool:
    """Whether `text` seems to give the model instructions ("ignore the above …")."""
    lower = text.lower()
    return any(cue in lower for cue in _CUES) and _INSTRUCTION.search(text) is not None


def suspicious(question: str, options: Sequence[str] = (), earlier: Sequence[Message] = ()) -> bool:
    """Whether a record's text could steer the model: hidden instructions or chat control tokens.

    Such a record gets answers like any other, but no policy accepts them (docs/reliability.md, Security).
    """
    texts = (question, *options, *(turn.content for turn in earlier))
    return any(has_control_tokens(text) or gives_orders(text) for text in texts)


def question_turn(task: Task, record: Record, control_tokens: Sequence[str] = (), rule_first: bool = False) -> str:
    """The user turn of one question: the question, its options if any, and, unless `rule_first`, the answer rule."""
    lines = [neutralise(record.question, control_tokens)]
    if task.kind == "multiple_choice":
        lines.append("Options:")
        lines += [
            f"{LETTERS[i]}. {_one_line(neutralise(option, control_tokens))}" for i, option in enumerate(record.options)
        ]
    rule = neutralise(answer_rule(task), control_tokens)
    if rule and not rule_first:
        lines.append(rule)
    return "\n".join(lines)


def answer_rule(task: Task) -> str:
    """The sentence that says in which form to answer; empty for free text."""
    if task.kind == "multiple_choice":
        return "Answer with the letter only."
    if task.kind == "classification":
        return f"Answer with one of: {', '.join(task.labels)}."
    if task.kind == "numeric":
        return "Answer with a number."
    return ""


def render(
    task: Task,
    record: Record,
    demonstrations: Sequence[Demonstration] = (),
    candidates: Sequence[str] = (),
    variant: Variant = "standard",
    control_tokens: Sequence[str] = (),
    rule_first: bool = False,
) -> tuple[Message, ...]:
    """Chat turns up to, not including, the answer. Earlier turns of a record's conversation come before its question; a
    system turn of its own is the end of the system turn.

    demonstrations: shown in the order given; `by_similarity` puts the least similar first.
    candidates: for self-justify, the responses that the judge reads, in the order given.
    variant: "standard" begins with the task's instruction as a system turn (if it has one), "bare" leaves it out.
    rule_first: the answer rule is at the end of the system turn instead of every question. Then all prompts have a
    common beginning, which an engine reads once for a whole batch, and demonstrations do not repeat the rule.
    """
    own = record.earlier[0].content if record.earlier and record.earlier[0].role == "system" else ""
    instruction = task.instruction if variant == "standard" else ""
    parts = [instruction, answer_rule(task) if rule_first else "", own if own != instruction else ""]
    opening = "\n".join(neutralise(part, control_tokens) for part in parts if part)
    turns = [Message("system", opening)] if opening else []
    for demonstration in demonstrations:
        shown = demonstration.record
        turns += _before(shown, control_tokens)
        turns.append(Message("user", question_turn(task, shown, control_tokens, rule_first)))
        turns.append(Message("assistant", neutralise(shown.answer or "", control_tokens)))
    turns += _before(record, control_tokens)
    question = question_turn(task, record, control_tokens, rule_first)
    if candidates:
        lines = [_one_line(neutralise(candidate, control_tokens)) for candidate in candidates]
        question = "\n".join([question, "Candidate answers:", *lines, "Weigh them and give the final answer."])
    turns.append(Message("user", question))
    return tuple(turns)


def _before(record: Record, control_tokens: Sequence[str]) -> list[Message]:
    """The record's earlier turns, without a system turn: there can be only one, and it comes first."""
    said = [turn for turn in record.earlier if turn.role != "system"]
    return [Message(turn.role, neutralise(turn.content, control_tokens)) for turn in said]


def by_similarity(demonstrations: Sequence[Demonstration]) -> list[Demonstration]:
    """Least similar first, so that the nearest is next to the question; of equals the smallest id counts as nearest."""
    return sorted(demonstrations, key=lambda d: (-d.similarity, d.record.id))[::-1]


def _one_line(text: str) -> str:
    return " ".join(text.split())
