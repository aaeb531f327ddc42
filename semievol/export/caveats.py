"""What to keep in mind beside figures and exports, gathered from the store: the same on the pages and in the report."""

from __future__ import annotations

from typing import Any

from semievol import wording
from semievol.method import conclusions
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.runs.rounds import Round
from semievol.store.runs.runs import Run


def caveats(store: Store, round_: Round, run: Run, figures: dict[str, Any]) -> list[str]:
    """Sentences on how sure the figures of a run are, and on what else than the pseudo-labels they are due to."""
    number = run.selection_used
    frozen = selections.selections(store, round_.id)
    used = next((one for one in frozen if one["number"] == number), None)
    by_expert = int((used["origins"] or {}).get("expert", 0)) if used else 0
    gold = selections.from_gold(store, round_.id, number) if by_expert and number is not None else 0
    found = conclusions.caveats(figures, round_.parent_id is not None, by_expert, gold)
    newest = max((one["number"] for one in frozen), default=number)
    if number is not None and newest != number:
        found.append(
            f"These figures are of the model that learned from selection {number}. No model has learned from selection "
            f"{newest} yet, which was frozen later."
        )
    return found


def unfrozen(store: Store, round_id: int) -> str:
    """One sentence if records were decided after the newest selection was frozen, else empty."""
    if not (count := selections.decided_since(store, round_id)):
        return ""
    number = selections.selections(store, round_id)[-1]["number"]
    records = f"{wording.plural(count, 'record')} {'was' if count == 1 else 'were'}"
    return (
        f"{records} decided after selection {number} was frozen. Freeze again to export and to train on the decisions."
    )
