"""What a run costs at its endpoints: estimated before the start from a sample of its prompts, and told as it spends.

Tokens are estimated from the length of the texts, about one for four bytes; every server has its own tokenizer. Money
is in the unit of the endpoints' prices, whichever that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from semievol.config import Collaborator, Config
from semievol.endpoints import Endpoint, is_endpoint, name_of
from semievol.importing.splits import holds_out
from semievol.jobs import duration, remote_models, token_counts
from semievol.method.spending import Spent
from semievol.records import Record, Task
from semievol.store.data import records, versions
from semievol.store.database import Store
from semievol.store.results import collaborators
from semievol.task.answers import allowed_answers
from semievol.task.prompts import by_similarity, render
from semievol.wording import plural

SAMPLED = 100
_TURN = 4  # tokens that a chat template adds to a turn


@dataclass(frozen=True)
class Expected:
    """What a run will take at one endpoint, roughly. cost: None where no price is known."""

    endpoint: str
    questions: int
    input_tokens: int
    output_tokens: int
    cost: float | None

    @property
    def sentence(self) -> str:
        tokens = f"{_rough(self.input_tokens)} tokens to read and {_rough(self.output_tokens)} to write"
        money = "its price is not known" if self.cost is None else f"about {amount(self.cost)}"
        return f"The endpoint {self.endpoint} gets about {plural(self.questions, 'question')}, {tokens}: {money}."


def expected(store: Store, version_id: int, config: Config, round_id: int | None = None) -> list[Expected]:
    """What a run of `respond` and `justify` with these settings on this version takes; none where nothing is left.

    round_id: the round of these settings, if there is one: what it holds is not asked again. Raises UserError for an
    endpoint that the workspace does not have.
    """
    found = {endpoint.name: endpoint for endpoint in remote_models.used(store, config)}
    if not found:
        return []
    sample = _Sample(store, version_id, config)
    given = {} if round_id is None else collaborators.answered(store, round_id)
    totals = {name: [0.0, 0.0, 0.0] for name in found}
    asked = [(one, 1.0) for one in sample.config.propagation.collaborators]
    judges = sample.config.propagation.justify and not any(given.values())  # else nobody knows how much is left
    if judges:
        asked.append((sample.config.propagation.judge, duration.DISPUTED))
    for one, share in asked:
        if is_endpoint(one.model):
            read, written = sample.tokens(one, judged=one is sample.config.propagation.judge)
            left = 1 - given.get(one.name, 0) / max(1, sample.pool)
            questions = share * sample.questions * left
            for place, value in enumerate((questions, questions * read, questions * written)):
                totals[name_of(one.model)][place] += value
    return [_expected(found[name], *values) for name, values in totals.items() if round(values[0])]


def _expected(endpoint: Endpoint, questions: float, read: float, written: float) -> Expected:
    cost = endpoint.cost(read, written) if endpoint.priced else None
    return Expected(endpoint.name, round(questions), round(read), round(written), cost)


class _Sample:
    """Records of a version, and how long their prompts are."""

    def __init__(self, store: Store, version_id: int, config: Config) -> None:
        self.task: Task = versions.task_of(store, version_id)
        labeled = records.load_records(store, version_id, "labeled")
        self.config = duration.settled(config, self.task, labeled)
        self.pool = versions.get_version(store, version_id).counts.get("unlabeled", 0)
        held = holds_out(len(labeled), config.calibration, config.calibration_minimum)
        known = round(config.calibration * len(labeled)) if held else len(labeled) * bool(self.config.cross_fit)
        self.questions = self.pool + known
        self.of = records.spread(store, version_id, "unlabeled", SAMPLED)
        self.near = token_counts.neighbours(labeled, self.of, config.propagation.k)
        self.answers: Sequence[str] = [record.answer or "" for record in labeled[:SAMPLED]] or [""]

    def tokens(self, one: Collaborator, judged: bool) -> tuple[float, float]:
        """Tokens of a prompt, and of an answer, on average."""
        written = fmean(_tokens(answer) for answer in self.answers) + 1
        return (fmean(self._prompt(record, one, judged) for record in self.of) if self.of else 0.0), written

    def _prompt(self, record: Record, one: Collaborator, judged: bool) -> int:
        allowed = allowed_answers(self.task, record) or self.answers
        others = self.config.propagation.collaborators
        turns = render(
            self.task,
            record,
            by_similarity(self.near.get(record.id, ())) if one.demonstrations else (),
            candidates=[allowed[i % len(allowed)] for i in range(len(others))] if judged else (),
            variant=one.variant,
            rule_first=self.config.rule_first,
        )
        return sum(_tokens(turn.content) + _TURN for turn in turns)


def spent_line(name: str, spent: Spent, priced: bool) -> str:
    """What a run has spent at one endpoint until now."""
    tokens = f"{spent.input_tokens:,} tokens read, {spent.output_tokens:,} written"
    again = spent.tries - spent.answers
    retried = f", {plural(again, 'request')} more without an answer" if again > 0 else ""
    money = f": {amount(spent.cost)}" if priced or spent.cost else ""
    return f"{name}: {plural(spent.answers, 'answer')}, {tokens}{retried}{money}"


def amount(cost: float) -> str:
    """Money without a currency: 3.20, 0.0042."""
    return f"{cost:,.2f}" if cost >= 1 or cost == 0 else f"{cost:.2g}"


def _rough(count: int) -> str:
    """1,234,567 -> "1,230,000"."""
    digits = max(0, len(str(count)) - 3)
    return f"{round(count, -digits):,}"


def _tokens(text: str) -> int:
    return len(text.encode("utf-8", "replace")) // 4 + 1
