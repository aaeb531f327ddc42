"""SemiEvol Studio: semi-supervised fine-tuning of language models with a person in the loop.

Floors, lowest first. A file imports from its own package or from lower floors; `tests/test_house.py` reads the
imports and holds every file to this table.
"""

FLOORS: dict[str, int] = {
    "semievol.errors": 0,
    "semievol.config": 0,
    "semievol.records": 0,
    "semievol.data": 1,
    "semievol.palette": 0,
    "semievol.terminal": 0,
    "semievol.charts": 1,
    "semievol.method.tasks": 1,
    "semievol.method.prompts": 1,
    "semievol.method.confidence": 1,
    "semievol.method.hypergeometric": 1,
    "semievol.method.precision": 1,
    "semievol.method.risk": 1,
    "semievol.method.cutting": 1,
    "semievol.method.selection": 1,
    "semievol.method.metrics": 1,
    "semievol.method.shift": 1,
    "semievol.method.similar": 1,
    "semievol.method.agreement": 1,
    "semievol.method.reviewing": 1,
    "semievol.method.evidence": 1,
    "semievol.method.protocols": 2,
    "semievol.method.questions": 2,
    "semievol.method.lessons": 2,
    "semievol.method.judging": 2,
    "semievol.method.crossfit": 2,
    "semievol.method.evolve": 2,
    "semievol.engines": 3,
    "semievol.store": 4,
    "semievol.export": 5,
    "semievol.jobs": 6,
    "semievol.ui": 7,
    "semievol.cli": 7,
    "semievol.starter": 7,
    "semievol.__main__": 8,
    "app": 8,
    "pages": 8,
}
"""Module or package -> floor. Engines (3) and store (4) do not know each other."""
