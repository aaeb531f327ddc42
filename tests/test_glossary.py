"""What a customer reads explains its own words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from semievol import glossary, wording
from tests.exported import World


@pytest.mark.parametrize("words", [*wording.row_words().values(), *wording.row_words(later_round=True).values()])
def test_every_row_of_an_evaluation_is_explained(words: str) -> None:
    model = words.split(", ")[0].partition(" (")[0]
    assert any(term.startswith(model) for term, _ in glossary.explained(words))


def test_only_what_occurs_is_explained() -> None:
    assert glossary.explained("The weather is fine.") == []
    assert [term for term, _ in glossary.explained("The base was p = 0.2, with 95 % confidence.")] == [
        "Base",
        "95 % interval",
        "p",
    ]


def test_the_report_explains_its_terms_and_breaks_no_percentage(tmp_path: Path) -> None:
    text = World(tmp_path / "workspace").export("report", tmp_path / "r.html").read_text(encoding="utf-8")
    before, terms = text.split("<h2>Terms</h2>")
    for words in ("collaborator", "hidden gold", "McNemar", "NLL", "policy", "candidates"):
        assert words in before
    listed = re.findall(r"<tr><td>([^<]+)</td>", terms)
    assert {"Evolved", "Collaborator", "Hidden gold", "p", "NLL", "Policy"} <= set(listed)
    assert "Regression" not in listed, "no regression answered"
    assert not re.search(r"\d %", before)
