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
from semievol.records import STAGES, Record, Task
from semievol.store.data import records, versions
from semievol.store.database import Store
from semievol.store.results import collaborators, outcomes
from semievol.task.answers import allowed_answers
from semievol.task.prompts import by_similarity, render
from semievol.wording import plural

SAMPLED = 100
_TURN = 4  # tokens that a chat template adds to a turn


@dataclass(frozen=True)
class Expected:
    """What a run will take at one endpoint, roughly. trained_tokens: that fine-tuning jobs read. cost: None where no
    price is known."""

    endpoint: str
    questions: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    trained_tokens: int = 0

    @property
    def sentence(self) -> str:
        tokens = f"{_rough(self.input_tokens)} tokens to read and {_rough(self.output_tokens)} to write"
        jobs = f", and {_rough(self.trained_tokens)} to fine-tune on" if self.trained_tokens else ""
        money = "its price is not known" if self.cost is None else f"about {amount(self.cost)}"
        return f"The endpoint {self.endpoint} gets about {plural(self.questions, 'question')}, {tokens}{jobs}: {money}."


@dataclass
class _Total:
    """What is added up for an endpoint."""

    endpoint: Endpoint
    questions: float = 0.0
    read: float = 0.0
    written: float = 0.0
    trained: float = 0.0
    cost: float = 0.0

    def ask(self, questions: float, read: float, written: float, tuned: bool) -> None:
        """So many questions, of so many tokens each. tuned: to a model that was fine-tuned there."""
        prices = self.endpoint.tuned(self.endpoint.model) if tuned else self.endpoint
        self.questions += questions
        self.read += questions * read
        self.written += questions * written
        self.cost += prices.cost(questions * read, questions * written)

    def train(self, tokens: float) -> None:
        self.trained += tokens
        self.cost += self.endpoint.training_cost(tokens)

    def expected(self) -> Expected:
        counts = (round(self.questions), round(self.read), round(self.written))
        cost = self.cost if self.endpoint.priced else None
        return Expected(self.endpoint.name, *counts, cost, round(self.trained))


def expected(
    store: Store,
    version_id: int,
    config: Config,
    round_id: int | None = None,
    stages: Sequence[str] = STAGES,
    later_round: bool = False,
) -> list[Expected]:
    """What a run with these settings on this version takes; none where nothing is left. These are the questions of
    `respond` and `justify`; where a server fine-tunes, also its jobs and the questions of `evaluate`.

    round_id: the round of these settings, if there is one: what it holds is not asked again. stages: of the run.
    later_round: it starts from an evolved model, and needs no warm-up. Raises UserError for an endpoint that the
    workspace does not have.
    """
    totals = {endpoint.name: _Total(endpoint) for endpoint in remote_models.used(store, config)}
    if not totals:
        return []
    sample = _Sample(store, version_id, config)
    given = {} if round_id is None else collaborators.answered(store, round_id)
    warmed_up = later_round or (round_id is not None and "warm_up" in outcomes.adapters(store, round_id))
    propagation = sample.config.propagation
    asked = [(one, 1.0) for one in propagation.collaborators] if "respond" in stages else []
    if "justify" in stages and propagation.justify and not any(given.values()):  # else nobody knows how much is left
        asked.append((propagation.judge, duration.DISPUTED))
    for one, share in asked:
        if config.at_server(one.model):
            left = 1 - given.get(one.name, 0) / max(1, sample.pool)
            name = name_of(one.model if is_endpoint(one.model) else config.model)
            tokens = sample.tokens(one, judged=one is propagation.judge)
            totals[name].ask(share * sample.questions * left, *tokens, tuned=one.model == "warm_up")
    if config.is_far:
        _fine_tuned(totals[name_of(config.model)], sample, set(stages) - ({"warm_up"} if warmed_up else set()))
    return [found for one in totals.values() if (found := one.expected()).questions or found.trained_tokens]


def _fine_tuned(total: _Total, sample: _Sample, stages: set[str]) -> None:
    """Adds the fine-tunings and the evaluation of a model at a server. stages: that a run does. Every one that covers
    them tunes and evaluates anew."""
    config = sample.config
    alone, shown = (Collaborator(name=str(way), demonstrations=way) for way in (False, True))
    read, written = sample.tokens(alone, judged=False)
    some = config.propagation.warm_up_demonstrations == "some" and config.propagation.k > 0
    warm_up = sample.labeled * (read + written + (sum(sample.tokens(shown, judged=False)) if some else 0))
    rule = config.policy.rule
    kept = rule.value * sample.pool if rule.kind == "fraction" else sample.pool
    tuned = (kept + sample.labeled * (config.tune_on == "gold_and_pseudo")) * (read + written)
    if "warm_up" in stages:
        total.train(max(1, round(config.propagation.warm_up.epochs)) * warm_up)
    if "tune" in stages:
        total.train(max(1, round(config.tune.epochs)) * tuned)
    if "evaluate" not in stages:
        return
    for way in [alone, shown] if config.evaluate_demonstrations and config.propagation.k else [alone]:
        for arm in (False, True, True):  # base, warm-up, evolved
            total.ask(sample.test, *sample.tokens(way, judged=False), tuned=arm)


class _Sample:
    """Records of a version, and how long their prompts are."""

    def __init__(self, store: Store, version_id: int, config: Config) -> None:
        self.task: Task = versions.task_of(store, version_id)
        labeled = records.load_records(store, version_id, "labeled")
        self.config = duration.settled(config, self.task, labeled)
        counts = versions.get_version(store, version_id).counts
        self.pool, self.test = counts.get("unlabeled", 0), counts.get("test", 0)
        held = holds_out(len(labeled), config.calibration, config.calibration_minimum)
        known = round(config.calibration * len(labeled)) if held else len(labeled) * bool(self.config.cross_fit)
        self.labeled = len(labeled) - known * held
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
    jobs = f", {spent.trained_tokens:,} fine-tuned on" if spent.trained_tokens else ""
    money = f": {amount(spent.cost)}" if priced or spent.cost else ""
    return f"{name}: {plural(spent.answers, 'answer')}, {tokens}{jobs}{retried}{money}"


def amount(cost: float) -> str:
    """Money without a currency: 3.20, 0.0042."""
    return f"{cost:,.2f}" if cost >= 1 or cost == 0 else f"{cost:.2g}"


def _rough(count: int) -> str:
    """1,234,567 -> "1,230,000"."""
    digits = max(0, len(str(count)) - 3)
    return f"{round(count, -digits):,}"


def _tokens(text: str) -> int:
    return len(text.encode("utf-8", "replace")) // 4 + 1
