"""Reads a server's reply: whether it is one at all, its text, and what its truncated log-probabilities say.

Nothing is guessed: what is no valid reply raises `Invalid`, and a text outside the allowed answers stays as it is, for
the method to call unparsable. Knows nothing of requests and servers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from semievol.endpoints import without_key
from semievol.method.protocols import Ask, Reply

_AROUND = " \t\r\n\"'`*_([▁Ġ"
"""What models put before an answer without meaning it: blanks, quotes, Markdown, spaces as tokenizers write them."""
_THINKS, _THOUGHT = "<think>", "</think>"
MOST_TOKENS_READ = 4_096


class Invalid(Exception):
    """What came back is no answer. final: asking again would not help. tokens: (input, output) where it said so."""

    def __init__(self, reason: str, final: bool = False, tokens: tuple[int, int] | None = None) -> None:
        super().__init__(reason)
        self.reason, self.final, self.tokens = reason, final, tokens


@dataclass(frozen=True)
class Token:
    """A generated token with the most probable ones at its place; log-probabilities in nats, at most 0."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Said:
    """A valid reply. tokens: empty where the server gives no log-probabilities. input_tokens, output_tokens: as the
    server counts them, None where it does not."""

    text: str
    model: str
    tokens: tuple[Token, ...]
    input_tokens: int | None
    output_tokens: int | None


def read(body: bytes, model: str, key: str = "") -> Said:
    """The reply in `body`. model: that was asked. key: is hidden wherever the server repeats it."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        what = "a web page" if body.lstrip()[:1] == b"<" else "something that is no JSON"
        raise Invalid(f"the server sent {what}") from None
    if not isinstance(document, dict):
        raise Invalid("the server sent JSON that is no reply")
    used = _usage(document.get("usage"))
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Invalid("the reply has no choices", tokens=used)
    answered_by = document.get("model")
    if isinstance(answered_by, str) and not _same_model(model, answered_by):
        raise Invalid(f"the reply is from the model {without_key(answered_by, key)[:80]}, not {model}", tokens=used)
    message = choices[0].get("message")
    content = message.get("content") if isinstance(message, dict) else None
    ended = choices[0].get("finish_reason")
    if not isinstance(content, str) or not content.strip():
        if ended == "content_filter" or (isinstance(message, dict) and message.get("refusal")):
            raise Invalid("the server refuses to answer this question", final=True, tokens=used)
        if ended == "length":
            raise Invalid("all tokens were used before the answer (raise max_answer_tokens)", final=True, tokens=used)
        raise Invalid("the reply has no text", tokens=used)
    tokens = _tokens(choices[0].get("logprobs"), content, key)
    text = _without_thoughts(without_key(content, key)).strip()
    if not text:
        raise Invalid("all tokens were used for thinking (raise max_answer_tokens)", final=True, tokens=used)
    return Said(text, model, tokens, *(used or (None, None)))


def reply_of(ask: Ask, said: Said) -> Reply:
    """What the method gets. Values from truncated lists are bounds; without log-probabilities they are absent."""
    if not ask.allowed:
        if not said.tokens:
            return Reply(said.text, exactness="absent")
        entropies = tuple(_entropy(token) for token in said.tokens) if all(t.top for t in said.tokens) else ()
        logprobs = tuple(token.logprob for token in said.tokens)
        return Reply(said.text, token_logprobs=logprobs, token_entropies=entropies, exactness="bound")
    text = _unwrapped(said.text)
    found = option_probabilities(said.tokens, ask.allowed) if said.tokens and all(t.top for t in said.tokens) else None
    if found is None:
        return Reply(_spelled(text, ask.allowed), exactness="absent")
    answer, probabilities, mass = found
    return Reply(ask.allowed[answer], probabilities, mass, exactness="bound")


def option_probabilities(
    tokens: Sequence[Token], allowed: Sequence[str]
) -> tuple[int, tuple[float, ...], float] | None:
    """Place of the answer that was given, probability of every allowed one, and their unrestricted mass.

    The generated tokens are followed for as long as more than one allowed answer begins like them; at each place every
    listed token that leaves one answer only adds its probability to that answer. What is not listed, and what leaves
    several answers, could belong to the others: with k_a the mass known for the answer a that was given, and r the
    rest, p(a) >= k_a / (sum_b k_b + r), and the others share r evenly. So p(a) is a lower bound, its -log an upper one.
    None where the generated text is no allowed answer, as nothing is guessed.
    """
    texts = [answer.casefold() for answer in allowed]
    if len(set(texts)) < len(texts):
        return None
    known, rest, reach, written = [0.0] * len(texts), 0.0, 1.0, ""
    given: int | None = None
    for token in tokens[:MOST_TOKENS_READ]:
        chosen = reach * math.exp(token.logprob)
        listed = chosen
        others = list(token.top)
        if (own := next((i for i, (text, _) in enumerate(others) if text == token.text), None)) is not None:
            del others[own]
        for text, logprob in others:
            mass = reach * math.exp(logprob)
            listed += mass
            begun = _begun(written + text, texts)
            if len(begun) == 1:
                known[begun[0]] += mass
            elif begun:
                rest += mass
        rest += max(0.0, reach - listed)
        begun = _begun(written + token.text, texts)
        if not begun:
            return None
        written, reach = written + token.text, chosen
        if len(begun) == 1:
            given = begun[0]
            break
    if given is None:  # the text ended where a longer answer could still have followed
        ended = _bare(written).rstrip(" \t\r\n.\"'`*_)]")
        given = texts.index(ended) if ended in texts else None
    if given is None:
        return None
    known[given] += reach
    total = math.fsum(known) + rest
    if not 0 < known[given] <= total or not math.isfinite(total):
        return None
    shared = rest / (len(texts) - 1) if len(texts) > 1 else 0.0
    spread = [(mass if place == given else mass + shared) / total for place, mass in enumerate(known)]
    if len(texts) == 1:
        spread = [1.0]
    return given, tuple(spread), min(1.0, math.fsum(known))


def _begun(written: str, texts: Sequence[str]) -> list[int]:
    """Places of the answers that `written` begins, or states."""
    bare = _bare(written)
    if not bare:
        return list(range(len(texts)))
    exact = [place for place, text in enumerate(texts) if text.startswith(bare)]
    if exact:
        return exact
    stated = [place for place, text in enumerate(texts) if bare.startswith(text) and not bare[len(text)].isalnum()]
    return [max(stated, key=lambda place: len(texts[place]))] if stated else []


def _bare(text: str) -> str:
    return text.lstrip(_AROUND).casefold()


def _unwrapped(text: str) -> str:
    """The answer inside of the JSON that a constrained request asks for; any other text as it is."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    found = document.get("answer") if isinstance(document, dict) else None
    return found if isinstance(found, str) else text


