"""Removes from texts and documents what reveals this machine: its folders and the values of its keys.

A second pass changes nothing, so a project that came from an archive is exported as it came.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any

from semievol.store.settings import SHORTEST_KEY

_PATH = re.compile(r"(?<![\w./~])(?:~|file://|[A-Za-z]:)?/(?:[^\s/\"'<>:]+/)+")
"""The folders before a file's name, where a path begins a word."""
_KEY_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.I)
_NAMES = ("name",)
"""Keys of documents whose values are names that other rows repeat: they stay as they are."""


def without_paths(text: str, hidden: Collection[str] = ()) -> str:
    """The text with every absolute path cut down to its last part, and without the value of any key.

    hidden: what else must not leave. A path with a space is cut only up to it, unless it lies in the user's own folder.
    """
    keys = [value for name, value in os.environ.items() if len(value) >= SHORTEST_KEY and _KEY_NAME.search(name)]
    for value in (*keys, *hidden):
        text = text.replace(value, "***")
    home = os.path.expanduser("~").rstrip("/")
    if home.startswith("/"):
        text = re.sub(rf"(?<![\w./~]){re.escape(home)}/", "/", text)
    while (shorter := _PATH.sub("", text)) != text:
        text = shorter
    return text


def without_paths_inside(value: Any, hidden: Collection[str] = ()) -> Any:
    """The same document, every text in it as by `without_paths`, but for names."""
    if isinstance(value, dict):
        return {key: part if key in _NAMES else without_paths_inside(part, hidden) for key, part in value.items()}
    if isinstance(value, list):
        return [without_paths_inside(part, hidden) for part in value]
    if isinstance(value, str):
        return PurePosixPath(value).name or value if value.startswith("/") else without_paths(value, hidden)
    return value
