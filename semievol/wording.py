"""Numbers, lists, decisions and models in words, on screen and in the report alike: 0.943, 94.3 %, "a, b and c"."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from semievol.records import ACTIONS

DASH = "–"
DECISION_WORDS: dict[str, str] = {action: action for action in ACTIONS} | {"ambiguous": "none fits"}
"""What a reviewer decided, in the words of the review's buttons."""
STATUS_WORDS: dict[str, str] = {"cancelled": "stopped", "interrupted": "cut short"}
"""States of a run whose words on the screen differ from those of the store."""
SIMPLER_WORDS = {
    "majority": "Most frequent label",
    "neighbours": "Neighbours' vote",
    "regression": "Regression",
    "tuned_regression": "Fine-tuned embedder",
}
"""Methods without a language model."""
ENSEMBLE = "_ensemble"
"""How the rows of models together with the simple models end."""
WAY_WORDS = {
    "": "without demonstrations",
    "_demonstrations": "with demonstrations",
    "_averaged": "both averaged",
    ENSEMBLE: "in the ensemble",
}
"""Ways in which a language model answers."""
_PATH = re.compile(r"(?:~|\b[A-Za-z]:|(?<![\w/\\.]))(?:[/\\][^/\\\s\"'<>|]+)*([/\\][^/\\\s\"'<>|]+)")
_LONG = 40
"""Most characters of a path in a sentence."""


def count(value: int | float | None) -> str:
    """12480 -> "12,480"; a missing value is a dash."""
    return DASH if value is None else f"{int(value):,}"


def score(value: float | None, digits: int = 3) -> str:
    """0.94321 -> "0.943"; missing and not-a-number are a dash."""
    return DASH if value is None or math.isnan(value) else f"{value:.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """0.943 -> "94.3 %"; missing and not-a-number are a dash."""
    return DASH if share is None or math.isnan(share) else f"{100 * share:.{digits}f} %"


def points(difference: float) -> str:
    """A difference of two shares in points: 0.0741 -> "+7.4", with a true minus sign."""
    rounded = round(100 * difference, 1)
    return f"{'−' if rounded < 0 else '+' if rounded > 0 else '±'}{abs(rounded):.1f}"


def about(seconds: float) -> str:
    """An estimated time, no more exact than an estimate can be: "about 40 s", "about 7 min", "about 2.5 h"."""
    if seconds < 90:
        return f"about {max(10, round(seconds / 10) * 10):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def plural(number: int, word: str) -> str:
    """(1, "record") -> "1 record", (12480, "record") -> "12,480 records"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def shorten(text: str, limit: int = 160) -> str:
    """One line of at most `limit` characters, cut with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def brief(text: str, limit: int = 240) -> str:
    """The text with every long path cut to its last name, and at most `limit` characters of it."""
    short = _PATH.sub(lambda path: f"…{path[1]}" if len(path[0]) > _LONG else path[0], text)
    return short if len(short) <= limit else shorten(short, limit)


def series(words: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def model_words(later_round: bool = False) -> dict[str, str]:
    """Model -> its name. later_round: the evolved model of the round before stands in the place of the warm-up."""
    before = "Round before" if later_round else "Plain fine-tuning (warm-up)"
    return {"base": "Base", "warm_up": before, "evolved": "Evolved"}


def row_words(later_round: bool = False) -> dict[str, str]:
    """Row of an evaluation -> its name, in the order of its display."""
    ways = {
        f"{model}{way}": f"{word}, {how}" if way else word
        for model, word in model_words(later_round).items()
        for way, how in WAY_WORDS.items()
        if (model, way) != ("base", ENSEMBLE)  # only fine-tuned models answer in it
    }
    return ways | SIMPLER_WORDS