def _spelled(text: str, allowed: Sequence[str]) -> str:
    """An allowed answer as it is spelled, where the text is one but for blanks and case."""
    found = [answer for answer in allowed if answer.casefold() == text.strip().casefold()]
    return found[0] if len(found) == 1 else text


def _entropy(token: Token) -> float:
    """Shannon entropy of the listed tokens and, as one more, of all others together: a lower bound, in nats."""
    listed = [math.exp(logprob) for _, logprob in token.top]
    parts = [*listed, max(0.0, 1.0 - math.fsum(listed))]
    return max(0.0, -math.fsum(p * math.log(p) for p in parts if p > 0))


def _tokens(logprobs: Any, content: str, key: str) -> tuple[Token, ...]:
    """The tokens of the text; empty where there are none, a value cannot be, or they are of another text."""
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(entries, list) or not entries:
        return ()
    found = []
    for entry in entries:
        one = _pair(entry)
        if one is None:
            return ()
        listed = entry.get("top_logprobs")
        top = [_pair(other) for other in listed] if isinstance(listed, list) else []
        if None in top:
            return ()
        found.append(Token(one[0], one[1], tuple(pair for pair in top if pair is not None)))
    written = _written(entries)
    if (key and key in written) or not written.strip().startswith(content.strip()):
        return ()
    return tuple(found)


def _written(entries: Sequence[dict[str, Any]]) -> str:
    """The text that the tokens make; from their bytes where the server gives them, as a character may span two."""
    raw = [entry.get("bytes") for entry in entries]
    try:
        return b"".join(bytes(part) for part in raw).decode("utf-8", "replace")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "".join(entry["token"] for entry in entries)


def _pair(entry: Any) -> tuple[str, float] | None:
    """Token and log-probability; a tiny positive one is rounding."""
    if not isinstance(entry, dict) or not isinstance(entry.get("token"), str):
        return None
    value = entry.get("logprob")
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value > 1e-3:
        return None
    return entry["token"], min(float(value), 0.0)


def _without_thoughts(content: str) -> str:
    """The text after a block of thoughts that it begins with; nothing where that block does not end."""
    if not content.lstrip().startswith(_THINKS):
        return content
    return content.partition(_THOUGHT)[2]


def _usage(document: Any) -> tuple[int, int] | None:
    """Tokens of question and answer as the server counts them."""
    if not isinstance(document, dict):
        return None
    counts = [document.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 10**9 for count in counts):
        return None
    return int(counts[0] or 0), int(counts[1] or 0)


def _same_model(asked: str, answered: str) -> bool:
    """Servers add a date or a revision, or leave the owner or the folders out."""
    one, other = (name.casefold().rstrip("/").rpartition("/")[2].partition("@")[0] for name in (asked, answered))
    return not other or one.startswith(other) or other.startswith(one)
