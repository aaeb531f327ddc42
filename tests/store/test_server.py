"""The store on PostgreSQL: its own tests, once more, against a server that is started for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from semievol.errors import UserError
from semievol.store.database import Store, open_store
from tests.store import server

HERE = Path(__file__).parent
MODULES = ("test_decisions.py", "test_runs.py", "test_selections.py")
"""Where the two databases differ most: claims, locks, times, upserts. With SEMIEVOL_TEST_DATABASE_URL, all of
`tests/store` can be run by hand."""
ALIKE = "makes_no_sense"
"""Tests of what is refused, which no database decides; left out to save time."""


@pytest.mark.skipif(server.programs() is None, reason="needs PostgreSQL (Debian's package postgresql)")
def test_the_store_behaves_alike_on_a_server() -> None:
    with server.running() as address:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"not ({ALIKE})"]
        command += [str(HERE / module) for module in MODULES]
        environment = os.environ | {"SEMIEVOL_TEST_DATABASE_URL": address}
        for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
            environment.pop(name, None)
        done = subprocess.run(
            command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def test_a_server_without_its_driver_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("SEMIEVOL_DATABASE_URL", "postgresql://user:secret@host/name")
    with pytest.raises(UserError, match="driver") as caught:
        open_store(tmp_path)
    assert "pip install" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_plain_address_of_a_server_means_the_driver_that_is_named_in_the_readme(tmp_path: Path) -> None:
    store = Store(tmp_path, "postgresql://user:secret@host/name")
    assert store.where == "postgresql+psycopg://user:***@host/name"
