"""Prompts in a model's own tokens, read from its folder without transformers: for estimates made in the dashboard.

They are the ids that `engines.chat.Chat` gives. A folder without tokenizer.json is read as if three bytes made a token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from semievol.engines.models import tokenizer
from semievol.engines.models.files import read_json
from semievol.engines.models.template import Template
from semievol.records import Message

BYTES_A_TOKEN = 3
_TRACKED = re.compile(r"\b(end)?generation\b(?=\s*-?%})")  # transformers' own tag, around what the assistant says


@dataclass(frozen=True)
class Asking:
    """How a program asks the model as the Studio does, without the Studio.

    template: the chat template as it is used here. folds_system, lead: as in `Template`. end: the token that ends an
    answer, "" if there is none. scored_with_end: whether this token counts when the allowed answers are scored, as one
    of them is the beginning of another (see `inference.scoring`). stops: ids that end a generated answer.
    """

    template: str
    folds_system: bool
    lead: str | None
    end: str
    scored_with_end: bool
    stops: tuple[int, ...]
    control_tokens: tuple[str, ...]


class Reader:
    """The tokenizer and the chat template of a model's folder. Raises UserError for a template that cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._words = _Words(folder)
        self._folder = folder
        self._control_tokens = tuple(tokenizer.control_tokens(str(folder)) or ())
        self._template = Template(self._words, self._control_tokens, folder.name)

    def prompts(self, conversations: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        """Ids of every conversation up to the point where the answer starts."""
        return self._words.ids([self._template.prompt(messages) for messages in conversations])

    def ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Ids of plain texts."""
        return self._words.ids(texts)

    def asking(self, labels: Sequence[str]) -> Asking:
        """labels: the answers that are allowed in every record; empty if they are letters, or not listed."""
        answered = [self._template.answered([Message("user", "question")], label) for label in labels or ["answer"]]
        text, place = answered[0]
        ends = [(at, token) for token in self._control_tokens if (at := text.find(token, place.stop)) >= 0]
        end = min(ends, key=lambda found: found[0], default=(0, ""))[1]
        rows = sorted(self._words.ids([text[: text.index(end, place.stop)] for text, place in answered]))
        overlapping = any(after[: len(before)] == before for before, after in pairwise(rows))
        stops = self._words.known([end, self._words.eos_token or ""]) | generation_stops(self._folder)
        return Asking(
            template=self._words.chat_template or "",
            folds_system=self._template.folds_system,
            lead=self._template.lead,
            end=end,
            scored_with_end=overlapping,
            stops=tuple(sorted(stops)),
            control_tokens=self._control_tokens,
        )


@lru_cache(maxsize=4)
def reader(folder: Path) -> Reader:
    """The folder's reader; kept, since a template is tried when it is loaded."""
    return Reader(folder)


class _Words:
    """What a `Template` asks of a tokenizer of transformers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._words = tokenizer.words(folder) if (folder / "tokenizer.json").is_file() else None
        settings = _settings(folder)
        self._special = {name: text for name in _NAMED if (text := _text(settings.get(name))) is not None}
        self.eos_token, self.bos_token = self._special.get("eos_token"), self._special.get("bos_token")
        self.bos_token_id = self._words.token_to_id(self.bos_token) if self._words and self.bos_token else None
        self.chat_template = _chat_template(folder, settings)

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": self._words.encode(text).ids if self._words else list(_in_threes(text))}

    def ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        if self._words is None:
            return [_in_threes(text) for text in texts]
        return [tuple(one.ids) for one in self._words.encode_batch_fast(list(texts), add_special_tokens=False)]

    def known(self, tokens: Sequence[str]) -> set[int]:
        """Ids of these tokens, as far as there are such."""
        found = [self._words.token_to_id(token) for token in tokens if token] if self._words else []
        return {number for number in found if number is not None}

    def apply_chat_template(self, turns: Any, tokenize: bool, add_generation_prompt: bool, **settings: Any) -> str:
        assert not tokenize
        template = _compiled(self.chat_template or "")
        return template.render(
            messages=turns, add_generation_prompt=add_generation_prompt, **(self._special | settings)
        )


def generation_stops(folder: Path) -> set[int]:
    """Ids that the model's own settings name as the end of a generated text."""
    file = folder / "generation_config.json"
    found = read_json(file).get("eos_token_id") if file.is_file() else None
    return set(found if isinstance(found, list) else [] if found is None else [found])


_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def _settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, completed by special_tokens_map.json, which older folders have beside it."""
    files = [folder / "special_tokens_map.json", folder / "tokenizer_config.json"]
    found: dict[str, Any] = {}
    for file in files:
        if file.is_file():
            found |= read_json(file)
    return found


def _text(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _chat_template(folder: Path, settings: dict[str, Any]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = settings.get("chat_template")
    if isinstance(found, list):  # several, by name
        found = next((one["template"] for one in found if one["name"] == "default"), None)
    return found


def _in_threes(text: str) -> tuple[int, ...]:
    data = text.encode("utf-8", "replace")
    return tuple(int.from_bytes(data[i : i + BYTES_A_TOKEN]) for i in range(0, len(data), BYTES_A_TOKEN))


@lru_cache(maxsize=8)
def _compiled(template: str) -> Any:
    """The template as transformers compiles it: sandboxed, with its filter and functions."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(_TRACKED.sub(lambda match: "endif" if match[1] else "if true", template))


def _to_json(value: Any, ensure_ascii: bool = False, **how: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **how)


def _refuse(message: str) -> None:
    raise TemplateError(message)
