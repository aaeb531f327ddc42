"""Conversations in one cell: chat messages (OpenAI), contents of parts (Gemini), ShareGPT, and lists of exchanges.

The last question is the question, what the assistant said to it is the answer, and all before are earlier turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from semievol.importing.forms import turns
from semievol.importing.forms.unfolding import ANSWER, EARLIER, QUESTION, Tally, Unreadable, hold, parsed, written
from semievol.importing.table import Limits, Table
from semievol.records import Message

Role = Literal["system", "user", "assistant", "tool"]
_ROLES: dict[str, Role] = {
    **dict.fromkeys(("user", "human", "prompter", "question", "instruction"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatgpt", "model", "answer", "chatbot"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation", "function_call", "tool_call", "ipython"), "tool"),
}
_REMEDY = "Give it turns with a role and a text, the last question before the answer."
_NO_QUESTION = "The cell holds no conversation with a question."
_OPENING = "What an assistant says before the first question was left out. Conversations"
_TOOLS = "Tool calls and their results, which no prompt can show, were left out of conversations"


@dataclass(frozen=True)
class _Turn:
    """calls: whether it is a tool call. unread: what it holds beside text, such as an image. learned: False where its
    weight says that no model should learn it."""

    role: Role
    text: str
    calls: bool = False
    unread: str = ""
    learned: bool = True


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with `question`, `answer` and `earlier turns`; None where no column holds conversations.

    A table that has a question or an answer of its own stays as it is: our own exports hold both.
    """
    names = {column.casefold() for column in table.columns}
    if names & {QUESTION, ANSWER}:
        return None
    held = [name for name in table.columns if name.casefold() not in _SYSTEM and has_turns(table, name)]
    column = next((name for name in held if name.casefold() not in (*_APART, *_REFUSED)), next(iter(held), None))
    if column is None or column.casefold() in _REFUSED:
        return None
    # Forms with the answer apart: a prompt of turns, and a completion of turns, or of one.
    apart = next((name for name in held if name.casefold() in _APART and name != column), None)
    refused = [name for name in held if name.casefold() in _REFUSED]
    system = next((c for c in table.columns if c.casefold() in _SYSTEM), None)
    tools, opening = Tally(), Tally()

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        found = _turns(cells[column])
        if found is None:
            raise Unreadable(column, _NO_QUESTION, _REMEDY)
        if apart is not None:
            said_apart = _turns(cells[apart]) or []
            found = said_apart if said_apart[: len(found)] == found else [*found, *said_apart]
        if system is not None and (said := _system(cells[system])):
            found = [_Turn("system", said), *found]
        if any(turn.calls or turn.role == "tool" for turn in found):
            tools.add(number, cells[column] or "")
        first = next((turn for turn in found if turn.role in ("user", "assistant") and not turn.calls), None)
        if first is not None and first.role == "assistant":
            opening.add(number, first.text)
        yield _asked(found, column)

    new = written(table, [QUESTION, ANSWER, EARLIER], read, limits, taken_apart=[system] if system else [])
    more = f' What "{apart}" holds comes last.' if apart else ""
    new.structure = [name for name in (column, apart, *refused) if name]
    new.notes.append(f'The column "{column}" holds conversations: the last turn is the answer, if it is one.{more}')
    if refused:
        new.notes.append(f"Answers that were not preferred are not read: {', '.join(refused)}.")
    new.doubts.extend(tools.doubt("tool_turns", _TOOLS, "Make sure that the answers can be given without them."))
    new.doubts.extend(opening.doubt("opening_left_out", _OPENING, "Write them into the first question if they matter."))
    return turns.settled(new)


def has_turns(table: Table, column: str) -> bool:
    """Whether the column holds conversations, or single turns."""
    return hold(table, column, _turns)


_SYSTEM = ("system", "systeminstruction", "system_instruction")
_APART = ("completion", "response", "chosen", "preferred_output")
_REFUSED = ("rejected", "non_preferred_output")


def _system(cell: str | None) -> str:
    """The text of a system turn that has a column of its own."""
    found = parsed(cell, "{")
    parts = found.get("parts") if isinstance(found, dict) else None
    return (cell or "").strip() if parts is None else _text(parts)[0]


