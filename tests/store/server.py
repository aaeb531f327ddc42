"""A PostgreSQL server of its own for a test, made in an empty folder and reached through a socket there.

It needs Debian's package `postgresql` (its programs are found without being on the path). PostgreSQL refuses to run as
root, so root starts it as the package's own account.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ACCOUNT = "postgres"
_DEBIAN = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`, of the newest version; None if there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = [path.parent for path in _DEBIAN.glob("*/bin/initdb")]
    return max(versions, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def running() -> Iterator[str]:
    """Starts a server with an empty database and gives its SQLAlchemy address; afterwards nothing is left of it."""
    where = programs()
    assert where is not None, "no PostgreSQL here"
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        as_root = os.geteuid() == 0
        if as_root:
            shutil.chown(folder, ACCOUNT)

        def do(program: str, *arguments: str) -> None:
            user = ACCOUNT if as_root else None
            command = [str(where / program), *arguments]
            done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, check=False)
            assert not done.returncode, done.stderr

        data, log = str(folder / "data"), str(folder / "log")
        do("initdb", "-D", data, "-A", "trust", "-U", "studio", "--no-sync", "--encoding", "UTF8", "--locale", "C")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"  # a socket only; what it holds is thrown away
        do("pg_ctl", "-D", data, "-l", log, "-o", options, "--wait", "start")
        try:
            yield f"postgresql://studio@/postgres?host={folder}"
        finally:
            do("pg_ctl", "-D", data, "--mode", "immediate", "--wait", "stop")
