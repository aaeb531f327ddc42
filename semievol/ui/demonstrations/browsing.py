"""What the session keeps of the Demonstrations page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from semievol.method.influence import Influence
from semievol.records import Demonstration, Record


@dataclass(frozen=True)
class Said:
    """A model's answer, as `inference_client.ask` gives it. ids: of the demonstrations that it was shown. how: what
    these are, in words."""

    ids: tuple[str, ...]
    how: str
    reply: dict[str, Any]


@dataclass
class Browsing:
    """last: id of the record shown last, with which a new visit of the page begins. instead: id of the record that is
    shown because the address named one that is not there. source: where the record is from, a split or a question of
    one's own; text, options: of the latter, as they were typed."""

    last: str | None = None
    instead: str | None = None
    asked_in: int | None = None  # the project in which these were chosen and typed
    source: str = "unlabeled"
    text: str = ""
    options: str = ""
    nearest: dict[tuple[int | None, str, int, str], list[Demonstration]] = field(default_factory=dict)
    """Round id, content hash, number and embedder -> demonstrations found."""
    added: defaultdict[tuple[int | None, str], dict[str, Record]] = field(default_factory=lambda: defaultdict(dict))
    """Round id and record id -> the labeled records that were added by hand, each under its name ("+1")."""
    similarities: dict[tuple[int | None, str, str, str], float] = field(default_factory=dict)
    """Round id, content hash, labeled record's id and embedder -> how similar the two are."""
    influences: dict[tuple[int | None, str, str, tuple[str, ...]], tuple[dict[str, Any], list[Influence]]] = field(
        default_factory=dict
    )
    """Round id, content hash, model and demonstrations -> the answer with all, and what leaving each out does."""
    answers: defaultdict[tuple[int | None, str], list[Said]] = field(default_factory=lambda: defaultdict(list))
    """Round id and content hash -> what models answered to it, oldest first."""
    ticked: bool = False  # whether a row of the list of least similar records is ticked
    lists: int = 0  # part of the key of that list: one with a new key has no ticked row

    def enter(self, project_id: int) -> bool:
        """Forgets a question of one's own that was typed in another project; whether there was another one."""
        left = self.asked_in not in (None, project_id)
        if left:
            self.source, self.text, self.options = "unlabeled", "", ""
        self.asked_in = project_id
        return left

    def untick(self) -> None:
        """Call it where another record is shown than the ticked one."""
        self.lists, self.ticked = self.lists + self.ticked, False
