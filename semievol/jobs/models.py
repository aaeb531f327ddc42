"""Describes every model on this machine, and looks at new ones, from their files alone: nothing is loaded.

The Settings page and the verb `models` show it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from semievol import config as settings
from semievol import presets
from semievol.endpoints import is_endpoint, name_of
from semievol.engines.models import footprint, hardware, packaged, suitability, tokenizer
from semievol.engines.models.files import licence, read_json
from semievol.engines.models.resolve import is_folder, look_up
from semievol.errors import UserError
from semievol.installed import EMBEDDERS, MODELS, STARTER, Package
from semievol.jobs import duration, token_counts
from semievol.jobs.planning import check_model
from semievol.store import settings as stored
from semievol.store.data.projects import list_projects, update_project
from semievol.store.database import Store

TOKENS = 100
"""Tokens of a prompt without demonstrations, as the estimates assume it."""
_LABELED, _POOL = 100, 1_000
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


@dataclass(frozen=True)
class Known:
    """A model or embedder by name, with what its files state; None for what they do not state, or if there are none.

    state: "ready", "to be prepared", "not installed", "to be downloaded" or "cannot be used".
    bytes: of the folder. memory: bytes of a run at its peak. seconds: of a run on 100 labeled and 1,000 unlabeled
    records here. note: what a person should know of it, in a sentence.
    """

    name: str
    kind: str
    state: str
    title: str = ""
    architecture: str | None = None
    parameters: int | None = None
    licence: str | None = None
    context: int | None = None
    bytes: int | None = None
    memory: float | None = None
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Choice:
    """What a collaborator's `model` may be. kind: "round" (the round's own model), "voter" (no language model), "local"
    (another model on this machine) or "endpoint". words: what people call it; a name may come from anywhere."""

    name: str
    kind: str
    words: str


def choices(store: Store, own: str) -> list[Choice]:
    """Everything that can answer as a collaborator beside the round's model `own`, that model first."""
    voters = {"neighbours": "neighbours' vote", "regression": "regression"}
    installed = [package.name for package in MODELS.values() if package.there]
    local = [name for name in (*installed, *(model.name for model in stored.models(store))) if name != own]
    ends = [Path(name).name for name in local]
    return [
        Choice("base", "round", "base"),
        Choice("warm_up", "round", "warm-up"),
        *(Choice(how, "voter", voters[how]) for how in settings.VOTERS),
        *(Choice(n, "local", end if ends.count(end) == 1 else n) for n, end in zip(local, ends, strict=True)),
        *(Choice(one.used_as, "endpoint", f"{one.name} (endpoint)") for one in stored.endpoints(store)),
    ]


def known(store: Store) -> list[Known]:
    """Every model of the workspace, those that come with the Studio first, and the embedder packages last."""
    return [
        *(_packaged(package, "package") for package in MODELS.values()),
        *(described(model.name, model.kind) for model in stored.models(store)),
        *(_packaged(package, "embedder") for package in EMBEDDERS.values()),
    ]


def described(name: str, kind: str = "folder") -> Known:
    """One model; kind: as `store.settings` keeps it. A folder that cannot be used says why in its note."""
    if name in MODELS or name in EMBEDDERS:
        return _packaged((MODELS | EMBEDDERS)[name], "package" if name in MODELS else "embedder")
    if name == STARTER:
        note = "Tiny: it shows the steps of the method in a minute, but not how much a real model would gain."
        return _of_folder(Known(name, "bundled", "ready", note=note, licence="Apache-2.0"), tokenizer.folder_of(name))
    if packaged.is_gguf(name):
        folder = packaged.prepared(name)
        return _of_folder(Known(name, "gguf", "to be prepared" if folder is None else "ready"), folder)
    folder = tokenizer.folder_of(name)
    if folder is None:
        return Known(name, kind, "to be downloaded", note="Its files are downloaded by the first run that uses it.")
    return _of_folder(Known(name, "folder", "ready"), folder)


def prepare(name: str, watch: packaged.Report = packaged.no_report) -> Known:
    """Unpacks what has to be, then describes the model. Raises UserError where it cannot be used."""
    if is_endpoint(name):
        how = f"Test it: python -m semievol endpoints test {name_of(name)}"
        raise UserError("This model is at a server.", f"model {name}", how)
    if packaged.is_packaged(name) or packaged.is_gguf(name):
        packaged.folder(name, watch)
    else:
        check_model(name)
    found = described(name)
    if found.state == "cannot be used":
        raise UserError(found.note, f"model {name}", "Choose another model.")
    return found


