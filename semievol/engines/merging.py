"""An adapter merged into its base, as an ordinary model folder: `python -m semievol.engines.merging MODEL ADAPTER OUT`.

A process of its own, as whoever exports a model loads no torch. It prints a JSON object a line: what it is doing, and
an error if there was one. The weights are written in float32: in a shorter format part of what was learned would be
rounded away.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from semievol.errors import UserError

SHARD = "4GB"
"""Largest file of the weights."""
STEPS = ("Loading the model", "Merging the adapter", "Writing the weights")


def main(model: str, adapter: str, out: str) -> int:
    """Writes weights, config.json and generation_config.json to the folder `out`; the exit code."""
    try:
        _merge(model, Path(adapter), Path(out))
    except UserError as problem:
        _say({"error": problem.as_dict()})
        return 2
    return 0


def _merge(model: str, adapter: Path, out: Path) -> None:
    _say({"doing": STEPS[0], "done": 0})
    import torch  # here, so that the first step is shown before torch loads
    from transformers import GenerationConfig

    from semievol.engines.adapters import AdaptedModel

    adapted = AdaptedModel(model, torch.device("cpu"), torch.float32)
    with adapted.using(str(adapter)):
        _say({"doing": STEPS[1], "done": 1})
        assert adapted.peft is not None, "a complete set of weights is copied, not merged"
        merged = adapted.peft.merge_and_unload(safe_merge=True)
    _say({"doing": STEPS[2], "done": 2})
    # The base's own settings for generating may draw at random or punish repetition; the Studio does neither.
    merged.generation_config = GenerationConfig(eos_token_id=sorted(adapted.chat.stops), pad_token_id=adapted.pad)
    merged.save_pretrained(out, max_shard_size=SHARD)


def _say(words: dict[str, object]) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
