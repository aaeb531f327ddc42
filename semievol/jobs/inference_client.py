"""Asking a model at once, for "ask again" and the playground: what pages ask the inference process, without torch."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import psutil

from semievol import presets
from semievol.config import VOTERS, Config
from semievol.engines.models import footprint, tokenizer
from semievol.errors import UserError
from semievol.jobs import inference_process, remote_models
from semievol.jobs.inference_process import Watch, unwatched
from semievol.method import comparison, confidence, ensemble, voters
from semievol.method.label_errors import Suspect
from semievol.method.preflight import Preflight, Way
from semievol.method.protocols import Ask, Plan
from semievol.records import Demonstration, Record, Response, Task
from semievol.store.data import records, versions
from semievol.store.database import Store
from semievol.store.results import outcomes, places
from semievol.store.runs import rounds, runs
from semievol.store.runs.rounds import Round
from semievol.task.answers import allowed_answers

PROCESS_BYTES = 0.6e9
"""Memory of the inference process beside the model's weights."""
SPARE_BYTES = 1.0e9
"""Memory that stays free for everything else when a model is loaded that nobody has asked for yet."""
_warming = threading.Lock()


def ask(
    store: Store,
    round_id: int,
    question: Record,
    demonstrations: Sequence[Demonstration] = (),
    models: Sequence[str] = ("base",),
    watch: Watch = unwatched,
) -> list[dict[str, Any]]:
    """Answers of `models` ("base", "warm_up", "evolved") to one question, in their order. watch: is told in words what
    is being done whenever that changes.

    Each is a dict with model, text, answer, probabilities (answer -> probability; empty for open tasks), mass,
    entropy (normalised, None for open tasks) and seconds. Raises UserError where a model is not trained yet.
    """
    round_ = rounds.get_round(store, round_id)
    task = versions.task_of(store, round_.version_id)
    there = _adapters(store, round_id, models)
    if round_.config.is_far:
        watch("Asking the server")
        paths = {name: round_.config.model if path == "base" else str(path) for name, path in there}
        return remote_models.ask(store, round_.config, task, question, demonstrations, paths)
    request = _question(round_.config, task, question, demonstrations, there)
    return list(inference_process.request(store, round_.config, request, watch))


def warm(store: Store, config: Config, task: Task, round_id: int | None = None, models: Sequence[str] = ()) -> bool:
    """Loads the model and the adapters of `models`, or keeps them loaded; the next question is then answered at once.

    Returns False without doing so while a run is active or waits, which needs the memory more; if too little memory is
    free; if the model is not on this machine; and while another call is at it.
    """
    if runs.active_run(store) is not None or runs.queue(store) or not _warming.acquire(blocking=False):
        return False
    try:
        running = inference_process.connect(store)
        if running is not None:
            running.close()
        if psutil.virtual_memory().available < SPARE_BYTES + (
            0 if running else bytes_needed(config.model, config.four_bits)
        ):
            return False
        adapters = [("base", "base")] if round_id is None else _adapters(store, round_id, models)
        trial = Record("trial", "Hello", ("yes", "no") if task.kind == "multiple_choice" else ())
        tuned_on = [] if round_id is None else _tuned_on(store, rounds.get_round(store, round_id), task)
        embedder = {"tuned_on": [asdict(one) for one in tuned_on], "config": config.model_dump(mode="json")}
        request = _question(config, task, trial, (), adapters) | {"verb": "warm"} | (embedder if tuned_on else {})
        inference_process.request(store, config, request)
    except (UserError, OSError):  # nobody has asked; a question will say what is wrong
        return False
    finally:
        _warming.release()
    return True


def bytes_needed(model: str, four_bits: bool = False) -> float:
    """Bytes that loading the model takes; infinite for one that is not on this machine. four_bits: of its linear
    layers."""
    folder = tokenizer.folder_of(model)
    return math.inf if folder is None else PROCESS_BYTES + footprint.Shape.of(folder).weights(False, four_bits)


def _adapters(store: Store, round_id: int, models: Sequence[str]) -> list[tuple[str, str | None]]:
    """(name, adapter folder or "base") of each of these models."""
    known = outcomes.adapters(store, round_id)
    paths = {"base": "base", "warm_up": known.get("warm_up"), "evolved": known.get("tune")}
    missing = [model for model in models if paths.get(model) is None]
    if missing:
        raise UserError(f"Not trained yet: {', '.join(missing)}.", "model", "Run the stage that makes it first.")
    return [(model, paths[model]) for model in models]


