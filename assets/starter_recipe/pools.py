"""Labeled texts for the instruction stage, made from the sources: many label sets, each a pool to draw tasks from.

Knows WordNet, the dictionaries and the package index; nothing about prompts or demonstrations.
"""

import itertools
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.starter_recipe import corpus, phrases, wordnet
from assets.starter_recipe.wordnet import Synset

LEAST, MOST = 12, 900
FIELDS = {
    "Bot": "botany", "Zo": "zoology", "Zool": "zoology", "Law": "law", "Med": "medicine", "Chem": "chemistry",
    "Mus": "music", "Naut": "ships", "Mil": "war", "Arch": "building", "Anat": "anatomy", "Min": "minerals",
    "Geom": "geometry", "Print": "printing", "Theol": "religion", "Math": "mathematics", "Mach": "machines",
    "Elec": "electricity", "Com": "trade", "Gram": "grammar", "Astron": "astronomy", "Physics": "physics",
    "Mining": "mining",
}  # fmt: skip
PARTS = {"n": "noun", "v": "verb", "a": "adjective", "r": "adverb"}


@dataclass(frozen=True)
class Pool:
    """One label set with its texts. `about` completes "Classify the text by …"; `groups` is label -> texts."""

    name: str
    about: str
    groups: dict[str, list[str]]
    held_out: bool = False


def pool(name: str, about: str, pairs: Iterator[tuple[str, str]], held_out: bool = False) -> Pool | None:
    """A pool of the (text, label) pairs with the rare labels left out; None where fewer than two remain."""
    groups: dict[str, list[str]] = defaultdict(list)
    for text, label in pairs:
        text = text[:360].strip()
        if label and len(text) > 2 and len(groups[label]) < MOST:
            groups[label].append(text)
    kept = {label: texts for label, texts in groups.items() if len(texts) >= LEAST}
    return Pool(name, about, kept, held_out) if len(kept) >= 2 else None


def held_back(name: str) -> bool:
    """One label set in twelve is kept for measuring, chosen by its name alone."""
    return zlib.crc32(name.encode()) % 12 == 0


def plain(lexname: str) -> str:
    return lexname.split(".")[1]


def shown(synset: Synset, form: str) -> str:
    if form == "example":
        return synset.examples[0] if synset.examples else ""
    if form == "word":
        return ", ".join(synset.words[:3])
    return synset.gloss if form == "gloss" else f"{synset.name}: {synset.gloss}"


def wordnet_pools(table: dict[str, Synset]) -> Iterator[Pool | None]:
    """Lexicographer classes, parts of speech, topic domains, and for every larger concept its kinds."""
    forms = ("gloss", "word and gloss", "example", "word")
    for form in forms:
        for kind in ("noun", "verb"):
            named = [s for s in table.values() if s.lexname.startswith(kind) and plain(s.lexname) not in ("Tops",)]
            about = "kind of thing" if kind == "noun" else "kind of action"
            yield pool(f"lexname {kind} {form}", about, ((shown(s, form), plain(s.lexname)) for s in spread(named)))
        yield pool(f"topic {form}", "topic", (
            (shown(s, form), table[s.topics[0]].name) for s in spread(table.values()) if s.topics
        ))  # fmt: skip
        yield pool(
            f"part {form}", "part of speech", ((shown(s, form), PARTS[s.key[0]]) for s in spread(table.values()))
        )
    below: dict[str, dict[str, list[Synset]]] = defaultdict(lambda: defaultdict(list))
    for key, synset in table.items():
        chain = [key, *wordnet.ancestors(key, table)] if synset.up else []
        for child, parent in itertools.pairwise(chain):
            below[parent][child].append(synset)
    for parent, children in below.items():
        large = {child: members for child, members in children.items() if len(members) >= LEAST}
        if len(large) >= 2 and len(wordnet.ancestors(parent, table)) >= 2:
            form = forms[zlib.crc32(parent.encode()) % 3 if parent[0] == "n" else 2]
            if form == "example":
                form = "word and gloss"
            pairs = ((shown(s, form), table[c].name) for c, members in large.items() for s in spread(members))
            name = f"kinds of {table[parent].name}"
            yield pool(name, f"kind of {table[parent].name}", pairs, held_back(name))


