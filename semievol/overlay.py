"""Settings as nested dicts: one laid over another, and a single value set at a path of names.

In a list of groups, such as the collaborators, a name is a place from 0. Knows nothing of which settings there are.
"""

from __future__ import annotations

import copy
from typing import Any

from semievol.errors import UserError


def assign(target: dict[str, Any], path: list[str], value: Any) -> None:
    """Sets the value at a path of names; the groups on the way are made where they are missing."""
    group: Any = target
    where = ".".join(path)
    for part in path[:-1]:
        group = group[_place(group, part, where)] if isinstance(group, list) else group.setdefault(part, {})
        if not isinstance(group, dict | list):
            raise UserError("This name is given a value and is also a group of settings.", where, "Set one of them.")
    group[_place(group, path[-1], where) if isinstance(group, list) else path[-1]] = value


def laid_over(below: dict[str, Any], above: dict[str, Any], where: str = "") -> dict[str, Any]:
    """`below` with the values of `above`, group by group. A group over a list changes the entries that it names by
    their places; a list replaces a list. where: the dotted path of both, for an error."""
    merged = dict(below)
    for key, value in above.items():
        there, at = merged.get(key), f"{where}{key}"
        if isinstance(value, dict) and isinstance(there, list):
            entries = copy.copy(there)
            for name, entry in value.items():
                place = _place(there, str(name), f"{at}.{name}")
                entries[place] = _merged(there[place], entry, f"{at}.{place}.")
            merged[key] = entries
        else:
            merged[key] = _merged(there, value, f"{at}.")
    return merged


def _merged(there: Any, value: Any, where: str) -> Any:
    return laid_over(there, value, where) if isinstance(there, dict) and isinstance(value, dict) else value


def _place(among: list[Any], name: str, where: str) -> int:
    if name.isascii() and name.isdecimal() and int(name) < len(among):
        return int(name)
    last = f", the last one is {len(among) - 1}" if len(among) > 1 else ""
    remedy = f"The first one is 0{last}. Or give the whole list." if among else "Give the whole list."
    raise UserError(f'There is no "{name}" among {len(among)} of them.', where, remedy)
