"""What a command prints is text: data in it does not steer the terminal."""

from __future__ import annotations

import pytest

from semievol import terminal


def test_control_characters_of_data_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal.write_result("labels: \x1b]0;owned\x07, b\x9b2J\n\tcafé 😀", 0) == 0
    assert capsys.readouterr().out == "labels: \\u001b]0;owned\\u0007, b\\u009b2J\n\tcafé 😀\n"
