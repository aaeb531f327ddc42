"""Conversations of the instruction stage: a task, its labeled records, and questions with retrieved demonstrations.

The turns are made by `method.prompts.render`, the same function that asks at run time. What is taught: to take the
answer from demonstrations (labels renamed at random, so that only they tell), to weigh them (the most similar one
stands anywhere, some mislead), to answer without any, and to settle between candidate answers. Knows nothing about
training.
"""

import random
from dataclasses import dataclass, replace

import numpy
from sklearn.feature_extraction.text import TfidfVectorizer

from assets.starter_recipe.items import Maker
from assets.starter_recipe.pools import Pool
from semievol.records import Demonstration, Kind, Message, Record, Task
from semievol.task import prompts
from semievol.task.answers import LETTERS

COUNTS = (0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 4, 4, 5, 5, 6, 8)  # how many demonstrations a question gets, as drawn
SERIES = 8  # long conversations that a block gives
ROOMS = (230, 480, 480, 480, 960)  # about how many tokens they may have
ASKS = (
    "Classify the text by {}.", "Decide the {} of the text.", "Which {} fits the text best?", "Name the {}.",
    "Sort each text by {}.", "You assign a {} to texts.", "Read the text and give its {}.", "Label the {}.",
)  # fmt: skip
FRAMES = (
    "What is the {} of this text?\n{}", "Please judge the {} of the following sentence:\n{}", "Text: {1}", "{1}\n{0}?",
    "Determine the {} of the text below.\n{}", "Sentence: {1}\nWhat {0} does it have?", '"{1}"', "Which {}? {}",
)  # fmt: skip
LIKENESS = {
    "positive": ("good", "favourable", "happy", "optimistic", "plus"),
    "negative": ("bad", "unfavourable", "sad", "pessimistic", "minus"),
    "neutral": ("neither", "mixed", "none", "balanced", "zero"),
    "up": ("higher", "rise", "increase", "growth", "more"),
    "down": ("lower", "fall", "decrease", "decline", "less"),
    "unchanged": ("flat", "same", "no change", "stable", "equal"),
}
SYLLABLES = [
    "ba",
    "be",
    "bi",
    "bo",
    "du",
    "da",
    "fe",
    "fi",
    "go",
    "ga",
    "ka",
    "ki",
    "lo",
    "lu",
    "ma",
    "mi",
    "na",
    "ne",
    "po",
    "pu",
    "ra",
    "ri",
    "sa",
    "so",
    "ta",
    "te",
    "vo",
    "wu",
    "za",
    "zi",
]


@dataclass(frozen=True)
class Block:
    """A task with some labeled records to retrieve from and some records to ask."""

    task: Task
    labeled: tuple[Record, ...]
    asked: tuple[Record, ...]
    blind: bool = False  # the label names mean nothing, so that nothing can be answered without demonstrations
    drawn: bool = False  # so do the labels themselves: only a worn copy of a labeled record can be answered


