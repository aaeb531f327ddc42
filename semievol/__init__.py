"""SemiEvol Studio: semi-supervised fine-tuning of language models with a person in the loop.

Floors, lowest first. A file imports from its own package or from lower floors. On the floors 0 to 2 it also imports
from other packages of its own floor. `tests/test_house.py` checks every import.
"""

FLOORS: dict[str, int] = {
    "semievol.errors": 0,
    "semievol.installed": 0,
    "semievol.endpoints": 0,
    "semievol.durable": 0,
    "semievol.tuning": 0,
    "semievol.config": 0,
    "semievol.presets": 0,
    "semievol.overlay": 0,
    "semievol.records": 0,
    "semievol.palette": 0,
    "semievol.glossary": 0,
    "semievol.progress": 0,
    "semievol.terminal": 0,
    "semievol.wording": 0,
    "semievol.charts": 1,
    "semievol.board_figure": 1,
    "semievol.map_figure": 1,
    "semievol.task": 1,
    "semievol.importing": 1,
    "semievol.annotation": 1,
    "semievol.selection": 1,
    "semievol.evidence": 1,
    "semievol.method.confidence": 1,
    "semievol.method.metrics": 1,
    "semievol.method.weights": 1,
    "semievol.method": 2,
    "semievol.engines": 3,
    "semievol.study": 3,
    "semievol.store": 4,
    "semievol.export": 5,
    "semievol.jobs": 6,
    "semievol.ui": 7,
    "semievol.cli": 7,
    "semievol.__main__": 8,
    "app": 8,
    "pages": 8,
}
"""Module or package -> floor. Engines (3) and store (4) do not know each other."""
