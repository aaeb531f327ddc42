"""Texts composed from small grammars: figures that rise and fall, news, messages with a wish, each with its labels.

Written by us for the starter; no evaluation text stood model. The messages deliberately leave out what a city's
service line is asked, because the sample project is about that.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from assets.starter_recipe.wordnet import Synset

_FILE = json.loads(Path(__file__).with_name("grammar.json").read_text("utf-8"))
NAMES: list[str] = _FILE["names"]
ENDINGS: list[str] = _FILE["endings"]
GRAMMAR: dict[str, list[str]] = _FILE["grammar"]
WISHES: dict[str, list[str]] = _FILE["wishes"]
DESKS: dict[str, list[str]] = _FILE["desks"]


def fill(pattern: str, draw: random.Random, words: dict[str, list[str]]) -> str:
    """`pattern` with every {name} replaced by a drawn filling of that name, again and again until none is left."""

    def chosen(match: re.Match) -> str:
        name = match[1]
        if name == "name":
            return draw.choice(NAMES) + draw.choice(ENDINGS)
        if name == "small":
            return str(draw.randint(2, 98))
        if name == "digit":
            return str(draw.randint(0, 9))
        if name == "year":
            return str(draw.randint(1998, 2024))
        return draw.choice(words[name])

    while "{" in pattern:
        pattern = re.sub(r"\{(\w+)\}", chosen, pattern, count=1)
    return pattern


def figures(draw: random.Random) -> dict[str, list[str]]:
    low, high = sorted(draw.sample(range(11, 999), 2))
    cur, unit = draw.choice(GRAMMAR["cur"]), draw.choice(GRAMMAR["unit"])
    dot = draw.choice([1, 10])
    return {"low": [f"{cur} {low / dot:g} {unit}"], "high": [f"{cur} {high / dot:g} {unit}"]}


def news(draw: random.Random, things: list[str]) -> tuple[str, str, str]:
    """A sentence of business news with its direction (up, down, unchanged, "") and its sentiment for the company."""
    words = GRAMMAR | figures(draw) | {"thing": things}
    kind = draw.choice(["good up", "good down", "bad up", "bad down", "stood", "won", "lost", "does", "does"])
    owner = draw.choice(["its ", "the company's ", "the group's ", "{name} 's ", ""])
    if kind in ("won", "lost", "does"):
        body, direction = f"{{company}} {{{kind}}}", ""
        mood = {"won": "positive", "lost": "negative", "does": "neutral"}[kind]
    elif kind == "stood":
        body, direction, mood = f"{owner}{{{draw.choice(['good', 'bad'])}}} {{stood}}", "unchanged", "neutral"
    else:
        measure, direction = kind.split()
        verb = "rose" if direction == "up" else "fell"
        body = f"{owner}{{{measure}}} {{{verb}}} {{{direction}}}"
        mood = "positive" if (measure == "good") == (direction == "up") else "negative"
    start = draw.choice(["", "", "", "{when} , ", "{when} ", "According to {company} , ", "{company} said that "])
    text = fill(start + body + "{tail}" + draw.choice([" .", ".", "."]), draw, words)
    return text[0].upper() + text[1:], direction, mood


def message(draw: random.Random, things: list[str], desks: dict[str, list[str]]) -> tuple[str, str, str]:
    """A message to some desk, with its wish and its desk; sometimes hurried, misspelt or with a second thought.

    desks: name -> what such a desk is written about.
    """
    wish, desk = draw.choice(list(WISHES)), draw.choice(list(desks))
    words = GRAMMAR | {"n": desks[desk], "thing": things}
    parts = [draw.choice(GRAMMAR["hello"]), draw.choice(WISHES[wish])]
    if draw.random() < 0.35:
        parts.insert(1, draw.choice(GRAMMAR["opening"]))
    if draw.random() < 0.3:
        parts.append(draw.choice(GRAMMAR["aside"]))
    text = " ".join(fill(part, draw, words) for part in [*parts, draw.choice(GRAMMAR["bye"])] if part)
    return (hurried(text, draw) if draw.random() < 0.35 else text), wish, desk


def hurried(text: str, draw: random.Random) -> str:
    """The text as typed on a telephone: lower case, letters swapped or left out."""
    letters = list(text.lower())
    for _ in range(draw.randint(0, 3)):
        place = draw.randrange(len(letters) - 1)
        letters[place : place + 2] = letters[place : place + 2][:: draw.choice([-1, -1, 2])]
    return "".join(letters)


def pools(seed: int, table: dict[str, Synset]) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """(name, about, pairs) of every composed label set."""
    draw = random.Random(seed)
    things = [s.name for s in table.values() if s.lexname == "noun.artifact" and s.name.islower() and len(s.name) < 12]
    wares = [
        s.name + "s" for s in table.values() if s.lexname == "noun.artifact" and s.name.isalpha() and len(s.name) < 9
    ]
    reports = [news(draw, wares) for _ in range(6000)]
    yield "news direction", "direction of the figure", [(text, direction) for text, direction, _ in reports]
    yield "news sentiment", "sentiment", [(text, mood) for text, _, mood in reports]
    letters = [message(draw, things, DESKS) for _ in range(9000)]
    yield "message wish", "wish of the writer", [(text, wish) for text, wish, _ in letters]
    yield "message desk", "department", [(text, desk) for text, _, desk in letters]
    yield (
        "message mood",
        "mood",
        [
            (text, {"complaint": "unhappy", "fault": "unhappy", "praise": "happy"}.get(wish, "neutral"))
            for text, wish, _ in letters
        ],
    )
