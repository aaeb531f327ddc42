"""WordNet's data files as records: words, gloss, example sentences, lexicographer class, ancestors, domains.

Knows the file format (wndb(5WN)) and nothing about models.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from assets.starter_recipe.corpus import found

# Lexicographer files in their order, lexnames(5WN); the part after the dot is the label we use.
LEXNAMES = [
    "adj.all",
    "adj.pert",
    "adv.all",
    "noun.Tops",
    "noun.act",
    "noun.animal",
    "noun.artifact",
    "noun.attribute",
    "noun.body",
    "noun.cognition",
    "noun.communication",
    "noun.event",
    "noun.feeling",
    "noun.food",
    "noun.group",
    "noun.location",
    "noun.motive",
    "noun.object",
    "noun.person",
    "noun.phenomenon",
    "noun.plant",
    "noun.possession",
    "noun.process",
    "noun.quantity",
    "noun.relation",
    "noun.shape",
    "noun.state",
    "noun.substance",
    "noun.time",
    "verb.body",
    "verb.change",
    "verb.cognition",
    "verb.communication",
    "verb.competition",
    "verb.consumption",
    "verb.contact",
    "verb.creation",
    "verb.emotion",
    "verb.motion",
    "verb.perception",
    "verb.possession",
    "verb.social",
    "verb.stative",
    "verb.weather",
    "adj.ppl",
]


@dataclass(frozen=True)
class Synset:
    """One meaning. `up` are the keys of its hypernyms, `topics` the keys of its topic domains."""

    key: str
    lexname: str
    words: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    up: tuple[str, ...]
    topics: tuple[str, ...]
    opposites: tuple[str, ...]

    @cached_property
    def name(self) -> str:
        return self.words[0]


def synsets(folder: Path) -> dict[str, Synset]:
    """All synsets by key (part of speech and byte offset), in file order."""
    result = {}
    for kind in ("noun", "verb", "adj", "adv"):
        for line in found(folder / f"usr/share/wordnet/data.{kind}").read_text("utf-8").splitlines():
            if not line.startswith("  "):
                synset = parsed(line)
                result[synset.key] = synset
    return result


def parsed(line: str) -> Synset:
    head, _, gloss = line.partition(" | ")
    parts = head.split()
    kind = parts[2].replace("s", "a")
    count = int(parts[3], 16)
    words = tuple(re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in parts[4 : 4 + 2 * count : 2])
    pointers = parts[5 + 2 * count :]
    links = [tuple(pointers[i : i + 3]) for i in range(0, 4 * int(parts[4 + 2 * count]), 4)]

    def linked(*symbols: str) -> tuple[str, ...]:
        return tuple(where + offset for symbol, offset, where in links if symbol in symbols)

    examples = tuple(re.findall(r'"([^"]{8,})"', gloss))
    meaning = re.sub(r'[;:,]?\s*"[^"]*"?', "", gloss).strip(" ;-")
    return Synset(
        kind + parts[0], LEXNAMES[int(parts[1])], words, meaning, examples, linked("@", "@i"), linked(";c"), linked("!")
    )


def ancestors(key: str, table: dict[str, Synset]) -> list[str]:
    """Keys from the synset's hypernym up to the root, along the first hypernym."""
    chain: list[str] = []
    while table[key].up and table[key].up[0] not in chain:
        key = table[key].up[0]
        chain.append(key)
    return chain


def sentences(table: dict[str, Synset]) -> Iterator[str]:
    """WordNet as prose: what a word means, what kind of thing it is, how it is used."""
    for synset in table.values():
        text = f"{', '.join(synset.words)}: {synset.gloss}."
        if synset.up:
            text += f" {synset.name} is a kind of {' or '.join(table[key].name for key in synset.up)}."
        if synset.topics:
            text += f" It belongs to {table[synset.topics[0]].name}."
        if synset.opposites:
            text += f" Its opposite is {table[synset.opposites[0]].name}."
        yield " ".join((text, *(f"{example[0].upper()}{example[1:]}." for example in synset.examples)))
