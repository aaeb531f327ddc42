"""The caveats of an evaluation, gathered from the store: the same on the Evaluation page and in the report."""

from __future__ import annotations

from typing import Any

from semievol.method import comparison
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.runs.rounds import Round
from semievol.store.runs.runs import Run


def caveats(store: Store, round_: Round, run: Run, figures: dict[str, Any]) -> list[str]:
    """Sentences on how sure the figures of a run are, and on what else than the pseudo-labels they are due to."""
    number = run.selection_used
    used = next((one for one in selections.selections(store, round_.id) if one["number"] == number), None)
    by_expert = int((used["origins"] or {}).get("expert", 0)) if used else 0
    gold = selections.from_gold(store, round_.id, number) if by_expert and number is not None else 0
    return comparison.caveats(figures, round_.parent_id is not None, by_expert, gold)
