"""The real small models, from their packages: converted, trained, asked and compared with independent computations.

One conversion serves all of these tests. Skipped, with the command, where the packages are not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from semievol.engines import retrieval
from semievol.engines.local import LocalEngine
from semievol.engines.models import packaged
from semievol.engines.models.footprint import Shape
from semievol.installed import HOW, MINILM, SMOLLM2
from semievol.method.protocols import Ask, TrainingSetup
from semievol.records import Example, Message
from semievol.tuning import Lora, Tuning

pytestmark = pytest.mark.skipif(
    not (SMOLLM2.there and MINILM.there), reason=f"the model packages are not installed ({HOW})"
)
LABELS = ("parks", "parking", "waste", "water")
PUBLISHED = [0.06765691, 0.06349596, 0.04871312, 0.07930497, 0.03744803, 0.00265278, 0.03937500, -0.00709844]
"""First of the 384 numbers that all-MiniLM-L6-v2 is known to give for "This is an example sentence"."""


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`smollm2` and `minilm` in a folder of these tests' own, made by the first of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(packaged.HOME, str(tmp_path_factory.mktemp("prepared")))
        yield packaged.folder("smollm2")


@pytest.fixture(scope="module")
def smollm2(converted: Path) -> LocalEngine:
    return LocalEngine("smollm2", "fp32", threads=1)


def question(text: str) -> tuple[Message, ...]:
    return (Message("user", f"{text}\nAnswer with one of: {', '.join(LABELS)}."),)


def test_the_package_becomes_an_ordinary_model_folder(converted):
    shape = Shape.of(converted)
    assert (shape.parameters, shape.hidden, shape.layers, shape.context) == (134_515_008, 576, 30, 8192)
    assert {path.suffix for path in converted.iterdir()} <= {".json", ".safetensors", ".jinja", ""}


def test_it_knows_the_capital_of_france(smollm2):
    asked = Ask("r", "c", "base", (Message("user", "What is the capital of France?"),), max_tokens=12)
    assert "Paris" in smollm2.answer([asked])[0].text


def test_scored_answers_are_those_of_plain_transformers_in_float64(converted, smollm2):
    """Two labels begin with the same token, so that more than the first token counts."""
    texts = ["A car blocks my drive."]
    replies = smollm2.answer([Ask(str(i), "c", "base", question(text), LABELS) for i, text in enumerate(texts)])
    tokenizer = AutoTokenizer.from_pretrained(converted)
    model = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float64)
    for text, reply in zip(texts, replies, strict=True):
        turns = [{"role": "user", "content": question(text)[0].content}]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        start = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        sums = []
        for label in LABELS:
            ids = torch.tensor([tokenizer(prompt + label, add_special_tokens=False)["input_ids"]])
            with torch.no_grad():
                logp = model(ids).logits[0].log_softmax(-1)
            sums.append(sum(float(logp[i - 1, ids[0, i]]) for i in range(start, ids.shape[1])))
        expected = np.exp(np.array(sums) - np.logaddexp.reduce(sums))
        assert reply.probabilities == pytest.approx(expected, abs=1e-4)
        assert reply.mass == pytest.approx(np.exp(sums).sum(), rel=1e-3)


def test_ten_steps_teach_it(smollm2, tmp_path):
    def asked_of(text: str) -> tuple[Message, ...]:
        return (Message("system", "Sort."), Message("user", text))  # a system turn of 20 tokens stands there otherwise

    examples = [
        Example(str(i), asked_of(f"{word} {i}"), label, "gold")
        for i in range(2)
        for label, word in zip(LABELS, ("trees", "cars", "bins", "pipes"), strict=True)
    ]
    lora = Lora(rank=4, alpha=8)
    settings = Tuning(method="lora", lora=lora, epochs=5, minimum_steps=0, batch_size=4, learning_rate=2e-3)
    losses: list[float] = []
    adapter = smollm2.train(
        examples,
        TrainingSetup(settings, tmp_path, 0),
        lambda name, _, value: losses.append(value) if name == "loss" else None,
        lambda *_: None,
        lambda: False,
    )
    assert len(losses) == 10
    assert losses[-1] < 0.3 * losses[0]
    asked = [Ask("r", "c", adapter, asked_of("bins again"), LABELS)]
    assert smollm2.answer(asked)[0].text == "waste"


def test_in_bf16_rows_are_packed_too(smollm2):
    engine = LocalEngine("smollm2", "auto", threads=1)
    assert engine.base.packs
    asked = [Ask("r", "c", "base", question("The bins were not emptied."), LABELS)]
    exact = smollm2.answer(asked)[0].probabilities
    assert engine.answer(asked)[0].probabilities == pytest.approx(exact, abs=0.1)


def test_the_embedder_gives_the_published_vector(converted):
    embed = retrieval.sentence_embedder(retrieval.sentence_folder("minilm"), "cpu")
    (vector,) = embed(["This is an example sentence"])
    assert vector.shape == (384,)
    assert vector[: len(PUBLISHED)] == pytest.approx(PUBLISHED, abs=1e-6)
