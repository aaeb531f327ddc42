"""Whether the model in a folder can answer and be trained, judged by its settings and file headers.

A model that would fail after minutes in the queue, or compute with random weights, is refused beforehand in one
sentence. Knows nothing of torch, so that the dashboard can call it.
"""

from __future__ import annotations

import importlib.util
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semievol.config import Config
from semievol.engines.models import packaged
from semievol.engines.models.architectures import CAUSAL
from semievol.engines.models.files import read_json, shapes, text_settings, weight_files
from semievol.engines.models.resolve import HUB_ID, download, is_folder, refuse_code, resolve_model
from semievol.errors import UserError
from semievol.installed import CHAR_TFIDF, EMBEDDERS, FOUR_BITS, MODEL_STATES, MODELS
from semievol.tuning import Lora

NO_TEMPLATE = "The model has no chat template (a base model), so a plain one of the Studio's own is used."
NO_EXPERTS = "With dropout or DoRA the experts of this model get no adapter; without both they do."
WHOLE_EXPERTS = "With precision 4bit the experts of this model, most of its weights, are not held in 4 bits."
_NAMED = 3
_SENTENCE_FILES = ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json")
_WRITES = re.compile(r"(ForCausalLM|LMHeadModel|ModelWithLMHead|ForConditionalGeneration|GenerationDecoder)$")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_LIBRARIES = {
    "bitsandbytes": ("bitsandbytes", "bitsandbytes"),
    "gptq": ("gptqmodel", "gptqmodel"),
    "awq": ("gptqmodel", "gptqmodel"),
    "compressed-tensors": ("compressed_tensors", "compressed-tensors"),
    "quanto": ("optimum.quanto", "optimum-quanto"),
    "torchao": ("torchao", "torchao"),
    "hqq": ("hqq", "hqq"),
}
"""Method of quantisation -> the module that reads such weights, and the name of its package."""


@dataclass(frozen=True)
class Family:
    """Names of weights in the files of a well-known architecture, all of whose layers are alike.

    embedding: last part of the embedding's name. tied: whether the embedding is also the output layer if the settings
    do not say so.
    """

    embedding: str = "embed_tokens"
    tied: bool = False


_OF_THEIR_OWN, _TIED = Family(), Family(tied=True)
FAMILIES = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "phi", "phi3", "olmo", "olmo2", "olmo3"), _OF_THEIR_OWN),
    **dict.fromkeys(("granite", "stablelm", "mixtral", "glm", "glm4", "exaone4", "helium", "seed_oss"), _OF_THEIR_OWN),
    **dict.fromkeys(("gemma", "gemma2", "gemma3_text", "smollm3", "cohere", "cohere2", "starcoder2", "opt"), _TIED),
    **dict.fromkeys(("gpt2", "gpt_bigcode", "mpt"), Family("wte", tied=True)),
    **dict.fromkeys(("gptj", "codegen"), Family("wte")),
    **dict.fromkeys(("bloom", "falcon"), Family("word_embeddings", tied=True)),
    "gpt_neox": Family("embed_in"),
}
"""Model type -> its family. Other models are checked when they are loaded."""
_OUTPUT = re.compile(r"(?:^|\.)(?:lm_head|embed_out)\.weight$")
_LAYER = re.compile(r"^(.*?\b(?:layers|h|blocks))\.(\d+)\.(.+)$")


def suitable(name: str) -> Path:
    """The folder of a base model, as `resolve_model` finds it. Raises UserError if it cannot answer and be trained."""
    if is_folder(name):  # first, since the weights of an embedder may be in another place
        _refuse_embedder(Path(name).expanduser())
    folder = resolve_model(name)
    check(folder)
    return folder


def check(folder: Path) -> None:
    """Raises UserError for a model that is no causal language model, has weights that cannot be read, or lacks some."""
    where = f"model {folder.name}"
    _refuse_embedder(folder)
    settings = read_json(folder / "config.json")
    architectures = settings.get("architectures") or []
    writes = [name for name in architectures if _WRITES.search(str(name))]
    if settings.get("is_encoder_decoder"):
        writes = [name for name in writes if name.endswith("ForCausalLM")]
    if architectures and not writes:
        raise UserError(
            f"{architectures[0]} is no causal language model: it does not write text word by word.",
            where,
            "Choose a model whose config.json names an architecture ending in ForCausalLM.",
        )
    kind = settings.get("model_type")
    if kind is not None and kind not in CAUSAL:
        raise UserError(
            f'Models of the kind "{kind}" are not among those that transformers builds as causal language models here.',
            where,
            "Choose another model, or update the Studio if this one is newer than it.",
        )
    if quantised := settings.get("quantization_config"):
        _check_library(quantised, where)
    elif family := FAMILIES.get(settings.get("model_type", "")):
        names = [name for file in weight_files(folder) for name in shapes(file)]
        refuse_incomplete(_missing(family, settings, names), (), where)


def check_precision(config: Config) -> None:
    """Raises UserError for weights in 4 bits without the package that holds them."""
    if config.four_bits and not config.is_far:
        check_four_bits()


