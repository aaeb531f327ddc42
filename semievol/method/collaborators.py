"""Lists of collaborators: which settings of one do something, which two would answer alike, and changes of a list.

Every change gives a new list, or says in a sentence why it cannot be. Knows nothing of data; whether these fit a
collaborator without a language model is said by `method.voters.obstacle`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from semievol.config import LONGEST_NAME, MOST_COLLABORATORS, VOTERS, Collaborator, Config, Propagation
from semievol.endpoints import is_endpoint, name_of
from semievol.errors import UserError

Collaborators = tuple[Collaborator, ...]
_PLAIN = {"base": "base", "warm_up": "warm-up", "neighbours": "neighbours' vote", "regression": "regression"}


@dataclass(frozen=True)
class Around:
    """What decides, beside a collaborator's own settings, which of these do something.

    model: the round's. k: demonstrations per record. instructed: whether the task has an instruction.
    """

    model: str
    k: int
    instructed: bool

    @classmethod
    def of(cls, config: Config, instruction: str) -> Around:
        return cls(config.model, config.propagation.k, bool(instruction))


def effective(one: Collaborator, around: Around, judge: bool = False) -> frozenset[str]:
    """The settings, beside the name, on which the answers of `one` depend. judge: it reads candidates, whose order is
    drawn with its seed."""
    if one.model in VOTERS:
        return frozenset({"model"})
    shown = one.demonstrations and around.k > 0
    found = {"model", "temperature"}
    found |= {"demonstrations"} if around.k > 0 else set()
    found |= {"order"} if shown and around.k > 1 else set()
    found |= {"variant"} if around.instructed else set()
    shuffled = "order" in found and one.order == "shuffled"
    return frozenset(found | ({"seed"} if one.temperature > 0 or shuffled or judge else set()))


def alike(mine: Sequence[Collaborator], around: Around) -> dict[str, str]:
    """Name of a collaborator that would give exactly the answers of an earlier one -> the name of that one.

    Draws of chance are keyed by the name, so those that draw are never alike.
    """
    seen: dict[object, str] = {}
    found: dict[str, str] = {}
    for one in mine:
        settings = effective(one, around)
        if "seed" in settings:
            continue
        values = one.model_dump(include=set(settings)) | {"model": "base" if one.model == around.model else one.model}
        first = seen.setdefault(tuple(sorted(values.items())), one.name)
        if first != one.name:
            found[one.name] = first
    return found


def checked(mine: Sequence[Collaborator], around: Around) -> Collaborators:
    """The list, if a round can have it. Raises UserError for one that is empty or too long, for names that are missing
    or equal, and for two that would give the same answers."""
    where = "collaborators"
    if not mine:
        raise UserError("A round needs at least one collaborator.", where, "Add another one, then remove this one.")
    if len(mine) > MOST_COLLABORATORS:
        raise UserError(f"A round has at most {MOST_COLLABORATORS} collaborators.", where, "Remove one first.")
    names = [one.name for one in mine]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f'Two collaborators are called "{twice}".', where, "Give each of them a name of its own.")
    if twins := alike(mine, around):
        second, first = next(iter(twins.items()))
        raise UserError(
            f'"{second}" would give exactly the same answers as "{first}".',
            where,
            "Let one of them differ: another model, with or without demonstrations, or a temperature above 0.",
        )
    return tuple(mine)


def changed(one: Collaborator, **values: Any) -> Collaborator:
    """The collaborator with other values. One that becomes a voter loses the settings that a voter does not have.
    Raises UserError for a value that cannot be."""
    values = {name: value.strip() if name == "name" else value for name, value in values.items()}
    if values.get("model") in VOTERS:
        values |= {"demonstrations": False, "order": "similar_last", "variant": "standard", "temperature": 0.0}
    if values.get("name") == "":
        raise UserError("A collaborator needs a name.", "name", "Type one.")
    try:
        return Collaborator.model_validate(one.model_dump() | values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "collaborator"
        what = f"{first['msg'].removeprefix('Value error, ')}, found {first['input']!r:.80}."
        raise UserError(what, where, "Choose another value.") from None


def plain_name(one: Collaborator) -> str:
    """What a collaborator is called that nobody has named: after its model and what it reads."""
    called = name_of(one.model) if is_endpoint(one.model) else PurePath(one.model).name
    model = _PLAIN.get(one.model) or called or one.model
    if one.model in VOTERS:
        return model
    how = ", demonstrations" if one.demonstrations else " alone"
    return model[: LONGEST_NAME - len(how) - 4] + how


def replaced(mine: Sequence[Collaborator], place: int, **values: Any) -> Collaborators:
    """The list with other values of the collaborator at `place`. A plain name follows them."""
    old, new = mine[place], changed(mine[place], **values)
    plain = plain_name(old)
    if new.name == old.name and plain != plain_name(new) and re.fullmatch(rf"{re.escape(plain)}( \d+)?", old.name):
        new = changed(new, name=_free_name(plain_name(new), removed(mine, place)))
    return (*mine[:place], new, *mine[place + 1 :])


def added(mine: Sequence[Collaborator], around: Around) -> Collaborators:
    """The list with a new one at its end: the first plain way of answering that is not in it, else a sample."""
    for model in ("warm_up", "base"):
        for shown in (True, False) if around.k else (False,):
            new = Collaborator(name="-", model=model, demonstrations=shown, seed=_free_seed(mine))
            new = changed(new, name=_free_name(plain_name(new), mine))
            if new.name not in alike([*mine, new], around):
                return (*mine, new)
    name = _free_name("sample", mine)
    return (*mine, Collaborator(name=name, demonstrations=False, temperature=1.0, seed=_free_seed(mine)))


def copied(mine: Sequence[Collaborator], place: int, around: Around) -> Collaborators:
    """The list with a copy after the collaborator at `place`, under a name and with a seed of its own. Where it would
    give the same answers, it draws them at temperature 1. Raises UserError for a voter, which cannot draw."""
    one = mine[place]
    if one.model in VOTERS:
        raise UserError(
            f'A copy of "{one.name}" would give exactly the same answers.', "collaborators", "Add another one instead."
        )
    temperature = one.temperature if "seed" in effective(one, around) else 1.0
    values = {"name": _free_name(one.name, mine), "seed": _free_seed(mine), "temperature": temperature}
    return (*mine[: place + 1], changed(one, **values), *mine[place + 1 :])


def removed(mine: Sequence[Collaborator], place: int) -> Collaborators:
    return (*mine[:place], *mine[place + 1 :])


def moved(mine: Sequence[Collaborator], place: int, by: int) -> Collaborators:
    """The list with the collaborator at `place` moved by this many places, not beyond an end."""
    others = removed(mine, place)
    to = min(max(place + by, 0), len(others))
    return (*others[:to], mine[place], *others[to:])


def written(one: Collaborator) -> dict[str, Any]:
    """The collaborator as settings keep it: name, model, and what differs from the defaults."""
    return {"name": one.name, "model": one.model} | one.model_dump(mode="json", exclude_defaults=True)


def kept(settings: dict[str, Any], preset: Propagation, mine: Sequence[Collaborator], judge: Collaborator) -> Any:
    """`propagation` of a project's settings with these collaborators and this judge; only what differs from the preset
    is in it. None if nothing is."""
    propagation = {k: v for k, v in (settings.get("propagation") or {}).items() if k not in ("collaborators", "judge")}
    if tuple(mine) != preset.collaborators:
        propagation["collaborators"] = [written(one) for one in mine]
    plain = preset.judge.model_dump(mode="json")
    if differing := {k: v for k, v in judge.model_dump(mode="json").items() if v != plain[k]}:
        propagation["judge"] = differing
    return propagation or None


def _free_name(wanted: str, mine: Sequence[Collaborator]) -> str:
    """`wanted`, else with the first number from 2 on that no other has behind it."""
    names = {one.name for one in mine}
    stem, _, number = wanted.rpartition(" ")
    stem = stem if stem[-1:].isalpha() and number.isdecimal() else wanted
    tried = (wanted, *(f"{stem[: LONGEST_NAME - 4].rstrip()} {n}" for n in range(2, MOST_COLLABORATORS + 3)))
    return next(name for name in tried if name not in names)


def _free_seed(mine: Sequence[Collaborator]) -> int:
    """The smallest seed from 1 on that no other has."""
    seeds = {one.seed for one in mine}
    return next(n for n in range(1, len(mine) + 2) if n not in seeds)
