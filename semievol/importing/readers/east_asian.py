"""Which East Asian encoding bytes may have that are no UTF-8, by where its common characters lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

_LEAST, _KINDS = 6, 5
"""Characters beyond ASCII, and different first bytes of them, from which on something can be told."""
_MOSTLY = 0.8
_PUNCTUATION = {0xA1, 0xA2, 0xA3}
_COMMON: dict[str, tuple[range, bool]] = {
    "euc_jp": (range(0xA4, 0xA6), True),  # kana
    "cp949": (range(0xB0, 0xC9), True),  # Hangul
    "gb18030": (range(0xB0, 0xD8), True),  # the 3,755 characters used most
    "big5": (range(0xA4, 0xC7), False),  # the 5,401 characters used most
}
"""First bytes of the common characters, and whether second bytes are always beyond ASCII. Korean before Chinese, whose
common characters begin with these bytes, too, but not only with them."""
_SHARES = {"euc_jp": 0.35, "cp949": 0.98, "gb18030": _MOSTLY, "big5": _MOSTLY}


def likely(read: Callable[[str], Iterable[str] | None]) -> str | None:
    """The encoding in which nearly all characters beyond ASCII are common ones; None if there is none.

    read: the text in an encoding, in pieces, or None where the bytes do not fit it.
    """
    for encoding, (common, beyond) in _COMMON.items():
        pieces = read(encoding)
        if pieces is None:
            continue
        signs = Counter(char for piece in pieces for char in piece if char > "\x7f")
        pairs = {char: char.encode(encoding) for char in signs}
        signs = Counter({char: n for char, n in signs.items() if pairs[char][0] not in _PUNCTUATION})
        total = signs.total()
        if total < _LEAST or len({pairs[char][0] for char in signs}) < (_KINDS if len(common) > _KINDS else 1):
            continue
        fit = sum(n for char, n in signs.items() if pairs[char][0] in common and len(pairs[char]) == 2)
        pure = not beyond or all(pairs[char][-1] > 0xA0 for char in signs if pairs[char][0] in common)
        if pure and fit >= _SHARES[encoding] * total:
            return encoding
    return None
