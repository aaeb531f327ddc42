"""Small figures as inline SVG, so that a report is one file that needs no script and no network.

Arrays in, text out; all text from data is escaped. Every figure says in words what it shows. Its colours are classes
of `STYLE`, so that the page can be dark.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from semievol.palette import DARK, LIGHT, Palette

WIDTH = 640
_RIGHT, _LINE, _LETTER = 60, 30, 6.6
_LONGEST_NAME = 48


def _colours(theme: Palette) -> str:
    series = "".join(f".s{n}{{fill:{colour}}}" for n, colour in enumerate(theme.series[:2]))
    return f"svg{{fill:{theme.text}}}{series}.ink{{stroke:{theme.text}}}.axis{{stroke:{theme.quiet}}}"


STYLE = f"{_colours(LIGHT)} @media screen and (prefers-color-scheme: dark) {{ {_colours(DARK)} }}"
"""Colours of the figures on screen, in both themes, and on paper."""


def bars(
    names: Sequence[str],
    values: Sequence[float],
    low: Sequence[float] = (),
    high: Sequence[float] = (),
    unit: str = "",
    title: str = "",
) -> str:
    """Horizontal bars with their value, and with intervals where `low` and `high` are given. Values are >= 0. title:
    what is counted, for those who cannot see the figure."""

    def shown(number: float) -> str:
        return f"{number:,.1f}{unit}" if unit else f"{number:,.4g}"

    top = max([*values, *high, 1e-9])
    left_of = 20 + _LETTER * min(_LONGEST_NAME, max((len(name) for name in names), default=0))
    span = WIDTH - left_of - _RIGHT
    parts = []
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        y = i * _LINE
        parts.append(_text(left_of - 10, y + 19, name, "end", _LONGEST_NAME))
        parts.append(f'<rect x="{left_of}" y="{y + 6}" width="{span * value / top:.1f}" height="18" class="s0"/>')
        end = value
        if high:
            end = high[i]
            left, right = (left_of + span * edge / top for edge in (low[i], high[i]))
            whisker = f"M{left:.1f} {y + 15}H{right:.1f}M{left:.1f} {y + 10}v10M{right:.1f} {y + 10}v10"
            parts.append(f'<path d="{whisker}" class="ink" stroke-width="1.5"/>')
        parts.append(_text(left_of + span * end / top + 6, y + 19, shown(value)))
    between = [f" ({shown(a)} to {shown(b)})" for a, b in zip(low, high, strict=True)] or [""] * len(names)
    told = (f"{name} {shown(value)}{edges}" for name, value, edges in zip(names, values, between, strict=True))
    return _figure(len(names) * _LINE + 4, parts, f"{title}: {'; '.join(told)}.")


def histogram(left: Sequence[float], right: Sequence[float], stacks: Mapping[str, Sequence[int]], axis: str) -> str:
    """Stacked bars over the bins [left, right), one layer per name, with a legend above."""
    totals = [sum(layer[i] for layer in stacks.values()) for i in range(len(left))]
    tallest, height, ground = max([*totals, 1]), 150, 180
    first, last = left[0], right[-1]
    scale = (WIDTH - 20) / ((last - first) or 1)
    parts = []
    for n, name in enumerate(stacks):
        parts.append(f'<rect x="{10 + 130 * n}" y="2" width="12" height="12" class="s{n}"/>')
        parts.append(_text(28 + 130 * n, 13, name))
    for i in range(len(left)):
        below = 0
        for n, layer in enumerate(stacks.values()):
            if layer[i]:
                tall = height * layer[i] / tallest
                x, wide = 10 + (left[i] - first) * scale, max((right[i] - left[i]) * scale - 1, 0.5)
                y = ground - height * below / tallest - tall
                parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" class="s{n}"/>')
                below += layer[i]
    parts.append(f'<path d="M10 {ground}H{WIDTH - 10}" class="axis"/>')
    parts += [_text(10, ground + 16, f"{first:.3g}"), _text(WIDTH - 10, ground + 16, f"{last:.3g}", "end")]
    parts.append(_text(WIDTH / 2, ground + 34, axis, "middle"))
    halves = (
        name + (f" {sum(layer):,}, half of them below {_middle(right, layer):.3g}" if sum(layer) else " none")
        for name, layer in stacks.items()
    )
    return _figure(ground + 42, parts, f"Histogram. {axis}. Records: {'; '.join(halves)}.")


def _middle(right: Sequence[float], counts: Sequence[int]) -> float:
    """The end of the bin that holds the median."""
    total, below = sum(counts), 0
    for end, count in zip(right, counts, strict=True):
        below += count
        if 2 * below >= total:
            return end
    return right[-1]


def _text(x: float, y: float, words: str, anchor: str = "start", longest: int = 80) -> str:
    shown = " ".join(words.split())
    shown = shown if len(shown) <= longest else shown[: longest - 1] + "…"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(shown)}</text>'


def _figure(height: float, parts: Sequence[str], words: str) -> str:
    label = html.escape(" ".join(words.split()), quote=True)
    drawn = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" width="{WIDTH}" aria-label="{label}">{drawn}</svg>'
