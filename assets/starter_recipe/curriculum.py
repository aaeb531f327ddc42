"""What the instruction stage is made of: which kind of task comes how often.

Knows pools, items and episodes; nothing about training.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from assets.starter_recipe import corpus, episodes, items, packing, pools, wordnet
from assets.starter_recipe.pools import Pool
from semievol.records import Message

# share of blocks; the pools are drawn evenly within a family
FAMILIES = {"kinds": 0.24, "wordnet": 0.16, "packages": 0.18, "composed": 0.18, "feeling": 0.12}
CHOICE, FREE, NUMBER = 0.06, 0.02, 0.04


@dataclass(frozen=True)
class Mixture:
    """Shares that change while the instruction stage runs.

    series: of classification blocks, those that become long conversations instead of retrieved demonstrations.
    terse: of these, those with a few words a text.
    """

    series: float
    terse: float


MIXTURES = (Mixture(series=0.5, terse=0.0), Mixture(series=0.6, terse=0.6))


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

    def __init__(self, sources: Path, seed: int, tokenizer: Tokenizer) -> None:
        self.table = wordnet.synsets(sources)
        self.pools = pools.pools(sources, self.table, seed)
        lines = pools.sentences_of(corpus.pages(sources))
        self.choices = items.Choices(self.table, lines).makers()
        self.answers = items.Answers(self.table, lines).makers()
        names = {s.name for s in self.table.values() if s.lexname.startswith("noun")}
        words = sorted(name for name in names if name.isalpha() and name.islower() and 3 < len(name) < 8)
        # Names for renamed labels. A label of one token is copied from a demonstration in one step, so most are such.
        self.rare = [word for word in words if len(tokenizer.encode(word, add_special_tokens=False).ids) > 1]
        self.common = [word for word in words if word not in set(self.rare)]
        self.families: dict[str, list[Pool]] = {name: [] for name in FAMILIES}
        for pool in self.pools:
            if not pool.held_out:
                self.families[family(pool)].append(pool)

    def conversations(self, draw: random.Random, mixture: Mixture) -> list[tuple[Message, ...]]:
        """The conversations of one block."""
        block = self.block(draw)
        if block.task.labels and draw.random() < mixture.series:
            return episodes.series(episodes.terse(block, draw) if draw.random() < mixture.terse else block, draw)
        return episodes.conversations(block, draw)

    def block(self, draw: random.Random, asked: int = 24) -> episodes.Block:
        kind = draw.choices(
            [*FAMILIES, "choice", "free", "number"], [*FAMILIES.values(), CHOICE, FREE, NUMBER]
        )[0]  # fmt: skip
        if kind == "choice":
            return episodes.questions("multiple_choice", draw.choice(self.choices), draw, asked)
        if kind == "free":
            return episodes.questions("text", draw.choice(self.answers), draw, asked)
        if kind == "number":
            return episodes.questions("numeric", draw.choice(items.NUMBERS), draw, asked)
        pool = draw.choice(self.families[kind])
        words = self.common if draw.random() < 0.75 else self.rare
        block = episodes.classification(pool, draw, words, asked)
        return episodes.as_choice(block, pool.about, draw) if draw.random() < 0.08 else block


def encoded_conversations(
    sources: Path, tokenizer: Tokenizer, seed: int, mixture: Mixture, number: int = 0
) -> Iterator[list[packing.Encoded]]:
    """Blocks of conversations without end, from block `number` on; block i is drawn with (seed, i)."""
    curriculum = Curriculum(sources, seed, tokenizer)
    while True:
        draw = random.Random(f"{seed}/{number}")
        yield packing.encoded(curriculum.conversations(draw, mixture), tokenizer)
        number += 1
