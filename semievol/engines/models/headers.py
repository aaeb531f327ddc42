"""Whether a safetensors file is what its header says, without loading a tensor. Knows nothing of torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

_LARGEST_HEADER = 100 * 2**20  # the format's own limit
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8}
_BITS |= {"I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64}


def header_fault(file: Path) -> str | None:
    """What is wrong with the file's header; None where its tensors fill the file one after the other, without a gap."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(_LARGEST_HEADER, size - 8):
            return "its header is cut off"
        raw = stream.read(length)
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
    return None if ends == size - 8 - length else "it is cut off, or longer than its header says"


def _span(tensor: dict[str, Any]) -> tuple[int, int, int]:
    """Where a tensor begins and ends, and how many bytes its shape takes."""
    start, end = tensor["data_offsets"]
    shape = tensor["shape"]
    if not all(type(number) is int and number >= 0 for number in (start, end, *shape)):
        raise ValueError("a size that is no number")
    return start, end, math.prod(shape) * _BITS[tensor["dtype"]] // 8
