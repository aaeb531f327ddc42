"""Chat turns to token ids by the model's own template, the same for answering and for training.

The whole conversation, answer included, is rendered and tokenised; its parts are never tokenised alone and joined.
Knows nothing of tensors.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig

from semievol.engines.models.template import Template
from semievol.engines.packing.shares import common_length
from semievol.errors import UserError
from semievol.records import Example, Message

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Turn:
    """A tokenised conversation.

    prompt: ids up to the point where the answer starts.
    reply: ids of the answer as the template renders it, closed by the end-of-turn token.
    left_out: places in the reply that are not trained on.
    """

    prompt: tuple[int, ...]
    reply: tuple[int, ...]
    left_out: frozenset[int] = frozenset()

    @property
    def length(self) -> int:
        """Tokens of prompt and reply."""
        return len(self.prompt) + len(self.reply)

    def compact(self) -> Turn:
        """The same with one object for each id, whatever holds it: 8 bytes a token instead of 49."""
        prompt, reply = (tuple(_one_object.setdefault(i, i) for i in ids) for ids in (self.prompt, self.reply))
        return Turn(prompt, reply, self.left_out)


_one_object: dict[int, int] = {}
_AT_ONCE = 1_000
"""Examples that are tokenised before they are made compact."""


class Chat:
    """A model folder's tokenizer and chat template.

    context: most tokens of prompt and answer together; None if the model has no limit.
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
        special = {id_ for id_, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        self._special = frozenset(special | set(self.tokenizer.all_special_ids))
        tokens = self.tokenizer.convert_ids_to_tokens(sorted(self._special))
        self.control_tokens: tuple[str, ...] = tuple(sorted(tokens, key=lambda token: (-len(token), token)))
        self._template = Template(self.tokenizer, self.control_tokens, folder.name)
        # The template's own tokens. Some templates add a system turn if there is none, so the larger number counts.
        user = Message("user", "x")
        self._fixed = max(map(len, self.prompts([[Message("system", "x"), user], [user]])))
        self._a_byte_a_token = getattr(self.tokenizer.backend_tokenizer, "normalizer", None) is None
        self._replies: dict[tuple[tuple[int, ...], str], tuple[int, ...]] = {}
        self.stops = self._stop_ids(folder)

    @property
    def plain(self) -> bool:
        """Whether the model has no chat template, so that the Studio's plain one is used."""
        return self._template.plain

    def prompts(self, conversations: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        """Ids of every conversation up to the point where the answer starts."""
        if not conversations:
            return []
        texts = [self._template.prompt(messages) for messages in conversations]
        return [tuple(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]]

    def fits(self, messages: Sequence[Message], allowed: Sequence[str], max_tokens: int) -> bool:
        """Whether prompt and answer stay within the context: the longest allowed answer, else `max_tokens` of a
        generated one, but at most a quarter of the context."""
        if self.context is None:
            return True
        # Without a normalizer every token is at least one byte of the text: if the bytes fit, there is no need to
        # tokenise the prompt.
        parts = [*(message.content for message in messages), *allowed]
        at_most = sum(len(part.encode("utf-8", "replace")) + 16 for part in parts)
        room = self.context - self._fixed - (0 if allowed else min(max_tokens, self.context // 4))
        if self._a_byte_a_token and at_most <= room:
            return True
        (prompt,) = self.prompts([messages])
        turns = [self.turn(messages, prompt, answer) for answer in allowed]
        longest = max((turn.length for turn in turns), default=len(prompt))
        return longest <= room + self._fixed

    def turn(self, messages: Sequence[Message], prompt: tuple[int, ...], answer: str) -> Turn:
        """`messages` answered by `answer`. prompt: the ids that `prompts` gives for the messages.

        Prompt + reply is always exactly the tokenisation of the answered conversation. If a token covers the end of the
        prompt and the beginning of the answer, it belongs to the reply. Raises UserError if a word of the question
        would belong to the reply, too.
        """
        tail = self._tail(prompt)
        reply = self._replies.get((tail, answer)) if tail else None
        if reply is not None:
            return Turn(prompt, reply)
        text, place = self._template.answered(messages, answer)
        ids, starts = self._ids(text, place.stop)
        shared = common_length(prompt, ids)
        if starts[shared] < self._template.question_end(messages, text[: place.start]):
            raise UserError(
                f"The chat template shows the question {messages[-1].content[:60]!r} otherwise once it is answered.",
                f"model {self.name}",
                "Choose a model with another chat template, or leave this record out.",
            )
        turn = Turn(ids[:shared], ids[shared:])
        if tail and shared == len(prompt):
            if len(self._replies) > 50_000:
                self._replies.clear()
            self._replies[tail, answer] = turn.reply
        return turn

    def turns(self, examples: Sequence[Example]) -> list[Turn]:
        """Examples to train on, never cut. One that exceeds the model's context is left out, which is logged."""
        turns: list[Turn] = []
        for start in range(0, len(examples), _AT_ONCE):
            some = examples[start : start + _AT_ONCE]
            prompts = self.prompts([example.messages for example in some])
            turns += [
                self.turn(example.messages, prompt, example.answer).compact()
                for example, prompt in zip(some, prompts, strict=True)
            ]
        fitting = [turn for turn in turns if self.context is None or turn.length <= self.context]
        if len(fitting) < len(turns):
            _log.warning(
                "%d of %d examples are left out: they exceed the model's %d tokens",
                len(turns) - len(fitting),
                len(turns),
                self.context,
            )
        return fitting

    def text(self, ids: Sequence[int]) -> str:
        """Generated ids as text, without control tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _ids(self, text: str, answer_end: int) -> tuple[tuple[int, ...], list[int]]:
        """Ids of the text of an answered conversation up to the end-of-turn token after the answer, this included, and
        the places in the text where the tokens begin."""
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, spans = encoded["input_ids"], encoded["offset_mapping"]
        starts = [span[0] for span in spans]
        for i, token in enumerate(ids):
            if token in self._special and starts[i] >= answer_end:
                return tuple(ids[: i + 1]), starts
        ended = [i for i, start in enumerate(starts) if start < answer_end]
        closing = [] if self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]
        return (*ids[: ended[-1] + 1], *closing), starts

    def _tail(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """The prompt from its last control token on. Text is cut at control tokens before it is tokenised, so the ids
        of an answer do not depend on anything before that token."""
        for i in range(len(prompt) - 1, 0, -1):
            if prompt[i] in self._special:
                return prompt[i:]
        return ()

    def _stop_ids(self, folder: Path) -> frozenset[int]:
        stops = {self.tokenizer.eos_token_id}
        if (folder / "generation_config.json").is_file():
            configured = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
            stops |= set(configured) if isinstance(configured, list) else {configured}
        text, place = self._template.answered([Message("user", "question")], "answer")
        last = self._ids(text, place.stop)[0][-1]
        stops |= {last} & self._special
        return frozenset(stop for stop in stops if stop is not None)