def looked_at(name: str, kind: str) -> tuple[stored.Model, str]:
    """A model as the workspace would note it, and a remark where it could not be looked at (empty else).

    kind: "folder" (also a GGUF file) or "hub". Raises UserError, with a remedy, for a model that no run could use, and
    for one that is there already.
    """
    name = name.strip()
    if not name:
        raise UserError("No model was named.", "model", "Type a folder, a GGUF file or a hub id.")
    if name in MODELS or name in EMBEDDERS or name == STARTER:
        raise UserError(f'"{name}" comes with the Studio.', "model", "It is in the list already.")
    if packaged.is_gguf(name) or is_folder(name):
        path = Path(name).expanduser().resolve()
        check_model(str(path))
        if path.is_dir() and not any((path / file).is_file() for file in _TOKENIZERS):
            raise UserError(
                f"The model has no tokenizer ({', '.join(_TOKENIZERS)}).",
                f"model {path.name}",
                "Copy the whole folder of the model.",
            )
        return stored.Model(str(path), "folder"), ""
    if kind == "folder":
        raise UserError(
            f'There is no folder and no GGUF file "{name:.200}" on this machine.',
            "model",
            "Give its whole path, such as /home/me/models/my-model.",
        )
    check_model(name)
    remark = "" if look_up(name) else "The hub cannot be reached; the first run that uses the model looks at it."
    return stored.Model(name, "hub"), remark


def users(store: Store, name: str) -> list[str]:
    """Names of the projects whose next run would use this model."""
    return [one.name for one in list_projects(store, archived=True) if one.settings.get("model") == name]


def forget(store: Store, name: str) -> None:
    """Removes a model from the list. Projects that would use it return to the default; rounds keep theirs."""
    for project in list_projects(store, archived=True):
        if project.settings.get("model") == name:
            kept = {key: value for key, value in project.settings.items() if key != "model"}
            update_project(store, project.id, settings=kept)
    stored.remove_model(store, name)


def remarks(config: settings.Config) -> list[str]:
    """Sentences that a person should read before a run with this model; none if its files are not here yet."""
    folder = tokenizer.folder_of(config.model)
    if folder is None:
        return []
    try:
        return suitability.remarks(folder, config)
    except UserError:  # starting a run refuses the model and says why
        return []


def _packaged(package: Package, kind: str) -> Known:
    state = "not installed" if not package.there else "ready" if packaged.prepared(package.name) else "to be prepared"
    plain = Known(package.name, kind, state, package.title, licence=package.licence)
    folder = packaged.prepared(package.name) if state == "ready" else None
    return _of_folder(plain, folder)


def _of_folder(plain: Known, folder: Path | None) -> Known:
    """The same model, completed by what the files in its folder state."""
    if folder is None:
        return plain
    try:
        shape = footprint.Shape.of(folder)
        config = read_json(folder / "config.json")
        if plain.kind != "embedder":
            suitability.check(folder)
    except UserError as problem:
        return replace(plain, state="cannot be used", note=problem.what)
    found = replace(
        plain,
        architecture=next(iter(config.get("architectures") or []), config.get("model_type")),
        parameters=shape.parameters,
        licence=plain.licence or licence(folder),
        context=tokenizer.context_length(folder),
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )
    if plain.kind == "embedder":
        return found
    note = plain.note or " ".join(suitability.remarks(folder, presets.load("studio")))
    return replace(found, memory=_memory(shape), seconds=_seconds(shape), note=note)


def _memory(shape: footprint.Shape) -> float:
    config = presets.load("studio")
    device = hardware.device()
    bf16 = config.precision != "fp32" and (bool(device.gpu) or footprint.processor_has_bf16())
    largest = token_counts.assumed(config, TOKENS).largest
    return footprint.peak(shape, config, *largest, bf16, device.total, on_gpu=bool(device.gpu))


def _seconds(shape: footprint.Shape) -> float:
    config = presets.load("studio")
    work = duration.operations(shape, config, duration.Amount(_LABELED, _POOL, 0), token_counts.assumed(config, TOKENS))
    return sum(work.values()) * duration.by_processor(config)
