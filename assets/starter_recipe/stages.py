"""The command line of the starter's recipe: which stage, where the sources and the work folder are.

Knows argparse and the stages; nothing about how they work.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from semievol.errors import UserError

STAGES = ("fetch", "text", "pretrain", "instruct", "export", "check", "all")
PRETRAINING, INSTRUCTION = 350, 2300  # steps


def main(arguments: list[str] | None = None) -> int:
    """Run one stage, or all of them in order; 0 when it went well, 2 when something has to be done first."""
    parser = argparse.ArgumentParser(
        prog="python -m assets.starter_recipe", description="Train the bundled starter model."
    )
    parser.add_argument(
        "stage", choices=STAGES, help="fetch needs Debian's apt-get and pip; the others need no network"
    )
    parser.add_argument("--sources", type=Path, default=Path("starter-sources"), help="folder of the fetched packages")
    parser.add_argument("--work", type=Path, default=Path("starter-work"), help="folder for checkpoints and logs")
    parser.add_argument("--out", type=Path, default=Path("starter-model"), help="folder to export to")
    parser.add_argument("--pretraining", type=int, default=PRETRAINING, help="steps on text alone")
    parser.add_argument("--instruction", type=int, default=INSTRUCTION, help="steps on conversations and text")
    parser.add_argument("--processes", type=int, default=2, help="helper processes, one thread each")
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch loads: spinning threads slow each other down
    stages = STAGES[:-1] if chosen.stage == "all" else (chosen.stage,)
    try:
        for stage in stages:
            run(stage, chosen)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def run(stage: str, chosen: argparse.Namespace) -> None:
    # Imported here so that `--help` and `fetch` need neither torch nor a minute's patience.
    from assets.starter_recipe import card, checks, corpus, recipe

    chosen.work.mkdir(parents=True, exist_ok=True)
    if stage == "fetch":
        corpus.fetch(chosen.sources)
    elif stage == "text":
        recipe.text(chosen.sources, chosen.work)
    elif stage == "pretrain":
        recipe.pretrain(chosen.work, chosen.pretraining, chosen.processes)
    elif stage == "instruct":
        recipe.instruct(chosen.sources, chosen.work, chosen.instruction, chosen.processes)
    elif stage == "export":
        recipe.export(chosen.work, chosen.out)
    else:
        rows = checks.table(chosen.out, checks.held_out_checks(chosen.sources, recipe.SEED))
        (chosen.work / card.CHECKS).write_text(json.dumps(rows))
        recipe.export(chosen.work, chosen.out)  # again, now that the card can tell how good it is