def classification(pool: Pool, draw: random.Random, words: list[str], asked: int, labeled: int = 0) -> Block:
    """A block over some of the pool's labels, in unequal shares, under their own names or other ones."""
    own = draw.sample(sorted(pool.groups), min(len(pool.groups), draw.choice([2, 2, 3, 3, 3, 4, 4, 5, 6, 8, 10])))
    names, blind = renamed(own, draw, words)
    count = labeled or draw.choice([20, 40, 80, 120])
    shares = [draw.gammavariate(3.0, 1.0) for _ in own]
    frame = draw.choice(FRAMES) if draw.random() < 0.4 else "{1}"
    texts: dict[str, str] = {}
    for label in draw.choices(own, shares, k=count + asked):
        texts.setdefault(draw.choice(pool.groups[label]), names[own.index(label)])
    pairs = list(texts.items())
    draw.shuffle(pairs)
    asked = min(asked, len(pairs) // 2)
    questions, known = pairs[:asked], pairs[asked:]
    drawn = False
    if draw.random() < 0.3:  # the question repeats a labeled text with words missing
        if draw.random() < 0.4:
            known, blind, drawn = [(text, draw.choice(names)) for text, _ in known], True, True
        questions = [(worn(text, draw), name) for text, name in draw.choices(known, k=asked)]
    instruction = draw.choice(ASKS).format(pool.about) if draw.random() < 0.65 else ""
    labeled_records, asked_records = (
        tuple(Record(f"{side}{i}", frame.format(pool.about, text), answer=name) for i, (text, name) in enumerate(part))
        for side, part in (("l", known), ("a", questions))
    )
    order = tuple(draw.sample(names, len(names)))
    return Block(Task("classification", order, instruction), labeled_records, asked_records, blind, drawn)


def worn(text: str, draw: random.Random) -> str:
    """`text` with some of its words left out or moved."""
    words = text.split()
    kept = [word for word in words if draw.random() > 0.25] or words
    if draw.random() < 0.3:
        cut = draw.randrange(len(kept))
        kept = kept[cut:] + kept[:cut]
    return " ".join(kept)


def renamed(own: list[str], draw: random.Random, words: list[str]) -> tuple[list[str], bool]:
    """The names to show for the labels `own`, and whether they are without meaning."""
    way = draw.random()
    if way < 0.30:
        style = draw.choice(("", "", "", "capital", "upper", "joined"))
        if all(label in LIKENESS for label in own) and draw.random() < 0.4:
            which = draw.randrange(5)
            return [LIKENESS[label][which] for label in own], False
        return [styled(label, style) for label in own], False
    if way < 0.70:
        return draw.sample(words, len(own)), True
    if way < 0.80:
        return ["".join(draw.sample(SYLLABLES, 2)) for _ in own] if len(own) < 4 else draw.sample(words, len(own)), True
    if way < 0.88:
        start = draw.choice(["class ", "group ", "", "type ", "label_"])
        marks = [f"{start}{i + 1}" for i in range(len(own))] if draw.random() < 0.6 else list(LETTERS[: len(own)])
        return draw.sample(marks, len(own)), True
    if way < 0.95:
        return [*own[1:], own[0]], True
    return [f"{draw.choice(words)} {word}" for word in draw.sample(words, len(own))], True


def styled(label: str, style: str) -> str:
    styles = {"capital": label.capitalize(), "upper": label.upper(), "joined": label.replace(" ", "_")}
    return styles.get(style, label)


def questions(kind: Kind, maker: Maker, draw: random.Random, asked: int) -> Block:
    """A block of multiple-choice, numeric or free questions of one maker."""
    made = {}
    for _ in range(asked + draw.choice([10, 30])):
        question, options, answer = maker(draw)
        options = tuple(dict.fromkeys(option for option in options if option != answer))
        if kind == "multiple_choice" and options:
            shown = draw.sample([*options, answer], len(options) + 1)
            made[question] = (tuple(shown), LETTERS[shown.index(answer)])
        elif kind != "multiple_choice":
            made[question] = ((), answer)
    records = [Record(str(i), q, options, answer) for i, (q, (options, answer)) in enumerate(made.items())]
    instruction = (
        draw.choice(["Answer the question.", "Give the right answer.", "Answer briefly."])
        if draw.random() < 0.4
        else ""
    )
    return Block(Task(kind, instruction=instruction), tuple(records[asked:]), tuple(records[:asked]))


def as_choice(block: Block, about: str, draw: random.Random) -> Block:
    """A classification block asked as multiple choice: the labels become options, in a new order for every record."""

    def turned(record: Record) -> Record:
        options = tuple(draw.sample(block.task.labels, len(block.task.labels)))
        return replace(record, options=options, answer=LETTERS[options.index(record.answer)])

    instruction = block.task.instruction or f"Choose the {about}."
    task = Task("multiple_choice", instruction=instruction)
    labeled, asked = (tuple(map(turned, records)) for records in (block.labeled, block.asked))
    return Block(task, labeled, asked, block.blind, block.drawn)


def nearest(block: Block) -> numpy.ndarray:
    """Cosine similarity [asked, labeled] of character n-gram TF-IDF, as the default retrieval has it."""
    texts = [record.question for record in (*block.labeled, *block.asked)]
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True).fit_transform(texts)
    cut = len(block.labeled)
    return (vectors[cut:] @ vectors[:cut].T).toarray()


