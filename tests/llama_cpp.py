"""llama.cpp's server, to test against: `llama-cpp-python` in a virtual environment of its own, compiled once.

python -m tests.llama_cpp      builds it (about 9 minutes of one core; needs a C++ compiler)
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

VERSION = "0.3.36"
FOLDER = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "semievol" / f"llama-cpp-{VERSION}"
PYTHON = FOLDER / "bin" / "python"
_BUILT = FOLDER / "built"
MISSING = "llama.cpp is not built on this machine (python -m tests.llama_cpp; 9 minutes)"


def is_built() -> bool:
    return _BUILT.exists()


def command(model: Path, name: str, port: int) -> Sequence[str]:
    """Serves a GGUF file under this name, with log-probabilities, on one thread."""
    how = ("--n_ctx", "2048", "--n_threads", "1", "--n_gpu_layers", "0", "--logits_all", "true")
    where = ("--model", str(model), "--model_alias", name, "--port", str(port))
    return (str(PYTHON), "-m", "llama_cpp.server", *where, *how)


def main() -> None:
    if is_built():
        print(f"It is built already: {FOLDER}.")
        return
    subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
    subprocess.run([str(PYTHON), "-m", "pip", "install", f"llama-cpp-python[server]=={VERSION}"], check=True)
    _BUILT.touch()
    print(f"Built: {FOLDER}.")


if __name__ == "__main__":
    main()
