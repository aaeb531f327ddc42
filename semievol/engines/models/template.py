"""A chat template: turns to text, and where the answer is in it.

Templates differ in more than their marks: some open a thought before the answer, some move the system turn once there
is an answer, some have no system turn. So nothing is assumed: every template is tried with made-up conversations when
it is loaded, and the prompt is the text of the answered conversation up to the answer. Knows nothing of tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jinja2.exceptions import TemplateError

from semievol.errors import UserError
from semievol.records import Message
from semievol.task.prompts import neutralise

_PLAIN = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'Question: ' + message['content'] + '\\n' }}"
    "{% else %}{{ 'Answer: ' + message['content'] + eos_token + '\\n\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Answer:' }}{% endif %}"
)
"""For base models, which have no template: words as in ordinary text, and the end token after each answer."""
# Thinking is switched off if the template has a switch for it. A template that prints the date gets a fixed one, since
# the prompt must not change from day to day.
_DAY = datetime(2024, 7, 26)
SETTINGS = {
    "enable_thinking": False,
    "thinking": False,
    "date_string": _DAY.strftime("%d %b %Y"),
}
_TODAY = re.compile(r"\bstrftime_now\((['\"])(.*?)\1\)")
_INSTRUCTION, _SHOWN, _TAUGHT = "zebra instruction", "okapi question", "tapir"
_ASKED, _ANSWER = "gnu question", "zebraquagga"


class Template:
    """A tokenizer's chat template, or _PLAIN if it has none.

    plain: whether it is _PLAIN. folds_system: whether a system turn becomes the beginning of the first user turn, since
    the template has no place for it. lead: the blanks between the template's own prompt and the answer; None if that
    prompt is not used. Raises UserError for a template that does not keep question and answer apart.
    """

    def __init__(self, tokenizer: Any, control_tokens: Sequence[str], name: str) -> None:
        self._tokenizer, self._control_tokens, self._name = tokenizer, control_tokens, name
        self.plain = not tokenizer.chat_template
        if self.plain:
            tokenizer.chat_template = self._opening_token() + _PLAIN
        elif isinstance(tokenizer.chat_template, str):
            tokenizer.chat_template = _TODAY.sub(lambda m: repr(_DAY.strftime(m[2])), tokenizer.chat_template)
        self.folds_system = False
        found = self._tried(with_system=True)
        if found is None:
            self.folds_system = True
            found = self._tried(with_system=True)
        alone = self._tried(with_system=False)
        if found is None or alone is None:
            raise UserError(
                "The chat template does not show question and answer one after the other, each whole.",
                f"model {name}",
                "Choose a model with another chat template, or give this one the template of its family.",
            )
        # The text between the template's prompt for generating and the answer. Unless it is blank and always the same,
        # that prompt is not used.
        leads = found | alone
        self.lead = leads.pop() if len(leads) == 1 else None

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text before the answer, without a last blank, which belongs to the answer's first token."""
        return self._rendered(messages) if self.lead is not None else self._before(messages).rstrip(" ")

    def answered(self, messages: Sequence[Message], answer: str) -> tuple[str, range]:
        """`messages` answered by `answer` as text, and where the answer is in it. Raises UserError if the template does
        not show the answer."""
        answer = neutralise(answer, self._control_tokens).strip()
        text = self._rendered([*messages, Message("assistant", answer)], answered=True)
        start = len(self._before(messages))
        if not answer or text[start : start + len(answer)] != answer:
            start = text.rfind(answer)
        if start < 0 or not answer:
            raise UserError(
                f"The chat template does not show the answer {answer[:60]!r}.",
                f"model {self._name}",
                "Choose a model whose template ends with the assistant's own words." if answer else "Give an answer.",
            )
        return text, range(start, start + len(answer))

    def question_end(self, messages: Sequence[Message], text: str) -> int:
        """Where the last question ends in the text before its answer; 0 if it cannot be found."""
        question = neutralise(messages[-1].content, self._control_tokens).strip()
        place = text.rfind(question)
        return place + len(question) if place >= 0 else 0

    def _before(self, messages: Sequence[Message]) -> str:
        """The text before the answer to `messages`."""
        if self.lead is not None:
            return self._rendered(messages) + self.lead
        text = self._rendered([*messages, Message("assistant", _ANSWER)], answered=True)
        return text[: text.rfind(_ANSWER)]

    def _rendered(self, messages: Sequence[Message], answered: bool = False) -> str:
        turns = [{"role": m.role, "content": neutralise(m.content, self._control_tokens)} for m in messages]
        if self.folds_system and turns and turns[0]["role"] == "system":
            instruction = turns.pop(0)["content"]
            turns[0]["content"] = f"{instruction}\n\n{turns[0]['content']}"
        return str(
            self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=not answered, **SETTINGS)
        )

    def _tried(self, with_system: bool) -> set[str | None] | None:
        """The texts between prompt and answer in conversations with and without a demonstration: blanks, or None if
        the answered conversation does not begin with the template's prompt. None for a template that is of no use."""
        leads: set[str | None] = set()
        for shown in (False, True):
            turns = [Message("system", _INSTRUCTION)] if with_system else []
            turns += [Message("user", _SHOWN), Message("assistant", _TAUGHT)] if shown else []
            turns.append(Message("user", _ASKED))
            try:
                prompt = self._rendered(turns)
                text = self._rendered([*turns, Message("assistant", _ANSWER)], answered=True)
            except (TemplateError, TypeError, ValueError):
                return None
            before, answer, after = text.partition(_ANSWER)
            asked_until = before.rfind(_ASKED) + len(_ASKED)
            expected = [turn.content for turn in turns]
            places = [before.find(words) for words in expected]
            in_order = -1 not in places and places == sorted(places)
            alike = prompt[:asked_until] == before[:asked_until]
            if not answer or not in_order or not alike or any(words in after for words in [*expected, _ANSWER]):
                return None
            lead = before[len(prompt) :] if before.startswith(prompt) else None
            leads.add(lead if lead is None or not lead.strip() else None)
        return leads

    def _opening_token(self) -> str:
        """The token that the tokenizer puts before every text, or nothing. Raises UserError without an end token."""
        if self._tokenizer.eos_token is None:
            raise UserError(
                "The model has neither a chat template nor a token that ends a text.",
                f"model {self._name}",
                "Choose an instruction-tuned (chat) model.",
            )
        ids, first = self._tokenizer("x")["input_ids"], self._tokenizer.bos_token_id
        return str(self._tokenizer.bos_token) if first is not None and ids[:1] == [first] else ""
