"""Training examples: records with their known or accepted answers as conversations; and the call that trains on them.

Knows nothing of how a model is trained.
"""

from __future__ import annotations

from collections.abc import Sequence

from semievol.errors import UserError
from semievol.method.protocols import Engine, Frozen, Journal, Plan, TrainingSetup
from semievol.records import Demonstration, Example, Origin, Record
from semievol.task.prompts import by_similarity, neutralise, render


def warm_up_examples(plan: Plan, engine: Engine) -> list[Example]:
    """What `warm_up` trains on: every labeled record; if the settings say so, each once more with demonstrations."""
    tokens = engine.control_tokens
    plain = [_example(plan, record, record.answer, "gold", tokens) for record in plan.labeled]
    settings = plan.config.propagation
    if settings.warm_up_demonstrations == "none" or settings.k == 0:
        return plain
    found = engine.neighbours(plan.labeled, plan.labeled, settings.k, settings.embedder)
    shown = [
        _example(plan, record, record.answer, "gold", tokens, by_similarity(near))
        for record, near in zip(plan.labeled, found, strict=True)
    ]
    return [example for pair in zip(plain, shown, strict=True) for example in pair]


def tune_examples(plan: Plan, frozen: Frozen, control_tokens: Sequence[str]) -> list[tuple[Record, Example]]:
    """What `tune` trains on, each example with its record: labeled records, then accepted ones, in the plan's order.

    Needs no engine, so that the export of training data gives exactly these. control_tokens: those of the model.
    """
    gold = plan.labeled if plan.config.tune_on == "gold_and_pseudo" else ()
    found = [(record, _example(plan, record, record.answer, "gold", control_tokens)) for record in gold]
    for record in plan.unlabeled:
        if record.id in frozen.answers:
            origin = frozen.origins.get(record.id, "pseudo")
            found.append((record, _example(plan, record, frozen.answers[record.id], origin, control_tokens)))
    return found


def _example(
    plan: Plan,
    record: Record,
    answer: str | None,
    origin: Origin,
    control_tokens: Sequence[str],
    demonstrations: Sequence[Demonstration] = (),
) -> Example:
    assert answer is not None, f"record {record.id} is to be trained on but has no answer"
    turns = render(plan.task, record, demonstrations, control_tokens=control_tokens, rule_first=plan.config.rule_first)
    return Example(record.id, turns, neutralise(answer, control_tokens), origin)


def train(plan: Plan, engine: Engine, journal: Journal, stage: str, examples: list[Example], start: str | None) -> str:
    """Folder of the adapter of this stage. The loss on calibration records is measured, they are not trained on."""
    if not examples:
        raise UserError("There is nothing to train on.", stage, "Add labeled records or accept more candidates.")
    settings = plan.config.propagation.warm_up if stage == "warm_up" else plan.config.tune
    held_out = [_example(plan, r, r.answer, "gold", engine.control_tokens) for r in plan.calibration]
    return engine.train(
        examples,
        TrainingSetup(settings, journal.folder(stage), plan.config.seed, start),
        metric=lambda name, step, value: journal.metric(stage, name, step, value),
        progress=lambda step, total: journal.progress(stage, step, total),
        stopping=journal.stopping,
        held_out=held_out,
    )
