"""Whatever is written to a sealed archive can be read from it again."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest

from semievol.export.sealed import Sealed, Sealing


def _round_trip(path: Path, members: dict[str, list[bytes]]) -> dict[str, zipfile.ZipInfo]:
    with Sealing(path) as sealing:
        for name, pieces in members.items():
            with sealing.member(name) as put:
                for piece in pieces:
                    put(piece)
        sealing.close({"kind": "test"})
    with Sealed(path, path.name) as sealed:
        sealed.check(lambda done, total: None)
        assert {name: b"".join(sealed.pieces(name)) for name in sealed.members} == {
            name: b"".join(pieces) for name, pieces in members.items()
        }
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        return {info.filename: info for info in opened.infolist()}


def test_what_shrinks_like_a_zip_bomb_is_stored_as_it_is(tmp_path: Path) -> None:
    """A spreadsheet saved with a million empty rows: no reader can tell its compressed form from an attack."""
    empty_rows = [b"text,team\n", *([b"," * 16 + b"\n"] * 1_100_000)]
    before, after = random.Random(0).randbytes(70_000), random.Random(1).randbytes(70_000)
    found = _round_trip(tmp_path / "a.zip", {"before": [before], "empty": empty_rows, "after": [after], "last": [b"x"]})
    assert found["empty"].compress_type == zipfile.ZIP_STORED
    assert found["before"].compress_type == found["after"].compress_type == zipfile.ZIP_DEFLATED


@pytest.mark.parametrize("size", [0, 1, 29_999, 30_001, 2**20, 2**20 + 1, 3 * 2**20])
def test_many_members_that_shrink_well_are_no_bomb_together(tmp_path: Path, size: int) -> None:
    _round_trip(tmp_path / "a.zip", {f"m/{number}": [b"\0" * size] for number in range(2_500 if size < 2**20 else 40)})
