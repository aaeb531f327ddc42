"""What a collaborator's answers take: time and tokens for a record, in words."""

from __future__ import annotations

from semievol.records import Cost
from semievol.ui.shell import formats

COLUMNS = {"time": "Time per record", "tokens": "Tokens per record"}
UNKNOWN = "not known"
NOTE = (
    "Time: of computing, on the machine of the run; what the answers of a batch share is divided by their tokens. "
    "Tokens: of the prompt + of the answer (of all allowed answers, where these are scored)."
)
BEFORE = "What a record takes is not known: this round was answered before it was counted."


def per_record(cost: Cost | None) -> dict[str, str]:
    """The values of `COLUMNS`."""
    if cost is None or not cost.records:
        return dict.fromkeys(COLUMNS, UNKNOWN)
    return {"time": time_of(cost), "tokens": tokens_of(cost)}


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
