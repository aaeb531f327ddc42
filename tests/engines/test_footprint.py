import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM

from semievol.engines.models.footprint import PROCESS, Shape, peak, training
from semievol.engines.models.resolve import STARTER_FOLDER
from semievol.errors import UserError
from semievol.presets import load
from semievol.tuning import Lora, Tuning

STARTER = Shape.of(STARTER_FOLDER)
EIGHT_BILLION = Shape(8_030_261_248, 4096, 14336, 32, 131_072)


@pytest.mark.parametrize("kind", ["llama", "qwen"])
def test_parameters_are_those_of_the_loaded_model(kind: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(kind)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert Shape.of(folder).parameters == model.num_parameters()
    assert Shape.of(folder).layers == len(model.model.layers)


@pytest.mark.parametrize(
    ("method", "tokens", "bf16", "measured"),
    [
        ("full", 64, True, 726), ("full", 400, True, 1062), ("full", 64, False, 755), ("full", 400, False, 1301),
        ("lora", 64, True, 676), ("lora", 400, True, 1093), ("lora", 64, False, 719), ("lora", 400, False, 1490),
    ],
)  # fmt: skip
def test_peaks_that_were_measured_are_met_within_a_sixth(method: str, tokens: int, bf16: bool, measured: int) -> None:
    """MB of a worker that trained the starter on 64 examples of so many tokens, eight at once (VmHWM)."""
    model = PROCESS + STARTER.parameters * (2 if bf16 else 4)
    estimated = model + training(STARTER, Tuning(method=method), 8 * tokens, bf16)
    assert estimated / 1e6 == pytest.approx(measured, rel=1 / 6, abs=0)


def test_other_names_and_split_or_doubled_weights_are_understood(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_embd": 48, "n_layer": 2, "n_positions": 512, "vocab_size": 9}')
    save_file({"a": np.zeros((3, 4), np.float32)}, tmp_path / "model.safetensors")
    save_file({"a": np.zeros((3, 4), np.float32)}, tmp_path / "consolidated.safetensors")
    assert Shape.of(tmp_path) == Shape(12, 48, 192, 2, 512, vocabulary=9, keys_and_values=96)
    (tmp_path / "model.safetensors").rename(tmp_path / "model-1.safetensors")
    save_file({"b": np.zeros(5, np.float32)}, tmp_path / "model-2.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert Shape.of(tmp_path).parameters == 17


@pytest.mark.parametrize(
    "config",
    ["[]", "null", "{}", '{"hidden_size": "big"}', '{"hidden_size": null}', '{"hidden_size": 8, "n_layer": [2]}',
     '{"text_config": [1]}', "{broken"],
)  # fmt: skip
def test_a_model_that_does_not_tell_its_sizes_is_a_clear_error(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError):
        Shape.of(tmp_path)


def test_an_eight_billion_model_trains_in_full_nowhere_near_a_laptop() -> None:
    """Sixteen bytes a parameter: weights, gradients and two moments in fp32 (Rajbhandari et al. 2020)."""
    assert training(EIGHT_BILLION, Tuning(method="full"), 136, True) > 16 * 8.03e9
    low_rank = training(EIGHT_BILLION, Tuning(method="lora"), 136, True)
    assert low_rank < 8e9
    assert training(EIGHT_BILLION, Tuning(method="auto"), 136, True) == low_rank


def test_what_a_person_can_turn_moves_the_estimate() -> None:
    def needed(tokens: int = 900, **settings: object) -> float:
        return training(STARTER, Tuning(**settings), tokens, False)

    assert needed(7_200) > needed(3_600) > needed(900)
    assert needed(method="lora", lora=Lora(rank=64)) > needed(method="lora", lora=Lora(rank=8))
    larger = peak(STARTER, load("studio"), 9_600, 2_400, False)
    assert (
        larger
        == peak(STARTER, load("studio"), 2_400, 9_600, False)
        > peak(STARTER, load("studio"), 2_400, 2_400, False)
    )
