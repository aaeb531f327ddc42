from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from semievol.config import Config, Lora, Tuning, load
from semievol.engines.footprint import PROCESS, Shape, peak, training
from semievol.engines.models import STARTER_FOLDER

STARTER = Shape.of(STARTER_FOLDER)
EIGHT_BILLION = Shape(8_030_261_248, 4096, 14336, 32, 128_256)


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
    estimated = model + training(STARTER, Tuning(method=method), 3.0 * (tokens - 36), bf16)  # type: ignore[arg-type]
    assert estimated / 1e6 == pytest.approx(measured, rel=1 / 6, abs=0)


def test_an_eight_billion_model_trains_in_full_nowhere_near_a_laptop() -> None:
    """Sixteen bytes a parameter: weights, gradients and two moments in fp32 (Rajbhandari et al. 2020)."""
    assert training(EIGHT_BILLION, Tuning(method="full", micro_batch_size=1), 300, True) > 16 * 8.03e9
    low_rank = training(EIGHT_BILLION, Tuning(method="lora", micro_batch_size=1), 300, True)
    assert low_rank < 8e9
    assert training(EIGHT_BILLION, Tuning(method="auto", micro_batch_size=1), 300, True) == low_rank


def test_what_a_person_can_turn_moves_the_estimate() -> None:
    def needed(**settings: object) -> float:
        return training(STARTER, Tuning(**settings), 900, False)  # type: ignore[arg-type]

    assert needed(micro_batch_size=8) > needed(micro_batch_size=4) > needed(micro_batch_size=1)
    assert needed(method="lora", lora=Lora(rank=64)) > needed(method="lora", lora=Lora(rank=8))
    some = load("studio", None, ["propagation.warm_up_demonstrations=some"])
    assert peak(STARTER, some, 300, 1200, False) > peak(
        STARTER, Config(**load("studio").model_dump()), 300, 1200, False
    )
