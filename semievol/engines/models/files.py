"""The files of a model's folder: settings in JSON, weights with their headers, the licence. Knows nothing of torch."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from semievol.errors import UserError

FULL_WEIGHTS = "model.safetensors"
MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
"""What a folder of weights needs beside them to be an ordinary model."""
_LICENCE_LINE = re.compile(r"^license:\s*['\"]?([\w.\-]+)", re.M)
_LICENCE_NAMES = (("Apache License", "Apache-2.0"), ("MIT License", "MIT"), ("Gemma Terms", "Gemma terms"))
_LARGEST_HEADER = 100 * 2**20  # the format's own limit
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8}
_BITS |= {"I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64}


def read_json(file: Path) -> Any:
    """Content of a JSON file of a model's folder. Raises UserError if it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file.name} cannot be read ({error}).", f"model {file.parent.name}", "Copy or download the model again."
        ) from None


def text_settings(folder: Path) -> dict[str, Any]:
    """The model's config.json; if the model reads more than text, the settings of the part that reads text."""
    config: dict[str, Any] = read_json(folder / "config.json")
    inner = config.get("text_config")
    return inner if inner and isinstance(inner, dict) else config


def weight_files(folder: Path) -> list[Path]:
    """The files that together contain every weight once: some folders have the same weights in two forms."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
    single = folder / FULL_WEIGHTS
    return [single] if single.is_file() else sorted(folder.glob("*.safetensors"))


def header(file: Path) -> bytes:
    """The header of a safetensors file, as JSON; empty if the file is cut off before the header's end."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        return stream.read(length) if 2 <= length <= min(_LARGEST_HEADER, file.stat().st_size - 8) else b""


def shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a safetensors file by name. Raises ValueError or KeyError if the header is damaged."""
    tensors = json.loads(header(file))
    return {name: tuple(tensor["shape"]) for name, tensor in tensors.items() if name != "__metadata__"}


def header_fault(file: Path) -> str | None:
    """What is wrong with the file's header; None if its tensors fill the file one after the other, without a gap."""
    raw = header(file)
    if not raw:
        return "its header is cut off"
    try:
        tensors: dict[str, Any] = json.loads(raw)
        tensors.pop("__metadata__", None)
        ends = 0
        for start, end, expected in sorted(_span(tensor) for tensor in tensors.values()):
            if start != ends or end - start != expected:
                return "its tensors do not lie where its header says"
            ends = end
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "its header cannot be read"
    return None if ends == file.stat().st_size - 8 - len(raw) else "it is cut off, or longer than its header says"


def _span(tensor: dict[str, Any]) -> tuple[int, int, int]:
    """The first byte of a tensor, the byte after its last, and the number of bytes that its shape needs."""
    start, end = tensor["data_offsets"]
    shape = tensor["shape"]
    if not all(type(number) is int and number >= 0 for number in (start, end, *shape)):
        raise ValueError("a size that is no number")
    return start, end, math.prod(shape) * _BITS[tensor["dtype"]] // 8


def licence(folder: Path) -> str | None:
    """The licence that the model card or a licence file in the folder states."""
    try:
        if stated := _LICENCE_LINE.search((folder / "README.md").read_text("utf-8", "replace")[:5000]):
            return stated[1]
    except OSError:
        pass
    for file in sorted(folder.glob("LICEN[CS]E*")):
        text = file.read_text("utf-8", "replace")[:3000]
        return next((name for words, name in _LICENCE_NAMES if words in text), f"see {file.name}")
    return None
