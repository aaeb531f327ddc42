"""What the dashboard's process must never do: load a machine-learning library, or let data be interpreted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "peft", "faiss", "sklearn", "accelerate", "sentence_transformers")


def test_the_dashboard_imports_nothing_that_learns() -> None:
    paths = [path for path in (ROOT / "semievol" / "ui").rglob("*.py") if path.stem != "__init__"]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    assert len(modules) > 40
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\n"
    code += f"print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_sinks_that_interpret_text_are_used_for_our_own_words_only() -> None:
    """Markdown sinks take literals or f-strings of our own numbers; `unsafe_allow_html` appears nowhere."""
    for path in [*(ROOT / "pages").glob("*.py"), *(ROOT / "semievol" / "ui").rglob("*.py"), ROOT / "app.py"]:
        source = path.read_text(encoding="utf-8")
        assert "unsafe_allow" not in source, path
        assert not re.search(r"st\.(write|markdown|table|latex)\(", source), path


def test_what_a_page_keeps_in_the_session_has_a_name_and_a_type() -> None:
    """Keys of widgets that are read elsewhere are named constants; all else is a dataclass of `session.of`."""
    for path in [*(ROOT / "pages").glob("*.py"), *(ROOT / "semievol" / "ui").rglob("*.py"), ROOT / "app.py"]:
        assert not re.search(r"session_state(\.\w+)?[\[(][\"']", path.read_text(encoding="utf-8")), path
