"""What a collaborator's answers take: time and tokens for a record, in words."""

from __future__ import annotations

from collections.abc import Mapping

from semievol.endpoints import Endpoint
from semievol.records import Cost
from semievol.store import settings
from semievol.ui.shell import formats
from semievol.ui.shell.state import Place

COLUMNS = {"time": "Time per record", "tokens": "Tokens per record", "price": "Price per record"}
UNKNOWN = "not known"
NOTE = (
    "Time: of computing, on the machine of the run; what the answers of a batch share is divided by their tokens. "
    "Tokens: of the prompt + of the answer (of all allowed answers, where these are scored)."
)
BEFORE = "What a record takes is not known: this round was answered before it was counted."


def columns(here: Place, took: Mapping[str, Cost]) -> dict[str, str]:
    """The columns that a table of the round's collaborators has: prices only where one of them has a price. took:
    collaborator -> what its answers took."""
    if not took:
        return {}
    priced = any(price(here, name) for name in took)
    return {key: heading for key, heading in COLUMNS.items() if priced or key != "price"}


def price(here: Place, collaborator: str) -> Endpoint | None:
    """The endpoint that answers as this collaborator, if the workspace knows its prices."""
    models = {one.name: one.model for one in here.round.config.propagation.collaborators}
    known = settings.endpoints(here.store)
    return next((one for one in known if one.priced and one.used_as == models.get(collaborator)), None)


def per_record(cost: Cost | None, priced: Endpoint | None = None) -> dict[str, str]:
    """The values of `COLUMNS`. priced: see `price`; without it a record costs no money."""
    if cost is None or not cost.records:
        return dict.fromkeys(COLUMNS, UNKNOWN)
    money = priced.cost(cost.prompt_tokens, cost.answer_tokens) / cost.records if priced else None
    return {"time": time_of(cost), "tokens": tokens_of(cost), "price": "none" if money is None else f"{money:.2g}"}


def time_of(cost: Cost) -> str:
    """0.0312 s for a record -> "31 ms"."""
    seconds = cost.seconds / cost.records
    if seconds >= 1:
        return formats.duration(seconds)
    return f"{1000 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"


def tokens_of(cost: Cost) -> str:
    """ "212 + 6"; "none" without a language model."""
    if not cost.prompt_tokens:
        return "none"
    return f"{cost.prompt_tokens / cost.records:,.0f} + {cost.answer_tokens / cost.records:,.0f}"
