"""Single questions for the instruction stage: multiple choice, numbers, short free answers.

Each maker yields (question, options, answer) with the answer in words; knows nothing about prompts or letters.
"""

import random
from collections.abc import Callable

from assets.starter_recipe import phrases, wordnet
from assets.starter_recipe.wordnet import Synset

Item = tuple[str, tuple[str, ...], str]
Maker = Callable[[random.Random], Item]


class Choices:
    """Multiple-choice questions about WordNet's words; options come from near the answer as often as from far away."""

    def __init__(self, table: dict[str, Synset], lines: list[str]) -> None:
        self.table, self.lines = table, lines
        self.known = [s for s in table.values() if s.gloss and len(s.gloss) < 110 and s.lexname != "noun.Tops"]
        self.nouns = [s for s in self.known if s.up and s.key[0] == "n"]
        self.used = [s for s in self.known if s.examples and any(s.name in e.split() for e in s.examples)]
        self.opposed = [s for s in self.known if s.opposites]
        self.topical = [s for s in self.known if s.topics]
        self.topics = sorted({table[s.topics[0]].name for s in self.topical})
        self.by_class: dict[str, list[Synset]] = {}
        for synset in self.known:
            self.by_class.setdefault(synset.lexname, []).append(synset)

    def others(self, synset: Synset, draw: random.Random, count: int) -> list[Synset]:
        near = self.by_class[synset.lexname] if draw.random() < 0.5 else self.known
        return draw.choices(near, k=count)

    def word_for(self, draw: random.Random) -> Item:
        s = draw.choice(self.known)
        ask = draw.choice(
            ["Which word means: {}?", "{} is called", "What is the word for this? {}", "Which of these is {}?"]
        )
        return ask.format(s.gloss), tuple(o.name for o in self.others(s, draw, draw.choice([2, 3, 3, 3, 4]))), s.name

    def meaning(self, draw: random.Random) -> Item:
        s = draw.choice(self.known)
        ask = draw.choice(["What does {} mean?", "What is {}?", "Which statement best describes {}?", "{} is"])
        return ask.format(s.name), tuple(o.gloss for o in self.others(s, draw, 3)), s.gloss

    def member(self, draw: random.Random) -> Item:
        s = draw.choice(self.nouns)
        parent = draw.choice(wordnet.ancestors(s.key, self.table)[:3])
        wrong = [o for o in draw.choices(self.nouns, k=6) if parent not in wordnet.ancestors(o.key, self.table)]
        ask = draw.choice(["Which of these is a kind of {}?", "Which is an example of {}?", "Find the {}."])
        return ask.format(self.table[parent].name), tuple(o.name for o in wrong[:3]), s.name

    def parent(self, draw: random.Random) -> Item:
        s = draw.choice(self.nouns)
        wrong = tuple(self.table[o.up[0]].name for o in self.others(s, draw, 3) if o.up)
        return (
            draw.choice(["{} is a kind of", "What kind of thing is {}?"]).format(s.name),
            wrong,
            self.table[s.up[0]].name,
        )

    def opposite(self, draw: random.Random) -> Item:
        s = draw.choice(self.opposed)
        wrong = tuple(o.name for o in self.others(s, draw, 3))
        return f"What is the opposite of {s.name}?", wrong, self.table[s.opposites[0]].name

    def gap(self, draw: random.Random) -> Item:
        s = draw.choice(self.used)
        text = next(e for e in s.examples if s.name in e.split())
        same_kind = [o for o in draw.choices(self.used, k=12) if o.key[0] == s.key[0]][:3]
        blank = " ".join("____" if word == s.name else word for word in text.split())
        return f"Which word fits? {blank}", tuple(o.name for o in same_kind), s.name

    def topic(self, draw: random.Random) -> Item:
        s = draw.choice(self.topical)
        text = draw.choice([f"{s.name}: {s.gloss}", s.gloss])
        return (
            f"To which field does this belong? {text}",
            tuple(draw.sample(self.topics, 3)),
            self.table[s.topics[0]].name,
        )

    def next_line(self, draw: random.Random) -> Item:
        place = draw.randrange(len(self.lines) - 1)
        wrong = tuple(line[:140] for line in draw.choices(self.lines, k=draw.choice([1, 2, 3])))
        return f"Which sentence comes next?\n{self.lines[place]}", wrong, self.lines[place + 1][:140]

    def makers(self) -> list[Maker]:
        return [
            self.word_for,
            self.meaning,
            self.member,
            self.parent,
            self.opposite,
            self.gap,
            self.topic,
            self.next_line,
        ]


