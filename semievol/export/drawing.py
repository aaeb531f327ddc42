"""Small figures as inline SVG, so that a report is one file that needs no script and no network.

Arrays in, text out; all text from data is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from semievol.palette import LIGHT

WIDTH = 640
_RIGHT, _LINE, _LETTER = 60, 30, 6.6
_LONGEST_NAME = 48


def bars(
    names: Sequence[str], values: Sequence[float], low: Sequence[float] = (), high: Sequence[float] = (), unit: str = ""
) -> str:
    """Horizontal bars with their value, and with intervals where `low` and `high` are given. Values are >= 0."""
    top = max([*values, *high, 1e-9])
    left_of = 20 + _LETTER * min(_LONGEST_NAME, max((len(name) for name in names), default=0))
    span = WIDTH - left_of - _RIGHT
    parts = []
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        y = i * _LINE
        colour = LIGHT.series[i % 2]
        parts.append(_text(left_of - 10, y + 19, name, "end", _LONGEST_NAME))
        parts.append(f'<rect x="{left_of}" y="{y + 6}" width="{span * value / top:.1f}" height="18" fill="{colour}"/>')
        end = value
        if high:
            end = high[i]
            left, right = (left_of + span * edge / top for edge in (low[i], high[i]))
            whisker = f"M{left:.1f} {y + 15}H{right:.1f}M{left:.1f} {y + 10}v10M{right:.1f} {y + 10}v10"
            parts.append(f'<path d="{whisker}" stroke="{LIGHT.text}" stroke-width="1.5"/>')
        parts.append(_text(left_of + span * end / top + 6, y + 19, f"{value:,.4g}{unit}"))
    return _figure(len(names) * _LINE + 4, parts)


def histogram(left: Sequence[float], right: Sequence[float], stacks: Mapping[str, Sequence[int]], axis: str) -> str:
    """Stacked bars over the bins [left, right), one layer per name, with a legend above."""
    totals = [sum(layer[i] for layer in stacks.values()) for i in range(len(left))]
    tallest, height, ground = max([*totals, 1]), 150, 180
    first, last = left[0], right[-1]
    scale = (WIDTH - 20) / ((last - first) or 1)
    parts = []
    for n, name in enumerate(stacks):
        parts.append(f'<rect x="{10 + 130 * n}" y="2" width="12" height="12" fill="{LIGHT.series[n]}"/>')
        parts.append(_text(28 + 130 * n, 13, name))
    for i in range(len(left)):
        below = 0
        for n, layer in enumerate(stacks.values()):
            if layer[i]:
                tall = height * layer[i] / tallest
                x, wide = 10 + (left[i] - first) * scale, max((right[i] - left[i]) * scale - 1, 0.5)
                y = ground - height * below / tallest - tall
                colour = LIGHT.series[n]
                parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="{colour}"/>')
                below += layer[i]
    parts.append(f'<path d="M10 {ground}H{WIDTH - 10}" stroke="{LIGHT.quiet}"/>')
    parts += [_text(10, ground + 16, f"{first:.3g}"), _text(WIDTH - 10, ground + 16, f"{last:.3g}", "end")]
    parts.append(_text(WIDTH / 2, ground + 34, axis, "middle"))
    return _figure(ground + 42, parts)


def _text(x: float, y: float, words: str, anchor: str = "start", longest: int = 80) -> str:
    shown = " ".join(words.split())
    shown = shown if len(shown) <= longest else shown[: longest - 1] + "…"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(shown)}</text>'


def _figure(height: float, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" width="{WIDTH}">{"".join(parts)}</svg>'
