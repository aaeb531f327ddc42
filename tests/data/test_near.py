"""Near duplicates: against comparing every pair, and never within one split."""

from __future__ import annotations

import itertools
import random

from semievol.data.near import ALIKE, SHINGLE, small_edits
from semievol.records import SPLITS, Record
from tests.data.files import held

WORDS = [f"{a}{b}{c}" for a, b, c in itertools.product("bdfgklmnprst", "aeiou", ["n", "rt", "ck", "", "s"])]


def shingles(text: str) -> set[str]:
    return {text[i : i + SHINGLE] for i in range(len(text) - SHINGLE + 1)}


def corpus(seed: int) -> list[Record]:
    """Sentences in three splits, some of which are others with one or more words exchanged."""
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=16)) for _ in range(80)]
    for text in texts[:60]:
        words = text.split()
        for place in draw.sample(range(16), draw.choice((1, 1, 2, 4))):
            words[place] = draw.choice(WORDS)
        texts.append(" ".join(words))
    draw.shuffle(texts)
    return [Record("", text, (), None, SPLITS[i % 3], i) for i, text in enumerate(texts)]


def test_the_same_records_are_found_as_by_comparing_all_pairs() -> None:
    for seed in range(2):
        records, traces = held(corpus(seed))
        texts = [shingles(record.question) for record in records]
        yields = {"unlabeled": 0, "labeled": 1, "test": 2}
        expected = {
            i
            for i, j in itertools.permutations(range(len(records)), 2)
            if yields[records[i].split] < yields[records[j].split]
            and records[i].question != records[j].question
            and len(texts[i] & texts[j]) >= ALIKE * len(texts[i] | texts[j])
        }
        found = small_edits(records, traces.spelled)
        assert set(found) == expected
        assert len(expected) > 5
        assert all(len(texts[i] & texts[j]) >= ALIKE * len(texts[i] | texts[j]) for i, j in found.items())


def test_one_split_alone_has_no_near_overlap() -> None:
    records, traces = held(
        [Record("", f"the very same sentence but for {i}", (), None, "unlabeled", i) for i in range(9)]
    )
    assert small_edits(records, traces.spelled) == {}
