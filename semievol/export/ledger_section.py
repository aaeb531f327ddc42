"""The part of the report on the rounds of the project: what each brought, in a sentence."""

from __future__ import annotations

import html

from semievol.method import ledger
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.results.rounds_ledger import known_rounds


def rounds(store: Store, project: Project) -> list[str]:
    """Paragraphs of HTML, oldest round first; none where there is only one round."""
    lines = ledger.lines(known_rounds(store, project.id))
    if len(lines) < 2:
        return []
    return ["<h2>Rounds</h2>", *(f"<p>{html.escape(line.sentence)}</p>" for line in lines)]
