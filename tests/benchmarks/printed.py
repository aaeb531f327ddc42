"""What every benchmark prints: a table, and one object for whoever reads it by machine."""

from __future__ import annotations

import json
from collections.abc import Sequence


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> None:
    texts = [list(header), *([f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in texts) for column in range(len(header))]
    for line in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), flush=True)


def finish(ratios: dict[str, float], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"ratios": {name: round(value, 3) for name, value in ratios.items()}}))
