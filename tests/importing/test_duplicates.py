"""Near duplicates: against comparing every pair, and never within one split."""

from __future__ import annotations

import itertools
import random

from semievol.importing.duplicates import ALIKE, SHINGLE, small_edits
from semievol.records import SPLITS, Record
from tests.importing.files import held

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


def test_an_edited_copy_is_found_among_many_of_the_same_template() -> None:
    draw = random.Random(0)

    def sentence() -> str:
        return f"Please repair the {draw.choice(WORDS)} at {draw.choice(WORDS)} street: " + " ".join(
            draw.choices(WORDS, k=14)
        )

    labeled = [sentence() for _ in range(400)]
    unlabeled = [sentence() for _ in range(2_000)]
    for i in range(0, 2_000, 10):
        unlabeled[i] = labeled[i // 5].replace("Please", "Kindly")
    given = [Record("", text, (), None, "labeled", i) for i, text in enumerate(labeled)]
    given += [Record("", text, (), None, "unlabeled", i) for i, text in enumerate(unlabeled)]
    records, traces = held(given)
    found = small_edits(records, traces.spelled)
    of_unlabeled = {i - 400 if records[0].split == "labeled" else i for i in found}
    assert set(range(0, 2_000, 10)) <= of_unlabeled


def test_comparing_tells_how_far_it_is() -> None:
    records, traces = held(corpus(0))
    told: list[tuple[str, int, int]] = []
    small_edits(records, traces.spelled, lambda *one: told.append(one))
    assert list(dict.fromkeys(what for what, _, _ in told)) == ["Preparing to compare", "Comparing the splits"]
    for stage in ("Preparing to compare", "Comparing the splits"):
        done = [(done, total) for what, done, total in told if what == stage]
        assert done == sorted(done)
        assert done[-1][0] == done[-1][1]
