"""What is sent to a server: the question, and what else the server turned out to understand.

Servers differ: some give no log-probabilities, some refuse a parameter by its name, some ignore what they do not know.
`Abilities` begins with everything and drops what a server refuses. Knows nothing of connections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from semievol.method.protocols import Ask

TOP_TRIED = (20, 5)
"""Lengths of the lists of most probable tokens, tried in this order; 20 is the most that OpenAI gives."""
OVERHEAD = 16
"""Tokens that a chat template may add to a turn, at most."""


@dataclass
class Abilities:
    """top: most probable tokens that may be asked for, 0 for none. constrained: whether an answer can be tied to a JSON
    schema. length: name of the parameter for the longest answer. sure: whether a reply has shown that the server gives
    log-probabilities, or that it does not.
    """

    top: int = TOP_TRIED[0]
    constrained: bool = True
    length: str = "max_tokens"
    temperature: bool = True
    seed: bool = True
    sure: bool = False

    def refused(self, message: str, sent: dict[str, Any]) -> bool:
        """Drops what a server's refusal of the request `sent` is about; False if nothing is left that could be it."""
        message = message.casefold()
        if self.length in sent and self.length == "max_tokens" and "max_completion_tokens" in message:
            self.length = "max_completion_tokens"
            return True
        if "logprob" in message and "top_logprobs" in sent:
            if sent["top_logprobs"] == self.top:  # else another question has found it out already
                self.top = next((top for top in TOP_TRIED if top < self.top), 0)
            return True
        schema = any(word in message for word in ("response_format", "json_schema", "json schema", "grammar"))
        if schema and "response_format" in sent:
            self.constrained = False
            return True
        if "seed" in message and "seed" in sent:
            self.seed = False
            return True
        if "temperature" in message and sent.get("temperature") == 0:
            self.temperature = False
            return True
        too_long = any(words in message for words in ("context", "too long", "too many tokens"))
        if not self.sure and not too_long and ("top_logprobs" in sent or "seed" in sent or "response_format" in sent):
            self.top, self.constrained, self.seed = 0, False, False  # it does not say what it cannot do
            return True
        return False


def body(ask: Ask, model: str, can: Abilities) -> dict[str, Any]:
    """The request of an ask, as keyword arguments of the client.

    A closed question is asked at temperature 0 where log-probabilities come: the method draws from these itself. Where
    none come, the server draws, and its answer is tied to the allowed ones if it can do so.
    """
    sent: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in ask.messages],
        can.length: ask.max_tokens,
    }
    temperature = 0.0 if ask.allowed and can.top else ask.temperature
    if can.temperature or temperature:
        sent["temperature"] = temperature
    if temperature and can.seed:
        sent["seed"] = ask.seed % 2**31
    if can.top:
        sent |= {"logprobs": True, "top_logprobs": can.top}
    elif ask.allowed and can.constrained:
        sent["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": _schema(ask.allowed)},
        }
    return sent


def _schema(allowed: tuple[str, ...]) -> dict[str, Any]:
    answer = {"type": "string", "enum": list(allowed)}
    return {"type": "object", "properties": {"answer": answer}, "required": ["answer"], "additionalProperties": False}


def most_tokens(ask: Ask) -> tuple[int, int]:
    """The most tokens of question and answer that the ask can take: a token is at least one byte of the text."""
    read = sum(len(turn.content.encode("utf-8", "replace")) + OVERHEAD for turn in ask.messages)
    return read + sum(len(answer.encode("utf-8", "replace")) + 4 for answer in ask.allowed), ask.max_tokens


def likely_tokens(texts: list[str]) -> int:
    """Tokens of these texts, where nobody counts: about one for four bytes, and four for a turn."""
    return sum(len(text.encode("utf-8", "replace")) // 4 + 4 for text in texts)
