"""Models of the families on the hub: the numbers are those of transformers' plain forward passes, row by row, and whole
runs go through. `tests.benchmarks.families` does all runs of all families."""

from __future__ import annotations

from pathlib import Path

import pytest

from semievol.engines.local import LocalEngine
from semievol.engines.models.files import weight_files
from semievol.engines.models.footprint import Shape
from semievol.jobs.planning import check_model
from tests import family_checks
from tests.family_checks import Plain
from tests.model_families import FAMILIES, SLOW, make

CLOSE = 1e-4


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in SLOW])
def test_answers_words_and_loss_are_those_of_plain_rows(name: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "model", name)
    check_model(str(folder))
    engine, plain = LocalEngine(str(folder), threads=1), Plain(folder, name)
    assert engine.base.packs == FAMILIES[name].packs
    assert engine.base.chat.plain == (not FAMILIES[name].template)
    assert Shape.of(folder).parameters == pytest.approx(engine.base.size, rel=1e-3)
    assert family_checks.answers(engine, plain) < CLOSE
    assert family_checks.writes(engine, plain) < CLOSE
    assert family_checks.learns(engine, plain) < CLOSE


def test_an_answer_that_grows_beyond_the_length_at_which_positions_turn_is_read_again(tmp_path: Path) -> None:
    """One of these prompts is a few tokens shorter than the 64 at which this Phi 3.5 turns positions otherwise."""
    folder = make(tmp_path / "model", "Phi 3, 128k")
    engine, plain = LocalEngine(str(folder), threads=1), Plain(folder, "Phi 3, 128k")
    (shortest,) = map(len, engine.base.chat.prompts([family_checks.turns("x")]))
    texts = ["x" + "!?" * ((64 - shortest) // 2 + more) for more in (-8, -1, 0, 8)]
    lengths = [len(prompt) for prompt in engine.base.chat.prompts([family_checks.turns(text) for text in texts])]
    assert engine.base.turning == 64
    assert any(length <= 64 < length + family_checks.WRITTEN - 1 for length in lengths), "it grows beyond it"
    assert min(lengths) + family_checks.WRITTEN < 64 < max(lengths)
    assert family_checks.writes(engine, plain, texts) < CLOSE


@pytest.mark.parametrize(
    ("name", "how"),
    [("Llama 3.1 in shards", "lora"), ("GLM 4.5", "full"), ("Gemma 3 with pictures", "lora")],
)
def test_a_whole_run_leaves_a_model_that_computes_what_the_adapter_does(name: str, how: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "model", name)
    assert (len(weight_files(folder)) > 1) == ("shards" in name)
    engine = LocalEngine(str(folder), threads=1)
    adapters = family_checks.whole_run(engine, folder, how, tmp_path).adapters
    assert family_checks.carried(engine, folder, Path(adapters["tune"]), tmp_path / "merged") < CLOSE
