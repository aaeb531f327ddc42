"""Letters that look like others (Unicode TR 39), folded to the one they look like; for comparing texts only."""

from __future__ import annotations

import unicodedata
from functools import cache

from confusable_homoglyphs import confusables


def skeleton(text: str) -> str:
    """The text in compatibility form (NFKC) and small letters, with look-alikes of ASCII letters and digits as these.

    Cyrillic "а" becomes Latin "a". Two texts with the same skeleton look alike; the skeleton itself is not for reading.
    """
    return unicodedata.normalize("NFKC", text).casefold().translate(_look_alikes())


@cache
def _look_alikes() -> dict[int, str]:
    found = {}
    for char, alike in confusables.confusables_data.items():
        target = next((a["c"] for a in alike if len(a["c"]) == 1 and a["c"].isascii() and a["c"].isalnum()), None)
        if target is not None and len(char) == 1 and not char.isascii():
            found[ord(char)] = target.casefold()
    return found
