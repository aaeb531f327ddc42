"""What all tests share: a home of their own, and one tiny real model per session."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from semievol.importing.readers.content import Watch
from semievol.importing.readers.overrides import AS_FOUND, ReadAs
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from semievol.installed import CHAR_TFIDF, EMBEDDER_VARIABLE, MODEL_VARIABLE, STARTER
from semievol.jobs.environment import for_models

os.environ.update(for_models())  # before torch loads
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # 150 child processes would each compile the same modules
gc.set_threshold(50_000, 20, 50)  # torch alone makes a hundred thousand objects that stay
# What is made without naming a model is made with the tiny one, in seconds; tests of real models name theirs.
os.environ[MODEL_VARIABLE], os.environ[EMBEDDER_VARIABLE] = STARTER, CHAR_TFIDF

MEMORY = Path("/dev/shm")  # a folder in memory, on Linux
ROOM = 4 << 30  # bytes; a whole run has needed 0.7e9


def in_memory() -> None:
    """Temporary folders lie in memory, where the person named no place and there is room. The store syncs whatever it
    saves; on a slow disk that was a quarter of the time of tests of pages."""
    if "TMPDIR" in os.environ or not MEMORY.is_dir():
        return
    if shutil.disk_usage(MEMORY).free >= ROOM and psutil.virtual_memory().available >= 2 * ROOM:
        os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None  # asked anew, here and in every child process


in_memory()

# A busy machine is no failure, and a failure must come back when the test is run again.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the workspace of the person who runs it."""
    monkeypatch.setenv("SEMIEVOL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SEMIEVOL_DATABASE_URL", raising=False)


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imported files are read in this process. In the Studio another one reads them, which takes half a second to
    start: `test_sandbox` shows that it reads the same, and `test_intake` and the browser's tests use it."""

    def read(path: Path, name: str, cells: Path, *, read_as: ReadAs = AS_FOUND, watch: Watch | None = None) -> Table:
        table = read_table(path, name, read_as, watch=watch)
        table.save(cells)
        said = {one.name: getattr(table, one.name) for one in fields(table) if one.name not in ("cells", "numbers")}
        return Table.opened(cells, **said)  # its cells mapped from the file, as in the Studio

    for module in ("semievol.jobs.intake", "semievol.jobs.external_review", "semievol.ui.data.slots"):
        monkeypatch.setattr(f"{module}.read_contained", read)


@pytest.fixture(autouse=True)
def _no_other_event_loop() -> Iterator[None]:
    """Playwright's driver lets its event loop count as running for as long as a browser lives, between its calls, too.
    In the same process no other loop could then run."""
    other = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(other)


@pytest.fixture(autouse=True, scope="module")
def _collected_once() -> None:
    """What stands when a file's tests begin, torch above all, is not looked through again whenever garbage is
    collected, as every training does when it begins and ends."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama with random weights in the ordinary Hugging Face layout."""
    from tests.tiny_model import make_llama  # torch loads only for the tests that need it

    return make_llama(tmp_path_factory.mktemp("models") / "llama")
