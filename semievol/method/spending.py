"""What calls to endpoints take, in tokens and money, and a purse that is never overdrawn.

Before a call the most that it could cost is set aside, afterwards it is replaced by what it did cost. So a budget holds
even while several calls are under way. Knows nothing of servers and prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from semievol.errors import UserError


@dataclass(frozen=True)
class Spent:
    """answers: questions that were answered. tries: requests in all. cost: in the unit of the endpoint's prices; a
    request whose answer was lost on the way counts with the most that it can have cost. trained_tokens: that
    fine-tuning jobs read, every epoch counted.
    """

    answers: int = 0
    tries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    trained_tokens: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(**{name: value + getattr(other, name) for name, value in asdict(self).items()})


@dataclass
class Purse:
    """spent: endpoint -> what a run has spent there in all its attempts. budget: for all endpoints together; 0: no
    limit."""

    budget: float = 0.0
    spent: dict[str, Spent] = field(default_factory=dict)
    aside: float = 0.0

    @property
    def cost(self) -> float:
        return sum(one.cost for one in self.spent.values())

    def set_aside(self, cost: float) -> bool:
        """Reserves `cost` for a call; False if the budget may not allow it."""
        if self.budget and self.cost + self.aside + cost > self.budget:
            return False
        self.aside += cost
        return True

    def settle(self, set_aside: float, endpoint: str, spent: Spent) -> None:
        """Replaces what was set aside for a call by what it took."""
        self.aside = max(0.0, self.aside - set_aside)
        self.spent[endpoint] = self.spent.get(endpoint, Spent()) + spent

    def out(self, what: str = "question", most: float | None = None) -> UserError:
        """The sentence where the budget does not allow another call. most: that it could cost, where that is said."""
        beside = "" if most is None else f", and this one may cost up to {most:,.4g}"
        return UserError(
            f"The budget of {self.budget:,.4g} allows no further {what} at an endpoint: {self.cost:,.4g} is spent"
            f"{beside}.",
            "budget",
            "Raise the budget in the settings, then resume the run; what was answered is kept.",
        )


def stored(found: Mapping[str, Spent]) -> dict[str, Any]:
    """As a document for the database."""
    return {name: asdict(one) for name, one in found.items()}


def read(document: Mapping[str, Any] | None) -> dict[str, Spent]:
    """What `stored` gave."""
    return {name: Spent(**one) for name, one in (document or {}).items()}
