"""What the instruction stage is made of: which kind of task comes how often.

Knows pools, items and episodes; nothing about training.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from semievol.engines import (
    starter_corpus,
    starter_episodes,
    starter_items,
    starter_packing,
    starter_pools,
    starter_wordnet,
)
from semievol.engines.starter_pools import Pool

# share of blocks; the pools are drawn evenly within a family
FAMILIES = {"kinds": 0.20, "wordnet": 0.15, "packages": 0.14, "composed": 0.24, "feeling": 0.13}
CHOICE, FREE, NUMBER = 0.08, 0.02, 0.04


def family(pool: Pool) -> str:
    if pool.name.startswith("kinds of"):
        return "kinds"
    if pool.name.startswith(("lexname", "topic", "part")):
        return "wordnet"
    if pool.name.startswith(("news", "message")):
        return "composed"
    return "feeling" if pool.name.startswith(("feeling", "source")) else "packages"


class Curriculum:
    """Everything the instruction stage draws from, read once."""

    def __init__(self, sources: Path, seed: int) -> None:
        self.table = starter_wordnet.synsets(sources)
        self.pools = starter_pools.pools(sources, self.table, seed)
        lines = starter_pools.sentences_of(starter_corpus.pages(sources))
        self.choices = starter_items.Choices(self.table, lines).makers()
        self.answers = starter_items.Answers(self.table, lines).makers()
        names = {s.name for s in self.table.values() if s.lexname.startswith("noun")}
        self.words = sorted(name for name in names if name.isalpha() and name.islower() and 3 < len(name) < 8)
        self.families: dict[str, list[Pool]] = {name: [] for name in FAMILIES}
        for pool in self.pools:
            if not pool.held_out:
                self.families[family(pool)].append(pool)

    def block(self, draw: random.Random, asked: int = 24) -> starter_episodes.Block:
        kind = draw.choices(
            [*FAMILIES, "choice", "free", "number"], [*FAMILIES.values(), CHOICE, FREE, NUMBER]
        )[0]  # fmt: skip
        if kind == "choice":
            return starter_episodes.questions("multiple_choice", draw.choice(self.choices), draw, asked)
        if kind == "free":
            return starter_episodes.questions("text", draw.choice(self.answers), draw, asked)
        if kind == "number":
            return starter_episodes.questions("numeric", draw.choice(starter_items.NUMBERS), draw, asked)
        pool = draw.choice(self.families[kind])
        block = starter_episodes.classification(pool, draw, self.words, asked)
        return starter_episodes.as_choice(block, pool.about, draw) if draw.random() < 0.08 else block


def encoded_conversations(
    sources: Path, tokenizer: Tokenizer, seed: int, number: int = 0
) -> Iterator[list[starter_packing.Encoded]]:
    """Blocks of conversations without end, from block `number` on; block i is drawn with (seed, i)."""
    curriculum = Curriculum(sources, seed)
    while True:
        draw = random.Random(f"{seed}/{number}")
        conversations = starter_episodes.conversations(curriculum.block(draw), draw)
        yield starter_packing.encoded(conversations, tokenizer)
        number += 1
