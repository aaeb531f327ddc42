"""The result of a round at a glance: one sentence, and a small chart of accuracies with their intervals.

The sentence and its interval come from `method.conclusions`; here they are only drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from semievol.method import conclusions
from semievol.ui.shell import formats, parts

INTERVAL = "The difference on the same test records, with its 95 % interval: bootstrap over records, 10,000 draws."


def lead(figures: Mapping[str, Any], later_round: bool = False, small: bool = False) -> None:
    """The sentence that everything else explains, and one more where a simpler model is ahead, or the ensemble."""
    if sentence := conclusions.outcome(figures, later_round):
        look = "sv-lead sv-small" if small else "sv-lead"
        parts.html(f"<p class='{look}' title='{escape(INTERVAL)}'>{escape(sentence)}</p>")
    for sentence in conclusions.beside_simple_models(figures):
        parts.note(sentence)


def chart(figures: Mapping[str, Any], later_round: bool = False, small: bool = False) -> None:
    """A line for each model: its accuracy as a dot on a scale from 0 to 100 %, its 95 % interval as a band.

    small: only the evolved model and what it has to beat.
    """
    simpler = conclusions.best_simpler(figures)
    rows = ["warm_up", "evolved"] if small else ["base", "warm_up", "evolved", *([simpler] if simpler else [])]
    parts.html(lines(figures, rows, later_round) + ("" if small else _legend(figures)))


def lines(figures: Mapping[str, Any], rows: Sequence[str], later_round: bool = False) -> str:
    """Markup of these rows of the chart, those that answered."""
    shown = "".join(_line(row, figures[row], later_round) for row in rows if row in figures)
    return f"<div class='sv-win'>{shown}</div>"


def _line(row: str, found: Mapping[str, float], later_round: bool) -> str:
    name = formats.row_words(later_round)[row]
    low, high, at = (100 * found[key] for key in ("low", "high", "accuracy"))
    words = f"{name}: {at:.1f} % right, between {low:.1f} and {high:.1f} %"
    strong = " sv-strong" if row == "evolved" else ""
    return (
        f"<div class='sv-name{strong}'>{escape(name)}</div>"
        f"<div class='sv-scale{strong}' role='img' aria-label='{escape(words)}' title='{escape(words)}'>"
        f"<div class='sv-band' style='left:{low:.1f}%;width:{high - low:.1f}%'></div>"
        f"<div class='sv-at' style='left:{at:.1f}%'></div></div>"
        f"<div class='sv-num{strong}'>{at:.1f} %</div>"
    )


def _legend(figures: Mapping[str, Any]) -> str:
    return (
        "<p class='sv-note' style='font-size:.8rem;margin-top:.35rem'>Right answers of "
        f"{formats.count(figures['n'])} test records; the band is the 95 % interval.</p>"
    )
