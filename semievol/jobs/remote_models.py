"""The workspace's endpoints at work: checked before a run, handed to its engine, tried out, asked at once.

The openai client loads only where a server is asked.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from semievol.config import Collaborator, Config
from semievol.endpoints import PREFIX, Endpoint, name_of, unknown
from semievol.errors import UserError
from semievol.method import confidence
from semievol.method.conversations import questions, response_of
from semievol.method.protocols import Ask, Called, OutOfBudget, Plan, Reply
from semievol.method.spending import Purse
from semievol.records import Demonstration, Record, Task
from semievol.store import settings
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.task.answers import allowed_answers

if TYPE_CHECKING:
    from semievol.engines.endpoints.asking import Endpoints
    from semievol.engines.endpoints.trial import Trial

SHOWN_MODELS = 12


def find(store: Store, name: str) -> Endpoint:
    """The endpoint of this name. Raises UserError where there is none."""
    known = {endpoint.name: endpoint for endpoint in settings.endpoints(store)}
    if name not in known:
        raise unknown(name, known)
    return known[name]


def used(store: Store, config: Config) -> list[Endpoint]:
    """The endpoints that a run with these settings asks. Raises UserError for a name that is not known."""
    return [find(store, name) for name in config.endpoints]


def check(store: Store, config: Config) -> None:
    """Raises UserError where an endpoint of these settings is not known, its key is missing or refused, or its server
    cannot be reached."""
    for endpoint in used(store, config):
        key = endpoint.key(os.environ)
        from semievol.engines.endpoints import trial

        trial.reach(endpoint, key)


def check_studied(store: Store, config: Config) -> None:
    """Raises UserError where a study with these settings could cost money."""
    if config.is_far:
        raise UserError(
            "A study fine-tunes for every arm and seed, which a server would be asked to do dozens of times.",
            "model",
            "Choose a model that is fine-tuned on this machine for the study.",
        )
    for endpoint in used(store, config):
        if not endpoint.near or endpoint.priced:
            raise UserError(
                f"A study asks every collaborator anew for every seed, which would be dear with {endpoint.name}.",
                "collaborators",
                "Leave it out of the study's settings, or use a server of your own network without a price.",
            )


def fault(store: Store, model: str) -> str | None:
    """Why a collaborator could not use `endpoint:NAME`, as far as can be said without asking the server."""
    try:
        find(store, name_of(model)).key(os.environ)
    except UserError as problem:
        return f"{problem.what} {problem.remedy}"
    return None


def tried(endpoint: Endpoint) -> Trial:
    """What the server can do. Raises UserError where it cannot be reached or used."""
    from semievol.engines.endpoints import trial

    return trial.tried(endpoint, endpoint.key(os.environ))


def told(endpoint: Endpoint, found: Trial) -> list[str]:
    """What a test found, a line each."""
    if found.problem:
        lines = [f"It is there, but gave no answer: {found.problem}."]
    else:
        listed = f"of the {found.top} likeliest tokens, so confidences are bounds"
        tied = "it keeps to the allowed answers" if found.constrained else "no, its answers are read as text"
        lines = [
            f"Answers: “{found.text[:60]}” in {found.seconds:.1f} s.",
            f"Log-probabilities: {listed if found.top else 'none, so confidence comes from votes only'}.",
            f"Constrained answers: {tied}.",
        ]
        if endpoint.batch or found.batches:
            lines.append(f"Batches: {'offered' if found.batches else 'not offered, so turn them off here'}.")
        if found.jobs:
            lines.append("Fine-tuning: offered, so a project may choose it as its model.")
    if not found.models:
        return [*lines, "Models: the server lists none."]
    rest = len(found.models) - SHOWN_MODELS
    lines.append(f"Models: {', '.join(found.models[:SHOWN_MODELS])}{f' and {rest:,} more' if rest > 0 else ''}.")
    missing = endpoint.model not in found.models
    return [*lines, f"The model {endpoint.model} is not among them."] if missing else lines


def users(store: Store, name: str) -> list[str]:
    """Names of the projects whose next run would ask this endpoint."""
    wanted = f"{PREFIX}{name}"
    found = []
    for project in projects.list_projects(store, archived=True):
        asked = project.settings.get("propagation") or {}
        named = [*(asked.get("collaborators") or []), asked.get("judge") or {}, project.settings]
        if any(one.get("model") == wanted for one in named):
            found.append(project.name)
    return found


def of_run(store: Store, config: Config) -> Endpoints:
    """The endpoints of a run, for its engine. Raises UserError as `check` does."""
    from semievol.engines.endpoints.asking import Endpoints

    check(store, config)
    return Endpoints(used(store, config), os.environ)


def at_once(store: Store, config: Config) -> Endpoints:
    """The endpoints of these settings for somebody who waits: none of them is given a batch."""
    from semievol.engines.endpoints.asking import Endpoints

    return Endpoints([replace(one, batch=False) for one in used(store, config)], os.environ)


def answer(store: Store, config: Config, ask: Ask) -> Reply:
    """The reply of the ask's endpoint, within the budget of the config. Raises UserError where none comes."""
    from semievol.engines.endpoints.asking import Endpoints

    came: list[Called] = []
    far = Endpoints([replace(find(store, name_of(ask.model)), batch=False)], os.environ)  # somebody waits for it
    try:
        far.call([ask], Purse(config.budget), came.extend, lambda: False)
    except OutOfBudget as problem:
        raise problem.reason from None
    finally:
        far.close()
    called = next(iter(came), None)
    if called is None or called.reply is None:
        why = f": {called.reason}" if called is not None else ""
        raise UserError(f"No answer came{why}.", name_of(ask.model), "Test the endpoint on the Settings page.")
    return called.reply


def ask(
    store: Store,
    config: Config,
    task: Task,
    question: Record,
    near: Sequence[Demonstration],
    models: Mapping[str, str],
) -> list[dict[str, Any]]:
    """What models at servers answer to a question on a page, as dicts like those of `inference_client.ask`. models:
    what they are called there -> `endpoint:NAME`, or the address of a model that was fine-tuned at one."""
    plan, allowed = Plan(task, config, (), ()), allowed_answers(task, question)
    found = []
    for name, path in models.items():
        asked = Collaborator(name=name, model=f"{PREFIX}{name_of(path)}", demonstrations=bool(near))
        put = replace(next(questions(plan, (), "respond", question, asked, near)), model=path)
        began = time.monotonic()
        said = response_of(plan, question, put, answer(store, config, put))
        found.append(
            {
                "model": name,
                "text": said.text,
                "answer": said.answer,
                "probabilities": dict(zip(allowed, said.probabilities, strict=False)),
                "mass": said.mass,
                "entropy": confidence.answer_entropy(allowed, [said]),
                "seconds": time.monotonic() - began,
            }
        )
    return found


def secrets(store: Store) -> Sequence[str]:
    """The keys of all endpoints of the workspace, to be hidden in logs."""
    held = (os.environ.get(one.key_variable, "").strip() for one in settings.endpoints(store) if one.key_variable)
    return tuple(key for key in held if key)
