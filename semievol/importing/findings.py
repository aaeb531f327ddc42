"""What is found in a dataset before it is used: findings, each with a count, examples and a remedy to take."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from semievol.errors import UserError
from semievol.importing.table import snippet
from semievol.records import Split
from semievol.wording import plural

SHOWN = 5
"""Most examples of a finding."""
REJECTED = "rejected"
"""Confirms rows that cannot be read, as the kind of a finding confirms that."""
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Correction:
    """Another reading that a click takes. thing: a field of `ReadAs`, "task", "context", or "labels". value: what it
    becomes. words: of the button."""

    thing: str
    value: str
    words: str


@dataclass(frozen=True)
class Finding:
    """Something to know about the data.

    count: how many records it concerns; counts: the same per split, where it is known. where: the splits and files that
    it concerns, in words.
    examples: at most five, each with split, row and value. asks: whether a person must decide before the import, so
    that `--strict` refuses it.
    leaves: positions of the records that leave the data when the remedy is taken; offer: the words of its button;
    taken: whether the command line takes the remedy. correction: another reading of the data, if it has this remedy.
    option: the same as an option of the command line.
    """

    kind: str
    count: int
    what: str
    remedy: str = ""
    examples: tuple[dict[str, Any], ...] = ()
    counts: Mapping[Split, int] = field(default_factory=dict)
    asks: bool = False
    leaves: np.ndarray = field(default_factory=lambda: _NONE, compare=False, repr=False)
    offer: str = ""
    taken: bool = False
    where: str = ""
    correction: Correction | None = None
    option: str = ""

    def located(self, files: Mapping[Split, str]) -> Finding:
        """The finding with the splits and files that it concerns. files: split -> name of what it was read from."""
        named = {split: f"{split} ({files[split]})" if split in files else split for split in self.counts}
        if len(named) == 1:
            return replace(self, where=next(iter(named.values())))
        return replace(self, where="; ".join(f"{named[split]}: {count:,}" for split, count in self.counts.items()))

    def as_dict(self) -> dict[str, Any]:
        found = {"kind": self.kind, "count": self.count, "what": self.what, "remedy": self.remedy, "where": self.where}
        counts = {"counts": dict(self.counts)} if self.counts else {}
        option = {"option": self.option} if self.option else {}
        return found | {"examples": list(self.examples)} | counts | option


def example(split: Split, row: int, text: str | None, note: str = "") -> dict[str, Any]:
    """An example of a finding, as plain data."""
    return {"split": split, "row": row, "value": snippet(text)} | ({"note": note} if note else {})


def refuse(findings: Iterable[Finding], rejected: Mapping[Split, int], confirmed: Collection[str] = ()) -> None:
    """UserError listing every finding that a person must decide on, if there is one (`--strict`). confirmed: kinds of
    those that were decided on."""
    reasons = [f"Rejected: {plural(count, f'{split} record')}" for split, count in rejected.items() if count]
    if REJECTED in confirmed:
        reasons = []
    elif reasons:
        reasons[-1] += f" ({REJECTED})"
    asked = [finding for finding in findings if finding.asks and finding.kind not in confirmed]
    reasons += [f"{one.what.rstrip('.')} ({one.kind})" for one in asked]
    if reasons:
        raise UserError(
            f"These findings need a decision: {'; '.join(reasons)}.",
            "--strict",
            "Correct the files, or confirm what is right (--accept WORD, given in parentheses), or leave --strict out.",
        )
