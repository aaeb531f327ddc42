"""An adapter as a folder or zip archive, with a README that says which one it is, and a manifest of hashes.

Only allow-listed files are exported: an ordinary model folder where every weight was trained, else the files that peft
reads. They hold no path of this machine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from semievol.engines.models.files import FULL_WEIGHTS, MODEL_FILES
from semievol.engines.training.checkpoints import about, fault, newest
from semievol.errors import UserError
from semievol.export import files
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.results import outcomes
from semievol.store.runs import rounds, runs
from semievol.store.schema import ACTIVE

LORA_FILES = ("adapter_model.safetensors", "adapter_config.json", "base.json")
FULL_FILES = (FULL_WEIGHTS, *MODEL_FILES, "base.json")
_MAY_NAME_PATHS = ("adapter_config.json", "base.json", "config.json", "generation_config.json", "tokenizer_config.json")
MANIFEST = "MANIFEST.json"
README = "README.md"
Stage = Literal["warm_up", "tune"]


@dataclass(frozen=True)
class Adapter:
    """A folder with an adapter, and which one it is.

    round, run: the round's number; the run that made it, None for a warm-up. step: where its training ended, None
    where that is unknown. complete: False for a checkpoint of an unfinished fine-tuning.
    """

    folder: Path
    stage: Stage
    round: int
    run: int | None
    step: int | None
    complete: bool

    @property
    def full(self) -> bool:
        """Whether it is a complete set of weights."""
        return not (self.folder / "adapter_config.json").is_file()

    @property
    def words(self) -> str:
        """One sentence for a person."""
        at = "" if self.step is None else f" at step {self.step:,}"
        if self.stage == "warm_up":
            return f"The warm-up adapter of round {self.round}, from before that round's fine-tuning on pseudo-labels."
        if self.complete:
            return f"The evolved adapter of round {self.round}, made by run {self.run}, complete{at}."
        return f"A checkpoint of round {self.round}: run {self.run} was stopped while fine-tuning{at}; not complete."


def choose(store: Store, project: projects.Project, round_id: int | None = None, run_id: int | None = None) -> Adapter:
    """The adapter to export: the newest of this run or round, or of the whole project.

    It is an evolved adapter if there is one, else the newest complete checkpoint of a `tune` that was stopped or
    failed, else the adapter with which a round began.
    """
    by_id = {round_.id: round_ for round_ in rounds.list_rounds(store, project.id) if round_id in (None, round_.id)}
    made = [run for run in runs.list_runs(store, project.id) if run.round_id in by_id and run_id in (None, run.id)]
    if run_id is not None and not made:
        raise UserError(f"There is no run {run_id} in this project.", project.name, "Choose one of its runs.")
    made.sort(key=lambda run: (run.round_id, run.ended or 0.0, run.id), reverse=True)
    for run in made:
        if path := outcomes.run_adapter(store, run.id):
            return _checked(Path(path), "tune", by_id[run.round_id], run.id)
    for run in made:
        tuned = projects.run_folder(store, project.id, run.id) / "tune"
        # An active run writes and deletes checkpoints at any time.
        if run.status not in ACTIVE and (checkpoint := newest(tuned)) is not None:
            return _checked(checkpoint, "tune", by_id[run.round_id], run.id, complete=False)
    for begun in sorted({run.round_id for run in made} if run_id is not None else by_id, reverse=True):
        if path := outcomes.adapters(store, begun).get("warm_up"):
            return _checked(Path(path), "warm_up", by_id[begun])
    raise UserError("There is no adapter to export yet.", project.name, "Fine-tune first.")


def write(adapter: Adapter, out: Path) -> Path:
    """Writes the adapter to `out`, a new folder or, if its name ends in .zip, an archive."""
    return files.folder(out, _members(adapter))


def _checked(
    folder: Path, stage: Stage, round_: rounds.Round, run_id: int | None = None, complete: bool = True
) -> Adapter:
    wrong = fault(folder)
    if wrong:
        raise UserError(f"The adapter is damaged: {wrong}.", "adapter", "Fine-tune again.")
    return Adapter(folder, stage, round_.place, run_id, about(folder).get("step"), complete)


def _members(adapter: Adapter) -> list[tuple[str, Path | bytes]]:
    """As `contents`, with a README and a manifest that says which adapter it is and holds the SHA-256 of all others."""
    members = contents(adapter.folder)
    members.append((README, _readme(adapter).encode()))
    fields = {name: value for name, value in asdict(adapter).items() if name != "folder"}
    manifest = {"adapter": fields, "sha256": {name: files.sha256(content) for name, content in members}}
    return [*members, (MANIFEST, json.dumps(manifest, indent=1).encode())]


def contents(folder: Path) -> list[tuple[str, Path | bytes]]:
    """An adapter's files by name: allow-listed ones, to be copied, or bytes without any path of this machine."""
    allowed = LORA_FILES if (folder / "adapter_config.json").is_file() else FULL_FILES
    there = [path for name in allowed if (path := folder / name).is_file() and not path.is_symlink()]
    if not any(path.name == allowed[0] for path in there):
        raise UserError("The adapter has no weights.", "adapter", "Fine-tune again.")
    return [(path.name, _without_paths(path) if path.name in _MAY_NAME_PATHS else path) for path in there]


def _without_paths(path: Path) -> bytes:
    return json.dumps(_shortened(json.loads(path.read_text(encoding="utf-8"))), indent=1, sort_keys=True).encode()


def _shortened(value: Any) -> Any:
    """The same JSON with every absolute path cut down to its last part."""
    if isinstance(value, dict):
        return {key: _shortened(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_shortened(part) for part in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _readme(adapter: Adapter) -> str:
    try:
        base = _shortened(json.loads((adapter.folder / "base.json").read_text(encoding="utf-8")))["model"]
    except (OSError, ValueError, KeyError):
        base = "the base model"
    if adapter.full:
        what = f"All weights of `{base}`, trained further: a complete model. Load it with transformers:"
        lines = ['model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")']
    else:
        what = f"A LoRA adapter for `{base}`. Load it with peft:"
        lines = [
            "from peft import PeftModel\n",
            f'base = AutoModelForCausalLM.from_pretrained("{base}")',
            'model = PeftModel.from_pretrained(base, "path/to/this/folder")',
        ]
    code = "\n".join(["from transformers import AutoModelForCausalLM", *lines])
    return (
        "# Adapter made with SemiEvol Studio\n\n"
        f"{adapter.words}\n\n{what}\n\n```python\n{code}\n```\n\n"
        f"`{MANIFEST}` holds the SHA-256 of every file. `base.json` holds the fingerprint of the base model that it\n"
        "was trained from; in the Studio it fits no other.\n"
    )
