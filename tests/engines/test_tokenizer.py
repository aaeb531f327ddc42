"""Lengths in tokens are those that the model's tokenizer gives in training, told without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from semievol.engines.models import tokenizer
from semievol.importing.build import build_records
from semievol.importing.mapping import Mapping
from semievol.jobs import intake
from semievol.records import Task
from tests.importing.files import table_of

TEXTS = ["", "one two", "Überraschung 👩‍👧", "x" * 500, "two\n\nlines  and   spaces"]


def test_token_counts_are_those_of_the_whole_tokenizer() -> None:
    folder = tokenizer.folder_of("starter")
    assert folder is not None
    whole = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.token_counts(folder, TEXTS).tolist() == [
        len(whole.encode(t, add_special_tokens=False)) for t in TEXTS
    ]
    assert tokenizer.context_length(folder) == 2048


def test_records_that_the_model_cannot_read_are_counted() -> None:
    rows = [[f"question {i} " + "word " * (3000 if i < 3 else 5), "yes"] for i in range(40)]
    table = table_of("data.csv", ["question", "answer"], rows)
    imported = build_records({"labeled": table}, Mapping("question", "answer"), Task("text"))
    measured = intake.token_lengths(imported.task, imported, "starter")
    assert measured is not None
    assert (measured.too_long, measured.looked_at, len(measured.sample)) == (3, True, 40)
    assert measured.sample.max() > 2048 > measured.sample.min() > 5


def test_a_long_answer_rule_counts_as_well() -> None:
    labels = tuple(f"label {'x ' * 65}{i}" for i in range(30))
    rows = [["words " * 150, labels[i % 30]] for i in range(60)]
    imported = build_records(
        {"labeled": table_of("data.csv", ["question", "answer"], rows)},
        Mapping("question", "answer"),
        Task("classification", labels),
    )
    measured = intake.token_lengths(imported.task, imported, "starter")
    assert measured is not None
    assert imported.sizes.max() < 1_000  # the questions alone would fit
    assert measured.too_long == 60


@pytest.mark.parametrize("model", ["somebody/model-on-the-hub", "", "/no/such/folder"])
def test_nothing_is_said_of_a_model_that_is_not_here(model: str, tmp_path: Path) -> None:
    assert tokenizer.folder_of(model) is None
    assert tokenizer.folder_of(str(tmp_path)) == tmp_path


def test_no_torch_is_loaded() -> None:
    program = "import sys; from semievol.engines.models.tokenizer import STARTER_FOLDER, token_counts; "
    program += "token_counts(STARTER_FOLDER, ['a']); "
    program += "print('torch' in sys.modules, 'transformers' in sys.modules)"
    root = Path(__file__).parents[2]
    out = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]
