"""Who is said to read demonstrations."""

from __future__ import annotations

import pytest

from semievol.method import demonstration_readers
from semievol.presets import load


@pytest.mark.parametrize(
    ("preset", "settings", "says"),
    [
        (
            "studio",
            [],
            "In this project no model reads demonstrations before it answers; the neighbours' vote takes the answers "
            "of similar labeled records, and those of unlabeled ones that were answered before.",
        ),
        (
            "paper",
            [],
            "“warm-up, demonstrations”, “warm-up, shuffled demonstrations, T = 1” and “base, demonstrations” read the "
            "3 most similar labeled records before the question; the others answer without them.",
        ),
        ("authors_code", [], "In this project no model reads demonstrations before it answers."),
        (
            "studio",
            ["propagation.k=1", "propagation.justify=true", "propagation.judge.demonstrations=true"],
            "The judge of disputes reads the most similar labeled record before the question; the others",
        ),
    ],
)
def test_it_is_said_who_reads_the_demonstrations(preset: str, settings: list[str], says: str) -> None:
    assert demonstration_readers.sentence(load(preset, assignments=settings).propagation).startswith(says)
