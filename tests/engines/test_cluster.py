"""A Ray cluster: what one process answers and trains, whichever worker is lost.

The last test starts a cluster on this machine. It needs `requirements-ray.txt`, which the suite's environment leaves
out.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

import psutil
import pytest
from safetensors.torch import load_file

from semievol.engines.adapter_files import WEIGHTS
from semievol.engines.cluster import joining
from semievol.engines.local import LocalEngine
from semievol.engines.training import checkpoints
from semievol.errors import UserError
from semievol.method.protocols import Ask, Stopped
from tests.engines import conftest
from tests.engines.test_several import plain
from tests.engines.test_sharing import asked, close


def test_what_is_missing_is_said_before_anything_starts(monkeypatch) -> None:
    monkeypatch.setattr(joining, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Ray is not installed.*requirements-ray\.txt"):
        joining.join(joining.HERE)
    monkeypatch.setattr(joining, "find_spec", lambda name: True)
    joining.check(joining.HERE)
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "nowhere", "127.0.0.1:port", "[::1"):
        with pytest.raises(UserError, match=f'No Ray cluster answers at "{re.escape(address)}"'):
            joining.check(address)


def workers(kind: str) -> list[psutil.Process]:
    """Processes of the cluster on this machine, by what they do."""
    return [child for child in psutil.Process().children(recursive=True) if kind in "".join(child.cmdline())]


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray (pip install -r requirements-ray.txt)")
def test_a_cluster_answers_and_trains_as_one_process_does_whichever_worker_is_lost(llama, tmp_path) -> None:
    alone = LocalEngine(str(llama), threads=1)
    both = LocalEngine(str(llama), threads=1, devices=2, cluster=joining.HERE)
    assert both.chunk == 2 * alone.chunk
    with pytest.raises(UserError, match="The cluster has"):
        LocalEngine(str(llama), threads=1, devices=64, cluster=joining.HERE)

    expected, seen = conftest.train(alone, plain(tmp_path / "one", "lora"))
    questions = asked() + asked(str(expected))
    wanted = alone.answer(questions)
    assert close(both.answer(questions), wanted)
    workers("Answerer")[0].kill()
    assert close(both.answer(questions), wanted)
    long = [Ask(f"l{i}", "c", "base", conftest.turns("water " * 40_000 + str(i)), conftest.LABELS) for i in range(8)]
    with pytest.raises(UserError, match="takes"):
        both.answer(long)

    setup = plain(tmp_path / "two", "lora")
    setup = type(setup)(setup.settings.model_copy(update={"save_every": 2}), setup.folder, setup.seed)
    with pytest.raises(Stopped, match="training stopped after step"):
        conftest.train(both, setup, stop_after=3)
    lost: list[psutil.Process] = []
    told: dict[int, float] = {}

    def metric(name: str, step: int, value: float) -> None:
        if name == "loss":
            told[step] = value
        if step >= 5 and not lost:
            lost.append(workers("RayTrainWorker")[0])
            lost[0].kill()

    adapter = both.train(conftest.examples(), setup, metric, lambda *_: None, lambda: False)
    assert lost
    assert told == pytest.approx({step: seen["loss"][step] for step in told}, abs=1e-5)
    assert checkpoints.fault(setup.folder / checkpoints.ADAPTER) is None
    one, two = load_file(expected / WEIGHTS), load_file(f"{adapter}/{WEIGHTS}")
    assert max(float((one[key] - two[key]).abs().max()) for key in one) < 1e-5
