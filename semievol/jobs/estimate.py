"""What a run will need, told before it is started."""

from __future__ import annotations

from semievol.config import Config
from semievol.engines import footprint
from semievol.engines.models import STARTER, is_folder, resolve_model
from semievol.method.prompts import answer_rule
from semievol.store import projects
from semievol.store.database import Store


def memory(store: Store, version_id: int, config: Config) -> float | None:
    """About how many bytes a run of all stages takes at its peak; None for a hub model, whose files may be elsewhere.

    Raises UserError where the model cannot be used or does not tell its sizes.
    """
    if config.model != STARTER and not is_folder(config.model):
        return None
    shape = footprint.Shape.of(resolve_model(config.model))
    task = projects.task_of(store, version_id)
    asked = projects.longest(store, version_id) + len(answer_rule(task).encode())
    once = len(task.instruction.encode())
    bf16 = config.precision == "auto" and footprint.processor_has_bf16()
    return footprint.peak(shape, config, once + asked, once + asked * (1 + config.propagation.k), bf16)
