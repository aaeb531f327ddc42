"""A fine-tuned model as one ordinary folder that transformers loads: an adapter merged into its base, or all weights.

The merging needs torch and is done by a process of its own, `engines.merging`; this one reads its progress.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from semievol.engines.merging import STEPS
from semievol.engines.models.files import read_json
from semievol.errors import UserError
from semievol.export import adapter, card, files
from semievol.progress import Watch
from semievol.store.data.projects import Project, incoming_folder
from semievol.store.database import Store


def write(store: Store, project: Project, chosen: adapter.Adapter, out: Path, watch: Watch) -> Path:
    """Writes the model to `out`, a new folder or, if its name ends in .zip, an archive."""
    files.refuse_taken(out)
    base = adapter.base_folder(chosen)
    if base is not None and read_json(base / "config.json").get("quantization_config"):
        raise UserError(
            f"The base model {card.base_name(chosen.base)} is stored in few bits, which nothing can be added to.",
            "--what merged",
            "Export the adapter instead.",
        )
    if base is None:
        raise UserError(
            f"The base model {card.base_name(chosen.base)} is not on this machine.",
            "--what merged",
            "Export the adapter instead, or merge where the model was trained.",
        )
    if chosen.full:
        return adapter.write(store, project, chosen, out)
    with incoming_folder(store) as folder:
        weights = folder / "model"
        _merge(chosen, weights, watch)
        return adapter.write(store, project, chosen, out, merged=weights)


def _merge(chosen: adapter.Adapter, out: Path, watch: Watch) -> None:
    """Runs the process that merges; passes its progress on, and raises its error."""
    words = [sys.executable, "-m", "semievol.engines.merging", chosen.base, str(chosen.folder), str(out)]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                said = json.loads(line) if line.startswith("{") else {}
                if "error" in said:
                    raise UserError(**said["error"])
                if "doing" in said:
                    watch(said["doing"], said["done"], len(STEPS))
            ended = process.wait()
        finally:
            process.kill()
            process.communicate()
        if ended:
            complaints.seek(0)
            last = complaints.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            why = f" ({last[0][:200]})" if last else ""
            raise UserError(
                f"The model could not be merged{why}.",
                "--what merged",
                "Free some memory and disk space, and try again.",
            )
