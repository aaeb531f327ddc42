"""The workspace's endpoints without a browser: `endpoints`."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from semievol.cli.arguments import Outcome, Verb
from semievol.endpoints import Endpoint
from semievol.errors import UserError
from semievol.jobs import remote_models
from semievol.store import settings
from semievol.store.database import Store

_PRICES = ("input_price", "output_price", "training_price", "tuned_input_price", "tuned_output_price")
_VALUES = ("url", "model", "key_variable", "concurrency", "batch", *_PRICES)


def add(verb: Verb) -> None:
    """The options of the verb."""
    option = verb("endpoints", _endpoints, "list, save, test or remove models behind a server (endpoint:NAME)")
    option("what", nargs="?", choices=("list", "save", "test", "remove"), default="list")
    option("name", nargs="?", metavar="NAME")
    option("--url", help="base URL of the server, such as http://127.0.0.1:8000/v1")
    option("--model", help="as the server calls it")
    option("--key-variable", metavar="VARIABLE", help="environment variable with the key, never the key")
    option("--concurrency", type=int, metavar="N", help="most questions at once (default: 8)")
    option("--input-price", type=float, metavar="PRICE", help="of a million tokens read")
    option(
        "--batch",
        action=argparse.BooleanOptionalAction,
        help="hand the questions of a run over together, to be answered within a day (OpenAI's Batch API)",
    )
    option("--output-price", type=float, metavar="PRICE", help="of a million tokens written")
    option("--training-price", type=float, metavar="PRICE", help="of a million tokens that a fine-tuning job reads")
    option("--tuned-input-price", type=float, metavar="PRICE", help="as --input-price, of fine-tuned models")
    option("--tuned-output-price", type=float, metavar="PRICE", help="as --output-price, of fine-tuned models")


def _endpoints(store: Store, chosen: argparse.Namespace) -> Outcome:
    given = {name: value for name in _VALUES if (value := getattr(chosen, name)) is not None}
    if given and chosen.what != "save":
        raise UserError("Only `save` takes values.", f"endpoints {chosen.what}", "Leave them out.")
    if chosen.what == "list":
        found = settings.endpoints(store)
        words = "\n".join(f"{one.name}: {one.model} at {one.url}" for one in found)
        return 0, {"endpoints": [asdict(one) for one in found]}, words or "No endpoints yet."
    if chosen.name is None:
        raise UserError("No endpoint was named.", f"endpoints {chosen.what}", "Add its name.")
    if chosen.what == "save":
        known = {one.name: asdict(one) for one in settings.endpoints(store)}
        values = {"name": chosen.name, "url": "", "model": ""} | known.get(chosen.name, {}) | given
        endpoint = Endpoint(**values)
        settings.save_endpoint(store, endpoint)
        return 0, {"endpoint": asdict(endpoint)}, f"Saved. Its model is called {endpoint.used_as}."
    endpoint = remote_models.find(store, chosen.name)
    if chosen.what == "remove":
        settings.remove_endpoint(store, endpoint.name)
        users = remote_models.users(store, endpoint.name)
        return 0, {"endpoint": asdict(endpoint), "users": users}, "Removed. Rounds keep its answers."
    trial = remote_models.tried(endpoint)
    words = "\n".join(remote_models.told(endpoint, trial))
    return 1 if trial.problem else 0, {"endpoint": asdict(endpoint), "trial": asdict(trial)}, words
