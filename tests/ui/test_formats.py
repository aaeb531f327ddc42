"""Numbers and times as the screen writes them."""

from semievol import wording
from semievol.ui.selection import deciding
from semievol.ui.shell import formats


def test_the_formats_of_the_design() -> None:
    assert formats.score(0.9432) == "0.943"
    assert formats.percent(0.943) == "94.3 %"
    assert formats.count(12480) == "12,480"
    assert formats.duration(80) == "1 min 20 s"
    assert formats.duration(3700) == "1 h 1 min"
    assert formats.duration(0.42) == "0.4 s"


def test_what_is_missing_is_a_dash() -> None:
    missing = [formats.score(None), formats.percent(float("nan")), formats.count(None), formats.duration(None)]
    assert missing == [formats.DASH] * 4


def test_long_text_is_cut_to_one_line() -> None:
    assert formats.shorten("a\nb   c") == "a b c"
    assert formats.shorten("x" * 200, 10) == "x" * 9 + "…"


def test_lists_read_like_sentences() -> None:
    assert formats.series(["a"]) == "a"
    assert formats.series(["a", "b", "c"]) == "a, b and c"
    assert formats.plural(1, "record") == "1 record"
    assert formats.plural(1200, "record") == "1,200 records"


def test_gigabytes_are_as_exact_as_an_estimate_is() -> None:
    assert [formats.gigabytes(size) for size in (4.9e7, 1.04e9, 9.94e9, 9.96e9, 1.28e12)] == [
        "0.0 GB", "1.0 GB", "9.9 GB", "10 GB", "1,280 GB",
    ]  # fmt: skip


def test_an_estimated_time_is_not_more_exact_than_an_estimate() -> None:
    assert [formats.about(s) for s in (2, 43, 440, 9_000)] == ["about 10 s", "about 40 s", "about 7 min", "about 2.5 h"]


def test_a_slow_pace_is_no_zero() -> None:
    assert formats.pace(12.34) == "12 per second"
    assert formats.pace(1.54) == "1.5 per second"
    assert formats.pace(0.05) == "3 per minute"
    assert formats.pace(0.005) == "18 per hour"


def test_every_decision_has_the_words_of_the_button_that_makes_it() -> None:
    labels = {action: label.lower() for label, action, _ in deciding.BUTTONS}
    for action, words in formats.DECISION_WORDS.items():
        assert labels.get(action, words) == words
    assert "ambiguous" not in formats.DECISION_WORDS.values()


def test_long_paths_and_long_sentences_are_cut() -> None:
    path = "/home/somebody/with/a/long/name/projects/model.safetensors"
    assert wording.brief(f'"{path}" cannot be read.') == '"…/model.safetensors" cannot be read.'
    windows = r"C:\Users\Somebody\Documents\LongName\models\weights.gguf"
    assert wording.brief(f"See {windows}.") == r"See …\weights.gguf."
    for kept in ("/etc/hosts is no model.", "a/b of 3/4", "https://example.org/" + "a/" * 40, "someone/model"):
        assert wording.brief(kept) == kept
    assert len(wording.brief("word " * 100)) <= 240
