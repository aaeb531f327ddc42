"""The colours of the Studio in light and dark; `.streamlit/config.toml` repeats them, which a test checks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Colours of one theme. Text reaches 4.5 : 1 and every series 3 : 1 against `background` (WCAG 2.2 AA)."""

    background: str
    surface: str
    text: str
    quiet: str
    line: str
    series: tuple[str, ...]
    ramp: tuple[str, ...]

    @property
    def accent(self) -> str:
        return self.series[0]


LIGHT = Palette(
    background="#fbfaf7",
    surface="#f2f0ea",
    text="#1b2422",
    quiet="#6a716e",
    line="#dfdbd0",
    series=("#0f766e", "#c2660c", "#2f5f9e", "#8a4a9e", "#6a716e", "#a63d40"),
    ramp=("#eef6f4", "#d3eae6", "#b0dad4", "#86c5bd", "#5cada4", "#3a958b", "#1f8077", "#0f6b63", "#0a544e", "#063d39"),
)
DARK = Palette(
    background="#0f1514",
    surface="#18211f",
    text="#e4eae7",
    quiet="#97a29e",
    line="#2b3735",
    series=("#2fb3a4", "#e09a3e", "#7aa7e0", "#c391d6", "#97a29e", "#e5817f"),
    ramp=("#0b2b28", "#0d3b37", "#0f4d47", "#116159", "#14766d", "#1b8c81", "#2ba496", "#4fbcae", "#83d3c8", "#bdeae3"),
)


def palette(dark: bool) -> Palette:
    return DARK if dark else LIGHT
