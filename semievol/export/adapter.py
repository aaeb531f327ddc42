"""A fine-tuned model as a folder or zip archive, with its card, a script that asks it, and a manifest of hashes.

Only allow-listed files are exported: an ordinary model folder where every weight was trained or `merged` wrote one,
else the files that peft reads and the tokenizer. They hold no path of this machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from semievol.endpoints import is_endpoint, name_of, tuned_of
from semievol.engines.models import tokenizer
from semievol.engines.models.files import FULL_WEIGHTS, MODEL_FILES, licence
from semievol.engines.models.prompts import reader
from semievol.engines.models.resolve import downloaded
from semievol.engines.training.checkpoints import about, fault, newest
from semievol.errors import UserError
from semievol.export import card, files, script
from semievol.installed import MODELS, STARTER
from semievol.store.data import projects, versions
from semievol.store.database import Store
from semievol.store.results import outcomes
from semievol.store.runs import rounds, runs
from semievol.store.schema import ACTIVE

LORA_FILES = ("adapter_model.safetensors", "adapter_config.json", "base.json")
FULL_FILES = (FULL_WEIGHTS, *MODEL_FILES, "base.json")
_MAY_NAME_PATHS = ("adapter_config.json", "base.json", "config.json", "generation_config.json", "tokenizer_config.json")
_TOKENIZER = tuple(name for name in MODEL_FILES if name not in ("config.json", "generation_config.json"))
_TEMPLATE = "chat_template.jinja"
MANIFEST = "MANIFEST.json"
Stage = Literal["warm_up", "tune"]
MODELS_TO_EXPORT: dict[str, Stage] = {"evolved": "tune", "warm_up": "warm_up"}
"""What the command line calls a model -> the stage that trained it."""


@dataclass(frozen=True)
class Adapter:
    """A folder with an adapter, and which one it is.

    round, run: the round's number; the run that made it, None for a warm-up. step: where its training ended, None
    where that is unknown. complete: False for a checkpoint of an unfinished fine-tuning. source: the round.
    """

    folder: Path
    stage: Stage
    round: int
    run: int | None
    step: int | None
    complete: bool
    source: rounds.Round

    @property
    def base(self) -> str:
        """The base model, as the settings name it."""
        return self.source.config.model

    @property
    def full(self) -> bool:
        """Whether it is a complete set of weights."""
        return is_full(self.folder)

    @property
    def words(self) -> str:
        """One sentence for a person."""
        at = "" if self.step is None else f" at step {self.step:,}"
        if self.stage == "warm_up":
            return f"The warm-up adapter of round {self.round}, from before that round's fine-tuning on pseudo-labels."
        if self.complete:
            return f"The evolved adapter of round {self.round}, made by run {self.run}, complete{at}."
        return f"A checkpoint of round {self.round}: run {self.run} was stopped while fine-tuning{at}; not complete."


def is_full(folder: Path) -> bool:
    """Whether the folder holds a complete set of weights instead of what is added to a base model."""
    return any(folder.glob("model*.safetensors"))


def choose(
    store: Store,
    project: projects.Project,
    round_id: int | None = None,
    run_id: int | None = None,
    stage: Stage = "tune",
) -> Adapter:
    """The adapter to export: the newest of this run or round; of neither that of the round which a person chose, if it
    has an evolved one, else the newest of the project.

    It is an evolved adapter if there is one, else the newest complete checkpoint of a `tune` that was stopped or
    failed, else the adapter with which a round began. stage `warm_up`: plain fine-tuning on the labeled records, from
    which this round or the first of those before it began.
    """
    opened = rounds.list_rounds(store, project.id)
    if round_id is None and run_id is None:
        round_id = next((one.id for one in opened if one.chosen and outcomes.evolved_adapter(store, one.id)), None)
    if stage == "warm_up":
        round_id = runs.get_run(store, run_id).round_id if run_id is not None else round_id
        for begun in [round_id] if round_id is not None else sorted((one.id for one in opened), reverse=True):
            if found := plainly_tuned(store, project, begun):
                return _checked(found[1], "warm_up", found[0])
        raise UserError("There is no warm-up adapter to export.", project.name, "Propagate first.")
    by_id = {round_.id: round_ for round_ in opened if round_id in (None, round_.id)}
    made = [run for run in runs.list_runs(store, project.id) if run.round_id in by_id and run_id in (None, run.id)]
    if run_id is not None and not made:
        raise UserError(f"There is no run {run_id} in this project.", project.name, "Choose one of its runs.")
    made.sort(key=lambda run: (run.round_id, run.ended or 0.0, run.id), reverse=True)
    for run in made:
        if path := outcomes.run_adapter(store, run.id):
            return _checked(path, "tune", by_id[run.round_id], run.id)
    for run in made:
        tuned = projects.run_folder(store, project.id, run.id) / "tune"
        # An active run writes and deletes checkpoints at any time.
        if run.status not in ACTIVE and (checkpoint := newest(tuned)) is not None:
            return _checked(checkpoint, "tune", by_id[run.round_id], run.id, complete=False)
    for begun in sorted({run.round_id for run in made} if run_id is not None else by_id, reverse=True):
        if path := outcomes.adapters(store, begun).get("warm_up"):
            return _checked(path, "warm_up", by_id[begun])
    raise UserError("There is no adapter to export yet.", project.name, "Fine-tune first.")


def plainly_tuned(store: Store, project: projects.Project, round_id: int) -> tuple[rounds.Round, str] | None:
    """The round from which this one has come, itself if it continues none, and the path of its warm-up adapter."""
    by_id = {one.id: one for one in rounds.list_rounds(store, project.id)}
    first = by_id.get(round_id)
    while first is not None and first.parent_id is not None and first.parent_id < first.id:  # a parent is older
        first = by_id.get(first.parent_id)
    path = outcomes.adapters(store, first.id).get("warm_up") if first is not None else None
    return None if first is None or path is None else (first, path)


def base_folder(adapter: Adapter) -> Path | None:
    """The folder of the adapter's base on this machine; None if it is not here."""
    return tokenizer.folder_of(adapter.base) or downloaded(adapter.base)