def check_four_bits() -> None:
    """Raises UserError where the package that holds weights in 4 bits is missing."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(
            "Weights in 4 bits need the package bitsandbytes, which is not installed.",
            "precision",
            f"Install it (pip install {FOUR_BITS}), or set precision to auto.",
        )


def check_embedder(name: str) -> None:
    """Raises UserError for an embedder that does not exist, and for a language model. A hub id (owner/name) is looked
    up only when a run begins, see `fetch_embedder`."""
    if name in EMBEDDERS:
        packaged.check(name)
    elif name in MODELS or is_folder(name):
        refuse_language_model(name)
    elif name not in (CHAR_TFIDF, MODEL_STATES) and not _from_hub(name):
        raise UserError(f'There is no embedder "{name}".', "propagation.embedder", _OTHER_EMBEDDERS)


def fetch_embedder(name: str) -> None:
    """Downloads an embedder that has a hub id, if it is not on this machine: its turn comes after a training."""
    if not _from_hub(name) or is_folder(name):
        return
    try:
        download(name)
    except UserError as error:
        what = error.what.replace("The model", "The embedder", 1)
        raise UserError(what, "propagation.embedder", _OTHER_EMBEDDERS) from None


def _from_hub(name: str) -> bool:
    return "/" in name and HUB_ID.fullmatch(name) is not None


def refuse_language_model(name: str) -> None:
    """Raises UserError if the name or folder is that of a language model instead of an embedder."""
    folder = Path(name).expanduser()
    known = name in MODELS
    if not known and (folder / "config.json").is_file() and not _compares(folder):
        known = any(_WRITES.search(str(name)) for name in read_json(folder / "config.json").get("architectures") or [])
    if known:
        raise UserError(
            f'"{folder.name}" is a language model, not an embedder.', "propagation.embedder", _OTHER_EMBEDDERS
        )


_OTHER_EMBEDDERS = (
    f"Choose `{next(iter(EMBEDDERS))}`, `{CHAR_TFIDF}`, a sentence-transformers folder, or `model` for the states of "
    "the model that is trained."
)


def refuse_incomplete(missing: Collection[str], misshapen: Collection[str], where: str) -> None:
    """Raises UserError if some weights would be random numbers. missing, misshapen: the names of these weights."""
    for names, what in (
        (missing, "missing from the model's files"),
        (misshapen, "of another size than config.json says"),
    ):
        if names:
            shown = ", ".join(sorted(names)[:_NAMED]) + (", …" if len(names) > _NAMED else "")
            raise UserError(
                f"{len(names)} {'weight is' if len(names) == 1 else 'weights are'} {what} ({shown}), "
                "so they would be random numbers.",
                where,
                "Copy or download the whole model again, its own config.json included.",
            )


def has_template(folder: Path) -> bool:
    """Whether the model's folder contains a chat template."""
    if any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    file = folder / "tokenizer_config.json"
    return file.is_file() and bool(read_json(file).get("chat_template"))


def spares_experts(lora: Lora) -> bool:
    """Whether peft cannot adapt weights that hold several experts with these settings."""
    return bool(lora.dropout) or lora.use_dora


def remarks(folder: Path, config: Config) -> list[str]:
    """Sentences about this model that a person should read before a run; mostly none."""
    found = [] if has_template(folder) else [NO_TEMPLATE]
    settings = text_settings(folder)
    tunings = [tuning for tuning in (config.propagation.warm_up, config.tune) if tuning.method != "full"]
    if any(settings.get(key) for key in _EXPERTS) and any(spares_experts(tuning.lora) for tuning in tunings):
        found.append(NO_EXPERTS)
    if config.four_bits and any(settings.get(key) for key in _EXPERTS):
        found.append(WHOLE_EXPERTS)
    return found


def _compares(folder: Path) -> bool:
    """Whether the folder contains a sentence-transformers model."""
    return any((folder / name).is_file() for name in _SENTENCE_FILES)


def _refuse_embedder(folder: Path) -> None:
    if _compares(folder):
        refuse_code(folder, f"model {folder.name}")  # the graver fault comes first
        raise UserError(
            f'"{folder.name}" is an embedder: it compares texts and answers nothing.',
            "model",
            "Choose a causal language model; this folder may be given as `propagation.embedder`.",
        )


def _check_library(quantised: dict[str, Any], where: str) -> None:
    """Raises UserError for quantised weights that no installed package reads."""
    how = str(quantised.get("quant_method") or ("bitsandbytes" if "load_in_4bit" in quantised else "an unknown way"))
    module, package = _LIBRARIES.get(how, ("", ""))
    if not module:
        raise UserError(
            f"The weights are stored in few bits ({how}), which cannot be trained here.",
            where,
            "Choose the same model with its original weights (bf16 or fp32).",
        )
    try:
        there = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that contains the module is missing, too
        there = False
    if not there:
        raise UserError(
            f"The weights are stored in few bits ({how}), which needs the package {package}; it is not installed.",
            where,
            f"Choose the same model with its original weights (bf16 or fp32), or install it (pip install {package}).",
        )


def _missing(family: Family, settings: dict[str, Any], found: Collection[str]) -> list[str]:
    """Names of the weights that the files of such a model lack; found: the names of those in its files."""
    missing = []
    output = any(_OUTPUT.search(name) for name in found)
    embedding = any(f".{name}".endswith(f".{family.embedding}.weight") for name in found)
    tied = settings.get("tie_word_embeddings", family.tied)
    if not embedding and not (tied and output):
        missing.append(f"{family.embedding}.weight")
    if not output and not tied:
        missing.append("lm_head.weight")
    layers: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in found:
        if match := _LAYER.match(name):
            layers[match[1]][int(match[2])].add(match[3])
    stack, held = max(layers.items(), key=lambda item: len(item[1]), default=("layers", {}))
    count = next((settings[key] for key in ("num_hidden_layers", "n_layer", "n_layers") if settings.get(key)), 0)
    all_of_them = set().union(*held.values())
    for number in range(int(count)):
        here = held.get(number, set())
        missing += [f"{stack}.{number}.{rest}" for rest in all_of_them - here] if here else [f"{stack}.{number}"]
    return missing
