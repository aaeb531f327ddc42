"""Servers that other projects made, on this machine: llama.cpp with SmolLM2's own file, and `transformers serve`."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from semievol.endpoints import Endpoint
from semievol.engines.endpoints import trial
from semievol.engines.endpoints.asking import Endpoints
from semievol.engines.local import LocalEngine
from semievol.engines.models import packaged, resolve
from semievol.installed import HOW, SMOLLM2
from semievol.method.protocols import Ask, Called, Reply
from semievol.method.spending import Purse
from semievol.records import Message
from tests import llama_cpp

LABELS = ("trees", "cars", "waste", "water")
FORM = f"\nAnswer with one of: {', '.join(LABELS)}."
SHOWN = (("The hedge is too high.", "trees"), ("A bag of rubbish lies here.", "waste"))
TEXTS = (
    "The bins were not emptied.",
    "A car blocks my drive.",
    "The lime trees need pruning.",
    "There is a leak under the kerb.",
    "Nobody has swept the playground.",
    "The meter does not take my coins.",
)


@contextmanager
def running(command: Sequence[str], port: int, health: str, log: Path) -> Iterator[str]:
    """Runs a server until it is no longer needed. Gives its base URL."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent
        )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=1).read()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=20)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def asks(model: str) -> list[Ask]:
    """The texts, each after two that are answered, so that an untrained model keeps to the form."""
    shown = [turn for text, label in SHOWN for turn in (Message("user", text + FORM), Message("assistant", label))]
    return [Ask(f"r{i}", "far", model, (*shown, Message("user", text + FORM)), LABELS) for i, text in enumerate(TEXTS)]


def answers(endpoint: Endpoint) -> list[Reply]:
    """The endpoint's answers to all texts, in order."""
    found: dict[str, Reply] = {}

    def took(called: Sequence[Called]) -> None:
        for one in called:
            assert one.reply is not None, one.reason
            found[one.ask.record_id] = one.reply

    asking = Endpoints([endpoint], {})
    asking.call(asks(endpoint.used_as), Purse(), took, lambda: False)
    asking.close()
    return [found[ask.record_id] for ask in asks(endpoint.used_as)]


@pytest.mark.skipif(not llama_cpp.is_built(), reason=llama_cpp.MISSING)
@pytest.mark.skipif(not SMOLLM2.there, reason=f"the model package is not installed ({HOW})")
def test_llama_cpp_answers_as_the_same_file_does_here(tmp_path: Path) -> None:
    port = free_port()
    command = llama_cpp.command(packaged._source("smollm2"), "smollm2", port)
    with running(command, port, "/v1/models", tmp_path / "llama.log") as url:
        endpoint = Endpoint("llama", url, "smollm2", concurrency=2)
        found = trial.tried(endpoint, "")
        assert (found.models, found.top, found.problem) == (("smollm2",), 20, "")
        far = answers(endpoint)
    near = LocalEngine("smollm2", "fp32", threads=1).answer(asks("base"))
    for one, other in zip(far, near, strict=True):
        assert one.mass is not None
        assert one.exactness == "bound"
        given = LABELS.index(one.text)
        short = other.probabilities[given] - one.probabilities[given]
        assert -0.1 < short < 0.1 + 1 - one.mass, "a lower bound, but for its arithmetic with 8-bit activations"
        if max(other.probabilities) > 0.6:
            assert one.text == other.text


@pytest.mark.skipif(importlib.util.find_spec("fastapi") is None, reason="fastapi is not installed")
def test_a_server_without_probabilities_gives_its_answers_alone(tmp_path: Path) -> None:
    """`transformers serve` ignores that log-probabilities are asked for, and has no list of models offline."""
    port, model = free_port(), resolve.resolve_model("starter")
    how = ("--device", "cpu", "--dtype", "float32", "--port", str(port))
    command = (sys.executable, "-m", "transformers.cli.transformers", "serve", str(model), *how)
    with running(command, port, "/health", tmp_path / "serve.log") as url:
        endpoint = Endpoint("serve", url, str(model), concurrency=1)
        found = trial.tried(endpoint, "")
        assert (found.top, found.constrained, found.problem) == (0, False, "")
        far = answers(endpoint)
    for one, other in zip(far, LocalEngine("starter", "fp32", threads=1).answer(asks("base")), strict=True):
        assert one.text in LABELS
        assert (one.probabilities, one.mass) == ((), None)
        best, second = sorted(other.probabilities)[-1:-3:-1]
        if best - second > 0.2:  # it writes token by token, and so may end at another label where two are close
            assert one.text == other.text