def conversations(block: Block, draw: random.Random) -> list[tuple[Message, ...]]:
    """One conversation for every asked record, closed by its answer."""
    if not block.labeled or not block.asked:
        return []
    near = nearest(block)
    result = []
    for row, record in enumerate(block.asked):
        right = str(record.answer)
        count = min(draw.choice(COUNTS), len(block.labeled))
        if block.blind:
            count = max(count, draw.choice([2, 3, 3, 4, 6]))
        if draw.random() < 0.25:
            places = draw.sample(range(len(block.labeled)), min(count, len(block.labeled)))
        else:
            places = numpy.argsort(-near[row], kind="stable")[:count].tolist()
        shown = [Demonstration(block.labeled[place], float(near[row, place])) for place in places]
        # Were the nearest always the last, repeating its label would be learnt instead of weighing all.
        shown = prompts.by_similarity(shown) if draw.random() < 0.4 else draw.sample(shown, len(shown))
        shown = [mislabeled(d, block, draw) if draw.random() < 0.03 else d for d in shown]
        candidates = proposals(block, record, draw) if draw.random() < 0.13 else ()
        turns = prompts.render(block.task, record, shown, candidates)
        result.append((*turns, Message("assistant", right)))
    return result


def terse(block: Block, draw: random.Random) -> Block:
    """The block with a few words for every text and, mostly, no answer rule: many more answers a token.

    Most of the labels are drawn anew, so that only an earlier copy tells; this is where copying is learnt first.
    """
    longest, drawn = draw.choice([2, 3, 4, 6, 8]), block.drawn or draw.random() < 0.6

    def cut(record: Record) -> Record:
        words = record.question.split()
        start = draw.randrange(max(1, len(words) - longest)) if drawn else 0
        answer = draw.choice(block.task.labels) if drawn else record.answer
        return replace(record, question=" ".join(words[start : start + longest]), answer=answer)

    labeled = {record.question: record for record in map(cut, block.labeled)}
    task = Task("text", instruction=block.task.instruction) if draw.random() < 0.65 else block.task
    return Block(task, tuple(labeled.values()), (), block.blind, drawn)


def series(block: Block, draw: random.Random) -> list[tuple[Message, ...]]:
    """Long conversations through the block's labeled records in random order, every answer one to predict.

    Each record has all earlier ones as demonstrations, in no order that tells which of them matters, and some are worn
    copies of an earlier one. This is where using demonstrations is learnt: many questions a token, wherever the
    evidence stands (Chan et al. 2022, "Data distributional properties drive emergent in-context learning").
    """
    result = []
    for _ in range(SERIES):
        fresh = draw.sample(block.labeled, len(block.labeled))
        copies = draw.choice([0.3, 0.5, 0.7] if block.drawn else [0.0, 0.0, 0.0, 0.2, 0.4, 0.6])
        room, shown, originals = draw.choice(ROOMS), list[Record](), list[Record]()
        while fresh:
            if shown and draw.random() < copies:
                earlier = draw.choice(originals)
                record = replace(earlier, question=worn(earlier.question, draw))
            else:
                record = fresh.pop()
                originals.append(record)
            room -= (len(prompts.question_turn(block.task, record)) + len(str(record.answer))) // 4 + 5
            if room < 0:
                break
            shown.append(record)
        if len(shown) > 1:
            turns = prompts.render(block.task, shown[-1], [Demonstration(record, 0.0) for record in shown[:-1]])
            result.append((*turns, Message("assistant", str(shown[-1].answer))))
    return result


def mislabeled(demonstration: Demonstration, block: Block, draw: random.Random) -> Demonstration:
    other = draw.choice(block.labeled).answer
    options = demonstration.record.options
    if options:
        other = draw.choice(LETTERS[: len(options)])
    return Demonstration(replace(demonstration.record, answer=other), demonstration.similarity)


def proposals(block: Block, record: Record, draw: random.Random) -> list[str]:
    """Two to four answers as disagreeing collaborators might give them, often the right one among them."""
    if block.task.kind == "multiple_choice":
        wrong = [letter for letter in LETTERS[: len(record.options)] if letter != record.answer]
    elif block.task.kind == "classification":
        wrong = [label for label in block.task.labels if label != record.answer]
    else:
        others = dict.fromkeys(str(other.answer) for other in draw.choices(block.labeled, k=3))
        wrong = [answer for answer in others if answer != record.answer]
    if not wrong:
        return []
    right, reliable = str(record.answer), draw.betavariate(3, 2)
    first = wrong[: draw.choice([1, 1, 2])] if draw.random() < 0.7 else wrong
    given = [right if draw.random() < reliable else draw.choice(first) for _ in range(draw.choice([2, 3, 4, 4]))]
    if len(set(given)) == 1:
        given[0] = draw.choice(wrong) if given[0] == right else right
    return draw.sample(given, len(given))
