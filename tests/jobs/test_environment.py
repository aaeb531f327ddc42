"""What a computing process is told before torch loads, and that a person's own wish stands."""

import subprocess
import sys

import pytest

from semievol.jobs.environment import for_models

OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "TOKENIZERS_PARALLELISM")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        monkeypatch.delenv(name, raising=False)


def test_threads_pause_briefly_and_few_products_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/somewhere")
    environment = for_models()
    assert environment["PATH"] == "/somewhere"
    assert 0 < int(environment["GOMP_SPINCOUNT"]) < 10_000
    assert int(environment["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) < 1024, "oneDNN's own default"
    assert environment["TOKENIZERS_PARALLELISM"] == "false"


@pytest.mark.parametrize("name", OURS)
def test_what_is_set_already_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "theirs")
    assert for_models()[name] == "theirs"


def test_somebody_who_sets_the_policy_gets_no_count_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    assert "GOMP_SPINCOUNT" not in for_models()


def test_garbage_is_looked_for_again_once_all_is_loaded_and_only_the_first_call_freezes() -> None:
    program = "\n".join(
        [
            "import gc",
            "from semievol.jobs.environment import loaded",
            "gc.disable()",
            "loaded()",
            "first = gc.get_freeze_count()",
            "made = [[] for _ in range(9)]",
            "loaded()",
            "print(gc.isenabled(), first > 0, gc.get_freeze_count() <= first)",
        ]
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True"] * 3