class Answers(Choices):
    """Short free answers, drawn from the same words."""

    def named(self, draw: random.Random) -> Item:
        s = draw.choice(self.known)
        return draw.choice(["Give a word for: {}", "What is {}?", "Name this: {}"]).format(s.gloss), (), s.name

    def defined(self, draw: random.Random) -> Item:
        s = draw.choice([o for o in draw.choices(self.known, k=8) if len(o.gloss) < 60] or self.known)
        return draw.choice(["What does {} mean?", "Define {}.", "Explain the word {}."]).format(s.name), (), s.gloss

    def kind(self, draw: random.Random) -> Item:
        s = draw.choice(self.nouns)
        return f"What kind of thing is {s.name}?", (), self.table[s.up[0]].name

    def against(self, draw: random.Random) -> Item:
        s = draw.choice(self.opposed)
        return f"What is the opposite of {s.name}?", (), self.table[s.opposites[0]].name

    def filled(self, draw: random.Random) -> Item:
        question, _, answer = self.gap(draw)
        return question.replace("Which word fits?", "Fill the gap."), (), answer

    def taken(self, draw: random.Random) -> Item:
        company = draw.choice(phrases.NAMES) + draw.choice(phrases.ENDINGS)
        text, _, _ = phrases.news(draw, ["boats", "tools", "paper", "lamps"])
        return f"{company}: {text}\nWhich company is this about?", (), company

    def makers(self) -> list[Maker]:
        return [self.named, self.defined, self.kind, self.against, self.filled, self.taken]


def added(draw: random.Random) -> Item:
    a, b = draw.randint(1, draw.choice([9, 20, 99])), draw.randint(1, draw.choice([9, 20, 99]))
    ask = draw.choice(["{} + {} =", "What is {} plus {}?", "I have {} and get {} more. How many are there?"])
    return ask.format(a, b), (), str(a + b)


def taken_away(draw: random.Random) -> Item:
    a, b = sorted(draw.sample(range(1, draw.choice([12, 30, 99])), 2))
    ask = draw.choice(["{} - {} =", "What is {} minus {}?", "There were {} and {} left. How many remain?"])
    return ask.format(b, a), (), str(b - a)


def multiplied(draw: random.Random) -> Item:
    a, b = draw.randint(2, 12), draw.randint(2, 12)
    return draw.choice(["{} times {} =", "{} boxes hold {} books each. How many books?"]).format(a, b), (), str(a * b)


def largest(draw: random.Random) -> Item:
    numbers = draw.sample(range(1, 200), draw.randint(2, 5))
    which = draw.choice(["largest", "smallest"])
    answer = max(numbers) if which == "largest" else min(numbers)
    return f"Which number is the {which}? {', '.join(map(str, numbers))}", (), str(answer)


def read_off(draw: random.Random) -> Item:
    figure = f"{draw.randint(2, 90)}.{draw.randint(0, 9)}"
    verb = draw.choice(["rose", "fell", "grew", "declined"])
    place = draw.choice(phrases.NAMES) + draw.choice(phrases.ENDINGS)
    what = draw.choice(["Sales", "Prices", "Visits", "Exports", "Rents"])
    return f"{what} of {place} {verb} by {figure} % in {draw.randint(1998, 2024)}. By how many percent?", (), figure


NUMBERS: list[Maker] = [added, taken_away, multiplied, largest, read_off]