def _asked(found: list[_Turn], column: str) -> tuple[str, str | None, str | None]:
    """Question, answer, and the cell of earlier turns. Raises `Unreadable` where there is no question to answer."""
    if found and found[-1].calls:
        raise Unreadable(column, "The answer is a tool call.", "Give the answer as text, or delete the row.")
    if found and found[-1].role == "tool":
        raise Unreadable(column, "The conversation ends with a tool's result.", "Add the answer to it as text.")
    said = [turn for turn in found if turn.role != "tool" and not turn.calls]
    unread = next((turn.unread for turn in said if turn.unread), "")
    if unread:
        raise Unreadable(column, f"A turn holds something that is not text ({unread[:40]}).", "Give it as text.")
    last = max((place for place, turn in enumerate(said) if turn.role == "user"), default=None)
    if last is None:
        raise Unreadable(column, _NO_QUESTION, _REMEDY)
    if any(not turn.learned for turn in said[last + 1 :]):
        raise Unreadable(
            column, "The answer has weight 0.", "Give it another weight, or move the row to the unlabeled."
        )
    answer = "\n\n".join(turn.text for turn in said[last + 1 :] if turn.role == "assistant") or None
    first = last
    while first and said[first - 1].role == "user":
        first -= 1
    question = "\n\n".join(turn.text for turn in said[first : last + 1])
    system = [turn for turn in said if turn.role == "system" and turn.text.strip()]
    talk = [turn for turn in said[:first] if turn.role != "system"]
    # Many models' templates refuse a conversation that does not begin with a question.
    while talk and talk[0].role == "assistant":
        talk.pop(0)
    before = [*system, *talk]
    earlier = [Message(cast(Literal["system", "user", "assistant"], turn.role), turn.text) for turn in before]
    return question, answer, turns.as_cell(earlier)


def _turns(cell: str | None) -> list[_Turn] | None:
    """The turns of a conversation, or the only one; None where the cell is something else."""
    found = parsed(cell, "[{")
    if isinstance(found, dict):
        alone = isinstance(found.get("role", found.get("from")), str)
        found = [found] if alone else found.get("messages", found.get("conversations"))
    if not isinstance(found, list) or not found:
        return None
    read: list[_Turn] = []
    for turn in found:
        some = _read(turn)
        if not some:
            return None
        read += some
    return read


def _read(turn: Any) -> list[_Turn]:
    """A turn, or an exchange of two; none where it is something else."""
    if not isinstance(turn, dict):
        return []
    role = turn.get("role", turn.get("from", turn.get("speaker", "user" if "parts" in turn else None)))
    if not isinstance(role, str):
        pair = [(_ROLES[key.casefold()], text) for key, text in turn.items() if key.casefold() in _ROLES]
        fits = len(pair) == len(turn) in (1, 2) and all(
            isinstance(text, str) and who in ("user", "assistant") for who, text in pair
        )
        return [_Turn(who, text) for who, text in pair] if fits else []
    known = _ROLES.get(role.casefold())
    content = turn.get("content", turn.get("value", turn.get("text", turn.get("parts"))))
    calls = bool(turn.get("tool_calls") or turn.get("function_call"))
    if known is None or (content is None and not calls and not _has_content(turn)):
        return []
    text, unread = _text(content)
    return [_Turn(known, text, calls=calls and not text.strip(), unread=unread, learned=turn.get("weight") != "0")]


def _has_content(turn: dict[str, Any]) -> bool:
    return any(key in turn for key in ("content", "value", "text", "parts"))


def _text(content: Any) -> tuple[str, str]:
    """The text of a turn's content, its parts joined, and the kind of a part that is not text."""
    if content is None:
        return "", ""
    if isinstance(content, str):
        return content, ""
    parts = content if isinstance(content, list) else [content]
    texts: list[str] = []
    for part in parts:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            return "", str(part.get("type", "unknown")) if isinstance(part, dict) else "unknown"
        texts.append(text)
    return "\n".join(texts), ""
