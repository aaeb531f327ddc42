"""Asks all collaborators of some settings one record, before a run with them: what each says, or why it cannot.

Every collaborator is asked apart, through the inference process or its endpoint, so that a failure of one does not
hide the others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import psutil

from semievol.config import VOTERS, Collaborator, Config
from semievol.engines.models import tokenizer
from semievol.errors import UserError
from semievol.jobs import inference_client, inference_process, remote_models
from semievol.jobs.inference_process import Watch
from semievol.method import voters
from semievol.method.conversations import path_of, questions, response_of
from semievol.method.protocols import Plan
from semievol.records import Demonstration, Record, Response, Task
from semievol.store.data import records, versions
from semievol.store.database import Store


@dataclass(frozen=True)
class Said:
    """What a collaborator says, or why it cannot. shown: how many demonstrations. stands_in: the base model answered,
    since there is no warm-up model yet."""

    collaborator: Collaborator
    response: Response | None = None
    shown: int = 0
    seconds: float = 0.0
    stands_in: bool = False
    error: UserError | None = None


def ask_all(
    store: Store, project_id: int, version_id: int, config: Config, record: Record, warm_up: str | None, watch: Watch
) -> Iterator[Said]:
    """What every collaborator says to a record of this version, in their order. warm_up: folder of the adapter, None
    where there is none. watch: as in `inference_client.ask`, with the place of the collaborator."""
    held = versions.calibration(store, project_id) or frozenset()
    labeled = [one for one in records.load_records(store, version_id, "labeled") if one.content_hash not in held]
    task, mine = versions.task_of(store, version_id), config.propagation.collaborators
    near: Sequence[Demonstration] | UserError = ()
    if config.propagation.k and any(one.demonstrations and one.model not in VOTERS for one in mine):
        try:
            near = inference_client.nearest_of(store, config, labeled, record, config.propagation.k, watch)
        except UserError as problem:
            near = problem
    for place, one in enumerate(mine, 1):

        def told(words: str, place: int = place) -> None:
            watch(f"Collaborator {place} of {len(mine)}: {words[:1].lower()}{words[1:]}")

        try:
            if isinstance(near, UserError) and one.demonstrations:
                raise near
            shown = () if isinstance(near, UserError) else near
            yield _ask(store, task, labeled, config, record, one, shown, warm_up, told)
        except UserError as problem:
            yield Said(one, error=problem)


def _ask(
    store: Store,
    task: Task,
    labeled: Sequence[Record],
    config: Config,
    record: Record,
    one: Collaborator,
    near: Sequence[Demonstration],
    warm_up: str | None,
    watch: Watch,
) -> Said:
    how = next((voter for voter in VOTERS if voter == one.model), None)
    if how is not None and (reason := voters.obstacle(task, labeled, [record], how)):
        raise UserError(reason, "", "")
    if config.at_server(one.model):
        path = path_of(one, {"base": config.model, "warm_up": warm_up or config.model})
        said = _ask_endpoint(store, Plan(task, config, labeled, ()), record, one, path, near, watch)
        return replace(said, stands_in=one.model == "warm_up" and warm_up is None)
    if how is None and one.model not in ("base", "warm_up", config.model):
        _room_for(one.model, config.four_bits)
    request = {
        "verb": "respond",
        "task": asdict(task),
        "record": asdict(record),
        "labeled": [asdict(known) for known in labeled] if how else [],
        "demonstrations": [asdict(shown) for shown in near] if one.demonstrations else [],
        "collaborator": one.model_dump(mode="json"),
        "config": config.model_dump(mode="json"),
        "models": {"base": "base", config.model: "base", "warm_up": warm_up or "base"},
    }
    found = inference_process.request(store, config, request, watch)
    lists = ("probabilities", "token_logprobs", "token_entropies")
    response = Response(**found["response"] | {name: tuple(found["response"][name]) for name in lists})
    stands_in = one.model == "warm_up" and warm_up is None
    return Said(one, response, found["shown"], found["seconds"], stands_in)


def _ask_endpoint(
    store: Store, plan: Plan, record: Record, one: Collaborator, path: str, near: Sequence[Demonstration], watch: Watch
) -> Said:
    watch("Asking the server")
    ask = replace(next(questions(plan, (), "respond", record, one, near)), model=path)
    began = time.monotonic()
    reply = remote_models.answer(store, plan.config, ask)
    shown = len(near) if one.demonstrations else 0
    return Said(one, response_of(plan, record, ask, reply), shown, time.monotonic() - began)


def _room_for(model: str, four_bits: bool) -> None:
    """Raises UserError for a model that is not on this machine, or for whose weights too little memory is free."""
    if tokenizer.folder_of(model) is None:
        raise UserError("Its model is not on this machine, or not prepared yet.", model, "Prepare it under Settings.")
    weights = inference_client.bytes_needed(model, four_bits) - inference_client.PROCESS_BYTES
    if psutil.virtual_memory().available < weights:
        raise UserError("Too little memory is free to load its model, too.", model, "Choose a smaller model.")
