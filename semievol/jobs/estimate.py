"""What a run will need, told before it is started."""

from __future__ import annotations

from pathlib import Path

from semievol.config import Config
from semievol.engines import footprint
from semievol.engines.models import STARTER, resolve_model
from semievol.store import projects
from semievol.store.database import Store


def memory(store: Store, version_id: int, config: Config) -> float | None:
    """About how many bytes a run of all stages takes at its peak; None for a model that is to be downloaded first.

    Raises UserError where the model cannot be used.
    """
    if config.model != STARTER and not Path(config.model).expanduser().is_dir():
        return None
    shape = footprint.Shape.of(resolve_model(config.model))
    longest = projects.longest(store, version_id)
    bf16 = config.precision == "auto" and footprint.processor_has_bf16()
    return footprint.peak(shape, config, longest, longest * (1 + config.propagation.k), bf16)
