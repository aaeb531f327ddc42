"""Token cleaning: which tokens are left out, of which examples, and that they are not learned from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from semievol.engines.packing.batching import Batcher
from semievol.engines.training import batches
from semievol.engines.training.cleaning import cleaned
from semievol.method.protocols import TokenCleaning
from semievol.records import Example
from semievol.tuning import Lora
from tests.engines.conftest import examples, train, training, turns

ANSWERS = ("The pipe leaks", "A lamp is out", "Nobody collects the waste")


def written(count: int = 12) -> list[Example]:
    """Free answers, two of three of them pseudo-labels."""
    return [
        Example(str(i), turns("What is wrong? " * (1 + i % 3)), ANSWERS[i % 3], "gold" if i % 3 == 0 else "pseudo")
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def warm(engine, tmp_path_factory) -> Path:
    setup = training(tmp_path_factory.mktemp("warm"), lora=Lora(rank=4), minimum_steps=10)
    return train(engine, setup, taught=[one for one in written() if one.origin == "gold"])[0]


def scores(engine, adapter, turn) -> np.ndarray:
    """log p of the warm-up minus log p of the base at every token of the reply, one by one in float64."""
    ids = torch.tensor([[*turn.prompt, *turn.reply]])

    def logp(folder):
        with engine.base.using(folder) as model:
            table = model(ids).logits[0].double().log_softmax(-1)
        return np.array([float(table[len(turn.prompt) - 1 + i, token]) for i, token in enumerate(turn.reply)])

    return logp(str(adapter)) - logp(None)


@pytest.mark.parametrize("packs", [True, False])
def test_the_share_of_tokens_that_the_warm_up_raised_least_is_left_out(engine, warm, monkeypatch, packs):
    monkeypatch.setitem(engine.base.__dict__, "packs", packs)
    given = engine.base.chat.turns([one for one in written() if one.origin == "pseudo"][:2])
    found = cleaned(engine.base, given, TokenCleaning(0.3, str(warm)), Batcher(400))
    expected = [scores(engine, warm, turn)[:-1] for turn in given]
    dropped = [(n, i) for n, turn in enumerate(found) for i in turn.left_out]
    assert [replace(turn, left_out=frozenset()) for turn in found] == given
    everything = np.concatenate(expected)
    assert len(dropped) == int(0.3 * len(everything)) > 0
    assert max(expected[n][i] for n, i in dropped) <= np.sort(everything)[len(dropped) - 1] + 1e-4
    assert all(i < len(given[n].reply) - 1 for n, i in dropped), "the end of the turn stays"


@pytest.mark.parametrize("way", ["packed", "padded"])
def test_the_loss_leaves_these_tokens_out_and_nothing_else(engine, way):
    given = engine.base.chat.turns(written(4))
    given = [replace(turn, left_out=frozenset({0, 2})) if place % 2 else turn for place, turn in enumerate(given)]
    batch = batches.packed(given) if way == "packed" else batches.padded(given, 0)
    model = engine.base.fresh(torch.float32)
    expected = 0.0
    for turn in given:
        ids = torch.tensor([[*turn.prompt, *turn.reply]])
        logp = model(ids).logits[0].double().log_softmax(-1)
        kept = [i for i in range(len(turn.reply)) if i not in turn.left_out]
        expected -= sum(float(logp[len(turn.prompt) - 1 + i, turn.reply[i]].detach()) for i in kept)
    assert float(batches.answer_loss(model, batch).detach()) == pytest.approx(expected, rel=1e-5)
    other = batches.answer_logits(model, batch).detach().roll(1, dims=1)
    apart = batches.answer_loss(model, batch, 1.0, other) - batches.answer_loss(model, batch)
    kept = batch["labels"] != batches.LEFT_OUT
    logits = batches.answer_logits(model, batch)
    assert float(apart.detach()) == pytest.approx(
        float(batches.divergence(logits[kept], other[kept]).detach()), rel=1e-4
    )


def test_a_training_cleans_pseudo_labels_only_and_is_another_training(engine, warm, tmp_path, monkeypatch):
    seen = []

    def watched(adapted, turns, cleaning, batcher):
        seen.extend(turns)
        return cleaned(adapted, turns, cleaning, batcher)

    monkeypatch.setattr("semievol.engines.training.cleaning.cleaned", watched)
    setup = training(tmp_path / "one", lora=Lora(rank=4), minimum_steps=3, epochs=0.1)
    plain, first = train(engine, setup, taught=written())
    assert not seen
    with_cleaning = replace(setup, cleaning=TokenCleaning(0.4, str(warm)))
    other, second = train(engine, with_cleaning, taught=written())
    assert seen == engine.base.chat.turns([one for one in written() if one.origin == "pseudo"])
    assert second["loss"][1] != first["loss"][1]
    assert plain == other, "the same folder: the first adapter was not taken for the second"
    gold = [replace(one, origin="gold") for one in examples(6)]
    train(engine, replace(with_cleaning, folder=tmp_path / "gold"), taught=gold)
