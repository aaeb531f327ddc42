"""Chat turns to token ids by the model's own template, for answering and for training alike.

The whole conversation, answer included, is rendered and tokenised; text pieces are never tokenised apart and joined.
Knows nothing of tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig

from semievol.errors import UserError
from semievol.method.prompts import neutralise
from semievol.records import Message

# Thinking is switched off where a template knows the switch; a template that prints the date gets a fixed one, since
# the prompt must not change from day to day.
_TEMPLATE_SETTINGS = {"enable_thinking": False, "date_string": "26 Jul 2024"}


@dataclass(frozen=True)
class Turn:
    """A tokenised conversation: what is given, and what the model should say.

    prompt: ids up to the point where the answer starts.
    reply: ids of the answer as the template renders it, closed by the end-of-turn token.
    """

    prompt: tuple[int, ...]
    reply: tuple[int, ...]


class Chat:
    """A model folder's tokenizer and chat template.

    context: most tokens of prompt and answer together, None where the model has no limit.
    control_tokens: the tokenizer's special tokens as text, longest first. stops: ids that end a turn.
    """

    def __init__(self, folder: Path, context: int | None = None) -> None:
        self.name = folder.name
        self.context = context
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True, use_fast=True
            )
        except (OSError, ValueError, ImportError, KeyError) as error:
            raise UserError(
                f"The tokenizer cannot be loaded ({str(error)[:200]}).",
                f"model {folder.name}",
                "Choose a folder that holds a complete model with its tokenizer.",
            ) from None
        if not self.tokenizer.chat_template:
            raise UserError(
                "The model has no chat template.", f"model {folder.name}", "Choose an instruction-tuned (chat) model."
            )
        special = {id_ for id_, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        self._special = frozenset(special | set(self.tokenizer.all_special_ids))
        tokens = self.tokenizer.convert_ids_to_tokens(sorted(self._special))
        self.control_tokens: tuple[str, ...] = tuple(sorted(tokens, key=lambda token: (-len(token), token)))
        self._folds_system = not self._knows_system()
        self._lead = self._before_answer()
        # Most of these is template; some templates put a system turn of their own where there is none.
        user = Message("user", "x")
        self._fixed = max(map(len, self.prompts([[Message("system", "x"), user], [user]])))
        self._a_byte_a_token = getattr(self.tokenizer.backend_tokenizer, "normalizer", None) is None
        self._replies: dict[tuple[tuple[int, ...], str], tuple[int, ...]] = {}
        self.stops = self._stop_ids(folder)

    def prompts(self, conversations: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        """Ids of every conversation up to where the answer starts, for answers that the model generates."""
        if not conversations:
            return []
        texts = [self._render(messages) for messages in conversations]
        return [tuple(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]]

    def fits(self, messages: Sequence[Message], allowed: Sequence[str], max_tokens: int) -> bool:
        """Whether prompt and answer stay within the context: the longest allowed answer, else `max_tokens` of a
        generated one, but at most a quarter of the context."""
        if self.context is None:
            return True
        # A token stands for at least one byte where nothing rewrites the text before, so that most prompts need not be
        # tokenised to know that they fit.
        parts = [*(message.content for message in messages), *allowed]
        at_most = sum(len(part.encode("utf-8", "replace")) + 16 for part in parts)
        room = self.context - self._fixed - (0 if allowed else min(max_tokens, self.context // 4))
        if self._a_byte_a_token and at_most <= room:
            return True
        (prompt,) = self.prompts([messages])
        turns = [self.turn(messages, prompt, answer) for answer in allowed]
        longest = max((len(turn.prompt) + len(turn.reply) for turn in turns), default=len(prompt))
        return longest <= room + self._fixed

    def turn(self, messages: Sequence[Message], prompt: tuple[int, ...], answer: str) -> Turn:
        """`messages` answered by `answer`; `prompt` is what `prompts` gave for them.

        Where the template renders an answered conversation otherwise than its prompt (a merged token, an empty
        thinking block), the split is at the end of what both have in common, so that prompt + reply is always exactly
        the tokenisation of the answered conversation.
        """
        tail = self._tail(prompt)
        reply = self._replies.get((tail, answer)) if tail else None
        if reply is not None:
            return Turn(prompt, reply)
        ids = self._answered(messages, answer)
        shared = common_length(prompt, ids)
        turn = Turn(ids[:shared], ids[shared:])
        if tail and shared == len(prompt):
            if len(self._replies) > 50_000:
                self._replies.clear()
            self._replies[tail, answer] = turn.reply
        return turn

    def text(self, ids: Sequence[int]) -> str:
        """Generated ids as text, without control tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _answered(self, messages: Sequence[Message], answer: str) -> tuple[int, ...]:
        """Ids of the answered conversation up to and including the end-of-turn token after the answer."""
        answer = neutralise(answer, self.control_tokens).strip()
        text = self._render([*messages, Message("assistant", answer)], answered=True)
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, spans = encoded["input_ids"], encoded["offset_mapping"]
        start = len(self._render(messages)) + len(self._lead)
        if not answer or text[start : start + len(answer)] != answer:
            start = text.rfind(answer)
        if start < 0 or not answer:
            raise UserError(
                f"The chat template does not show the answer {answer[:60]!r}.",
                f"model {self.name}",
                "Choose a model whose template ends with the assistant's own words." if answer else "Give an answer.",
            )
        end = start + len(answer)
        for i, (token, span) in enumerate(zip(ids, spans, strict=True)):
            if token in self._special and span[0] >= end:
                return tuple(ids[: i + 1])
        ended = [i for i, span in enumerate(spans) if span[0] < end]
        closing = [] if self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]
        return (*ids[: ended[-1] + 1], *closing)

    def _tail(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """The prompt from its last control token on: special tokens cut text before it is tokenised, so the ids of
        an answer depend on nothing before it."""
        for i in range(len(prompt) - 1, 0, -1):
            if prompt[i] in self._special:
                return prompt[i:]
        return ()

    def _render(self, messages: Sequence[Message], answered: bool = False) -> str:
        turns = [{"role": m.role, "content": neutralise(m.content, self.control_tokens)} for m in messages]
        if self._folds_system and turns and turns[0]["role"] == "system":
            instruction = turns.pop(0)["content"]
            turns[0]["content"] = f"{instruction}\n\n{turns[0]['content']}"
        return str(
            self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=not answered, **_TEMPLATE_SETTINGS
            )
        )

    def _knows_system(self) -> bool:
        from jinja2.exceptions import TemplateError  # part of transformers' chat templates, not of ours

        probe = [{"role": "system", "content": "zebra instruction"}, {"role": "user", "content": "question"}]
        try:
            text = self.tokenizer.apply_chat_template(
                probe, tokenize=False, add_generation_prompt=True, **_TEMPLATE_SETTINGS
            )
        except TemplateError:
            return False
        return "zebra instruction" in text

    def _before_answer(self) -> str:
        """What the template puts between the prompt's end and the answer, such as a space; mostly nothing."""
        question = [Message("user", "question")]
        prompt = self._render(question)
        text = self._render([*question, Message("assistant", "zebraquagga")], answered=True)
        return text[len(prompt) : max(len(prompt), text.find("zebraquagga"))] if text.startswith(prompt) else ""

    def _stop_ids(self, folder: Path) -> frozenset[int]:
        stops = {self.tokenizer.eos_token_id}
        if (folder / "generation_config.json").is_file():
            configured = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
            stops |= set(configured) if isinstance(configured, list) else {configured}
        stops.add(self._answered([Message("user", "question")], "answer")[-1])
        return frozenset(stop for stop in stops if stop is not None)


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """How many leading ids both sequences share."""
    for i, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return i
    return min(len(left), len(right))