def spread(items: Iterable[Any]) -> list[Any]:
    """The items in an order that is fixed but has nothing to do with the alphabet."""
    return sorted(items, key=lambda item: zlib.crc32(getattr(item, "key", getattr(item, "name", str(item))).encode()))


def package_pools(folder: Path) -> Iterator[Pool | None]:
    """Archive sections and the facets of debtags, over summaries and over descriptions."""
    listed = spread(corpus.packages(folder))
    for form in ("summary", "first sentence"):

        def shown_package(package: corpus.Package, form: str = form) -> str:
            first = re.split(r"(?<=[.!?])\s", corpus.spaced(package.body))[0]
            return package.summary if form == "summary" else first

        yield pool(f"section {form}", "subject", ((shown_package(p), p.section) for p in listed))
        facets = defaultdict(list)
        for package in listed:
            for tag in package.tags:
                facet, _, value = tag.partition("::")
                if value and value != "TODO":
                    facets[facet].append((shown_package(package), value.split(":")[0].replace("-", " ")))
        for facet, pairs in facets.items():
            yield pool(f"{facet} {form}", facet.replace("-", " "), iter(pairs), facet in ("use", "field"))


def dictionary_pools(folder: Path) -> Iterator[Pool | None]:
    """Fields of use in the two dictionaries that mark them."""
    pairs = ((entry.body, FIELDS.get(entry.field, "")) for entry in spread_entries(corpus.gcide(folder)))
    yield pool("field of a word", "field", pairs, held_out=True)
    yield pool("field of computing", "field", ((e.body, e.field) for e in spread_entries(corpus.foldoc(folder))))


def spread_entries(entries: Iterable[corpus.Entry]) -> list[corpus.Entry]:
    return sorted(entries, key=lambda entry: zlib.crc32(entry.body.encode()))


def valences(folder: Path) -> dict[str, float]:
    lines = corpus.found(folder / "python/vaderSentiment/vader_lexicon.txt").read_text("utf-8").splitlines()
    return {word: float(value) for word, value, *_ in (line.split("\t") for line in lines) if word.isalpha()}


def feeling(text: str, valence: dict[str, float]) -> str:
    """positive, negative or neutral by the lexicon, a negation turning the word after it; "" where it is unclear."""
    total, turn, hits = 0.0, 1, 0
    for word in re.findall(r"[a-z']+", text.lower()):
        if word in ("not", "no", "never", "without", "hardly") or word.endswith("n't"):
            turn = -1
        elif word in valence:
            total, hits, turn = total + turn * valence[word], hits + 1, 1
    if hits == 0:
        return "neutral"
    return "positive" if total >= 1.8 else "negative" if total <= -1.8 else ""


def feeling_pools(folder: Path, table: dict[str, Synset]) -> Iterator[Pool | None]:
    """Sentiment by word valences, over example sentences, novels, speeches and manuals."""
    valence = valences(folder)
    texts = {
        "examples": [s.examples[0] for s in table.values() if s.examples and len(s.examples[0]) > 25],
        "novels": sentences_of(corpus.novels(folder)),
        "speeches and manuals": sentences_of(corpus.pages(folder)),
    }
    for name, lines in texts.items():
        yield pool(f"feeling {name}", "sentiment", ((t, feeling(t, valence)) for t in spread(lines)))
    yield pool("source", "source", (
        (text, name) for name, lines in {**texts, "dictionary": [s.gloss for s in table.values()]}.items()
        for text in spread(lines)[:MOST]
    ))  # fmt: skip


def sentences_of(documents: Iterator[str]) -> list[str]:
    lines = []
    for document in documents:
        lines += [s for s in re.split(r"(?<=[.!?])\s+", document) if 40 < len(s) < 240 and s[0].isupper()]
        if len(lines) > 60_000:
            break
    return lines


def pools(folder: Path, table: dict[str, Synset], seed: int) -> list[Pool]:
    """Every pool, in a fixed order."""
    made = [*wordnet_pools(table), *package_pools(folder), *dictionary_pools(folder), *feeling_pools(folder, table)]
    for name, about, pairs in phrases.pools(seed, table):
        made.append(pool(name, about, iter(pairs)))
    return [each for each in made if each is not None]
