"""Untrusted files are read in a limited process; what it finds, refuses or breaks on comes back as from here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from semievol.errors import UserError
from semievol.importing.readers.read import read_table
from semievol.importing.readers.sandbox import read_contained
from semievol.importing.table import MEGABYTE
from tests.importing.test_bad_inputs import BOOK, dictionary_bomb, rows


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("name", "content"), [("a.csv", rows("bad,row,here").encode()), ("a.xlsx", BOOK)])
def test_a_table_comes_back_as_it_was_read(tmp_path: Path, name: str, content: bytes) -> None:
    path = written(tmp_path, name, content)
    here, there = read_table(path), read_contained(path, name, tmp_path / "cells")
    assert (there.name, there.columns, there.rows) == (here.name, here.columns, here.rows)
    assert there.numbers.tolist() == here.numbers.tolist()
    assert (there.notes, there.rejected, there.sheets) == (here.notes, here.rejected, here.sheets)
    assert there.form == here.form != ""


def test_reading_again_leaves_a_table_that_is_in_use_as_it_was(tmp_path: Path) -> None:
    first = read_contained(written(tmp_path, "a", rows().encode()), "a.csv", tmp_path / "cells")
    second = read_contained(written(tmp_path, "b", b"question,answer\nq,a\n"), "b.csv", tmp_path / "cells")
    assert len(first.rows) == 12
    assert len(second.rows) == 1


def test_a_refusal_comes_back_with_place_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_contained(written(tmp_path, "x", b"question,,answer\nq,1,yes\n"), "../mine.csv", tmp_path / "cells")
    assert caught.value.where == "mine.csv, row 1, column 2"
    assert not (tmp_path / "cells").exists()


def test_a_bomb_of_30_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = written(tmp_path, "x.parquet", dictionary_bomb())
    assert path.stat().st_size < 10_000
    with pytest.raises(UserError, match="decodes to more than 1,073,741,824 bytes"):
        read_contained(path, "x.parquet", tmp_path / "cells", memory=1024 * MEGABYTE)


def test_limits_of_memory_and_time_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", b"question,answer\n" + b"some words to fill a line with,yes\n" * 3_000_000)
    with pytest.raises(UserError, match="more than 450 MB of memory"):
        read_contained(path, "x.csv", tmp_path / "cells", memory=450 * MEGABYTE)
    with pytest.raises(UserError, match="more than 1 s of processor time"):
        read_contained(path, "x.csv", tmp_path / "cells", seconds=1)


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", b"question,answer\n" + b"some words to fill a line with,yes\n" * 300_000)
    seen: list[int] = []
    read_contained(path, "x.csv", tmp_path / "cells", watch=seen.append)
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= path.stat().st_size


def test_secrets_of_the_dashboard_do_not_reach_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    seen: dict[str, str] = {}
    real = __import__("subprocess").Popen

    def watched(*arguments: object, **options: object) -> object:
        seen.update(options["env"])  # type: ignore[call-overload]
        return real(*arguments, **options)

    monkeypatch.setattr("semievol.importing.readers.sandbox.subprocess.Popen", watched)
    read_contained(written(tmp_path, "x", rows().encode()), "x.csv", tmp_path / "cells")
    assert seen["PATH"] == os.environ["PATH"]
    assert "canary" not in seen.values()