def write(store: Store, project: projects.Project, adapter: Adapter, out: Path, merged: Path | None = None) -> Path:
    """Writes the adapter to `out`, a new folder or, if its name ends in .zip, an archive.

    merged: folder with the weights of adapter and base together, which take the place of the adapter's.
    """
    return files.folder(out, _members(store, project, adapter, merged))


def _checked(
    path: str | Path, stage: Stage, round_: rounds.Round, run_id: int | None = None, complete: bool = True
) -> Adapter:
    if is_endpoint(str(path)):
        raise UserError(
            f"The model is at the endpoint {name_of(str(path))}, where it is called {tuned_of(str(path))}.",
            "adapter",
            "It has no files to export. Ask it there under this name, or by the verb `predict`.",
        )
    folder = Path(path)
    wrong = fault(folder)
    if wrong:
        raise UserError(f"The adapter is damaged: {wrong}.", "adapter", "Fine-tune again.")
    return Adapter(folder, stage, round_.place, run_id, about(folder).get("step"), complete, round_)


def _members(
    store: Store, project: projects.Project, adapter: Adapter, merged: Path | None
) -> list[tuple[str, Path | bytes]]:
    """The weights, tokenizer, card and script, and a manifest that says which adapter it is and holds the SHA-256 of
    all others."""
    base = base_folder(adapter)
    members = dict(contents(adapter.folder) if merged is None else _whole(merged))
    asked = adapter.folder if adapter.full else base
    written = None if asked is None else _script(store, adapter, asked, complete=adapter.full or merged is not None)
    if asked is not None and written is not None:
        members |= _named(asked, _TOKENIZER)
        template, text = written
        members |= {_TEMPLATE: template.encode(), script.NAME: text.encode()}
    known = {**{name: one.licence for name, one in MODELS.items()}, STARTER: "Apache-2.0"}.get(adapter.base)
    members[card.NAME] = card.page(
        store,
        project,
        adapter.source,
        None if adapter.run is None else runs.get_run(store, adapter.run),
        adapter.words,
        "full" if adapter.full else "adapter" if merged is None else "merged",
        known or (licence(base) if base else None),
        written is not None,
    ).encode()
    fields = {name: getattr(adapter, name) for name in ("stage", "round", "run", "step", "complete")}
    manifest = {"adapter": fields, "sha256": {name: files.sha256(content) for name, content in members.items()}}
    return [*members.items(), (MANIFEST, json.dumps(manifest, indent=1).encode())]


def _script(store: Store, adapter: Adapter, folder: Path, complete: bool) -> tuple[str, str] | None:
    """The chat template as the Studio uses it and the script that asks the model; None for a tokenizer that cannot be
    read without transformers."""
    if not (folder / "tokenizer.json").is_file():
        return None
    task, config = versions.task_of(store, adapter.source.version_id), adapter.source.config
    try:
        asking = reader(folder).asking(task.labels)
    except UserError:
        return None
    longest = config.propagation.max_answer_tokens
    base = None if complete else card.base_name(adapter.base)
    return asking.template, script.text(task, asking, config.rule_first, longest, base)


def _whole(folder: Path) -> list[tuple[str, Path | bytes]]:
    """The files of a merged model: settings and weights, in one file or in several with an index."""
    there = sorted(path.name for path in folder.iterdir() if path.name.startswith("model"))
    return _named(folder, ("config.json", "generation_config.json", *there))


def contents(folder: Path) -> list[tuple[str, Path | bytes]]:
    """An adapter's files by name: allow-listed ones, to be copied, or bytes without any path of this machine."""
    allowed = LORA_FILES if (folder / "adapter_config.json").is_file() else FULL_FILES
    there = _named(folder, allowed)
    if not there or there[0][0] != allowed[0]:
        raise UserError("The adapter has no weights.", "adapter", "Fine-tune again.")
    return there


def _named(folder: Path, names: Sequence[str]) -> list[tuple[str, Path | bytes]]:
    """Those of these files that are in the folder."""
    there = [path for name in names if (path := folder / name).is_file()]
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
