"""The house rules, read from the code itself: floors, walls, style and types."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from semievol import FLOORS

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("semievol/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "app.py"])
HEAVY = ("torch", "transformers", "peft", "faiss", "sklearn")


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def room_of(module: str) -> str | None:
    """The longest entry of the floors that `module` lies under; None outside the house."""
    parts = module.split(".")
    rooms = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((room for room in rooms if room in FLOORS), None)


def floor_of(module: str) -> int | None:
    room = room_of(module)
    return None if room is None else FLOORS[room]


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            assert node.module is not None
            # `from package import name` may name a module of the package
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_no_import_goes_up_or_across(path: Path) -> None:
    module = module_of(path)
    if module == "semievol":
        return
    mine = floor_of(module)
    assert mine is not None, f"{module} stands on no floor"
    for name in imports_of(path):
        if not name.startswith("semievol."):
            continue
        theirs = floor_of(name)
        assert theirs is not None, f"{module} imports {name}, which stands on no floor"
        assert theirs <= mine, f"{module} (floor {mine}) imports {name} (floor {theirs})"
        pure = mine <= 2  # the pure floors are one neighbourhood
        assert theirs < mine or room_of(name) == room_of(module) or pure, f"{module} imports its neighbour {name}"


def test_engines_and_store_do_not_know_each_other() -> None:
    for path in ROOT.glob("semievol/engines/**/*.py"):
        assert not any(name.startswith("semievol.store") for name in imports_of(path)), path.name


def test_no_import_cycles() -> None:
    graph = {module_of(path): imports_of(path) for path in SOURCES}
    modules = set(graph)
    edges = {
        m: {n if n in modules else n.rpartition(".")[0] for n in names} & modules - {m} for m, names in graph.items()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail, module])
        if module in done:
            return
        for target in edges[module]:
            visit(target, (*trail, module))
        done.add(module)

    for module in sorted(modules):
        visit(module, ())


def test_the_dashboard_process_loads_no_machine_learning() -> None:
    light = [module_of(p) for p in SOURCES if floor_of(module_of(p)) is not None]
    light = [
        m for m in light if m.startswith(("semievol.ui", "semievol.store", "semievol.importing", "semievol.charts"))
    ]
    light += [
        "semievol.cli",
        "semievol.export",
        "semievol.jobs.launch",
        "semievol.jobs.inference_client",
        "semievol.jobs.intake",
    ]
    program = f"import sys, importlib\nfor m in {light!r}: importlib.import_module(m)\n"
    program += f"print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=["ruff check", "ruff format", "mypy"],
)
def test_tools_find_nothing(command: list[str]) -> None:
    result = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


LISTED = [path for path in SOURCES if path.name == "__init__.py" and any(path.parent.glob("[!_]*.py"))]
"""Packages that hold modules."""


@pytest.mark.parametrize("path", LISTED, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_a_package_that_lists_its_modules_names_all_of_them(path: Path) -> None:
    named = set(re.findall(r"`([a-z_]+)", ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""))
    modules = {module.stem for module in path.parent.glob("[!_]*.py")}
    assert not named & modules or modules <= named, f"not named: {sorted(modules - named)}"