def try_model(store: Store, model: str, question: str) -> str:
    """A model's free answer to a question that belongs to no project, as long as the settings' default allows."""
    config = presets.load("studio", assignments=[f"model={json.dumps(model)}"])
    request = _question(config, Task("text"), Record("tried", question), (), [("base", "base")])
    return str(inference_process.request(store, config, request)[0]["text"])


def nearest(
    store: Store, round_id: int, question: Record, k: int, watch: Watch = unwatched, embedder: str | None = None
) -> list[Demonstration]:
    """The k labeled records most like `question`, most similar first. watch: as in `ask`. embedder: None takes the
    round's."""
    round_ = rounds.get_round(store, round_id)
    return nearest_of(store, round_.config, _labeled(store, round_), question, k, watch, embedder)


def nearest_of(
    store: Store,
    config: Config,
    labeled: Sequence[Record],
    question: Record,
    k: int,
    watch: Watch = unwatched,
    embedder: str | None = None,
) -> list[Demonstration]:
    """As `nearest`, among these labeled records. embedder: None takes the config's."""
    request = {
        "verb": "neighbours",
        "labeled": [asdict(record) for record in labeled],
        "record": asdict(question),
        "k": k,
        "embedder": embedder or config.propagation.embedder,
    }
    by_id = {record.id: record for record in labeled}
    found = inference_process.request(store, config, request, watch)
    return [Demonstration(by_id[record_id], similarity) for record_id, similarity in found]


def similarities(
    store: Store,
    round_id: int,
    question: Record,
    ids: Sequence[str],
    watch: Watch = unwatched,
    embedder: str | None = None,
) -> dict[str, float]:
    """How similar labeled records with these ids are to `question`, measured as `nearest` does. watch: as in `ask`."""
    round_ = rounds.get_round(store, round_id)
    labeled = _labeled(store, round_)
    request = {
        "verb": "neighbours",
        "labeled": [asdict(record) for record in labeled],
        "record": asdict(question),
        "k": len(labeled),
        "embedder": embedder or round_.config.propagation.embedder,
        "only": list(ids),
    }
    return dict(inference_process.request(store, round_.config, request, watch))


def vote(
    store: Store,
    round_id: int,
    question: Record,
    watch: Watch = unwatched,
    learned: Sequence[Record] | None = None,
    tuned_on: Sequence[Record] = (),
) -> list[dict[str, Any]]:
    """Answers of the voters (nearest labeled records, regression) that fit the task, as dicts like those of `ask`,
    without mass and seconds. watch: as in `ask`. learned: what they learn from; None: the labeled records. tuned_on:
    what their second embedder is fine-tuned on, if they have one."""
    round_ = rounds.get_round(store, round_id)
    task, labeled = versions.task_of(store, round_.version_id), learned or _labeled(store, round_)
    request = {
        "verb": "vote",
        "task": asdict(task),
        "labeled": [asdict(record) for record in labeled],
        "tuned_on": [asdict(record) for record in tuned_on],
        "record": asdict(question),
        "voters": [how for how in VOTERS if not voters.obstacle(task, labeled, [question], how)],
        "config": round_.config.model_dump(mode="json"),
    }
    return list(inference_process.request(store, round_.config, request, watch)) if request["voters"] else []


def ensembles(
    store: Store, round_id: int, question: Record, said: Sequence[dict[str, Any]], watch: Watch = unwatched
) -> list[dict[str, Any]]:
    """Answers of the fine-tuned models together with the voters, as dicts like those of `vote`; none where the round
    has no ensemble. said: what models and voters answered. watch: as in `ask`."""
    round_ = rounds.get_round(store, round_id)
    task = versions.task_of(store, round_.version_id)
    weighted = ensemble.weights(task, round_.config, rounds.weights(store, round_id))
    given, found = {one["model"]: one for one in said}, []
    labeled, tuned_on = (_labeled(store, round_), _tuned_on(store, round_, task)) if weighted else ([], [])
    for model, name in comparison.ENSEMBLES.items():
        if not weighted or model not in given or not given[model]["probabilities"]:
            continue
        voted, learned = given, labeled
        if model == "evolved" and (frozen := outcomes.trained_on(store, round_id)):
            pool = records.load_records(store, round_.version_id, "unlabeled")
            learned = ensemble.learned(labeled, pool, frozen)
        if tuned_on or learned is not labeled:
            voted = {one["model"]: one for one in vote(store, round_id, question, watch, learned, tuned_on)}
        simple = weighted.keys() - {ensemble.MODEL}
        if simple <= voted.keys():
            beside = {how: _response(question, voted[how]) for how in simple}
            own = {ensemble.MODEL: _response(question, given[model])}
            reply = ensemble.together(task, question, own | beside, name, weighted)
            table = dict(zip(allowed_answers(task, question), reply.probabilities, strict=False))
            one = {"model": name, "text": reply.text, "answer": reply.answer, "probabilities": table}
            found.append(one | {"entropy": confidence.own_entropy(reply)})
    return found


def _tuned_on(store: Store, round_: Round, task: Task) -> Sequence[Record]:
    """The records that the voters' second embedder is fine-tuned on in the ensembles of this round."""
    if not ensemble.weights(task, round_.config, rounds.weights(store, round_.id)):
        return []
    return voters.with_tuned_embedder(Plan(task, round_.config, _labeled(store, round_), ())).tuned_on


def _response(question: Record, said: dict[str, Any]) -> Response:
    return Response(question.id, said["model"], said["text"], said["answer"], tuple(said["probabilities"].values()))


def judge(
    store: Store, round_id: int, asks: Sequence[tuple[Record, Ask]], watch: Watch = unwatched
) -> list[str | None]:
    """The judge's answer to each of these questions, as `conversations.questions` makes them; None where it cannot be
    read. watch: as in `ask`."""
    round_ = rounds.get_round(store, round_id)
    model = round_.config.propagation.judge.model
    own = dict(_adapters(store, round_id, [model])) if model in ("base", "warm_up") else {}
    request = {
        "verb": "judge",
        "task": asdict(versions.task_of(store, round_.version_id)),
        "records": [asdict(record) for record, _ in asks],
        "asks": [asdict(replace(ask, model=own.get(model) or model)) for _, ask in asks],
        "config": round_.config.model_dump(mode="json"),
    }
    return list(inference_process.request(store, round_.config, request, watch))


def examine(store: Store, config: Config, version_id: int, watch: Watch = unwatched) -> Preflight:
    """What the labeled records of a version say of propagation, before any training. watch: as in `ask`."""
    labeled = records.load_records(store, version_id, "labeled")
    request = {
        "verb": "examine",
        "task": asdict(versions.task_of(store, version_id)),
        "labeled": [asdict(record) for record in labeled],
        "config": config.model_dump(mode="json"),
    }
    found = inference_process.request(store, config, request, watch)
    by_id = {record.id: record for record in labeled}
    suspects = [Suspect(by_id[i], label, likelier, spread) for i, label, likelier, spread in found["suspects"]]
    ways = {how: Way(*numbers) for how, numbers in found["ways"].items()}
    return Preflight(found["records"], found["majority"], ways, suspects)


def draw_map(store: Store, round_id: int, watch: Watch = unwatched) -> None:
    """Gives the records of a round that has demonstrations, but no map, their places. watch: as in `ask`."""
    round_ = rounds.get_round(store, round_id)
    mapped = [one for one in records.load_records(store, round_.version_id) if one.split in ("labeled", "unlabeled")]
    request = {
        "verb": "map",
        "records": [asdict(record) for record in mapped],
        "embedder": round_.config.propagation.embedder,
        "seed": round_.config.seed,
    }
    found = inference_process.request(store, round_.config, request, watch)
    places.save(store, round_id, {record.id: (x, y) for record, (x, y) in zip(mapped, found, strict=True)})


def _labeled(store: Store, round_: Round) -> list[Record]:
    """The labeled records that the round's models learned from: without those held out for calibration."""
    held = rounds.held(store, round_.id)
    return [r for r in records.load_records(store, round_.version_id, "labeled") if r.content_hash not in held]


def _question(
    config: Config,
    task: Task,
    question: Record,
    demonstrations: Sequence[Demonstration],
    models: Sequence[tuple[str, str | None]],
) -> dict[str, Any]:
    """The request to answer a question. models: as `_adapters` gives them."""
    return {
        "verb": "answer",
        "task": asdict(task),
        "record": asdict(question),
        "demonstrations": [asdict(demonstration) for demonstration in demonstrations],
        "models": models,
        "rule_first": config.rule_first,
        "longest": config.propagation.max_answer_tokens,
    }
