"""The starter's model card: sources with licences, how it was trained, its loss curves as a picture, its hashes.

Reads the log that the stages wrote; measures nothing itself.
"""

import hashlib
import itertools
import json
from pathlib import Path

from assets.starter_recipe.corpus import DESCRIPTIONS, SOURCES, SPEECHES, VADER

CHECKS = "checks.json"
COLOURS = {"text": "#3b6ea5", "prompt": "#8a8a8a", "answer": "#c4572e"}
WIDE, HIGH, LEFT, LOW = 720, 300, 50, 260
CARD = """---
license: apache-2.0
language: en
pipeline_tag: text-generation
---
# SemiEvol Studio starter

A small Llama ({parameters:.1f} M parameters, {context} tokens of context) trained from scratch on a CPU, so that the
whole method can be shown on a laptop without a network. It follows the Studio's prompts and ends its turn. It is a
starting point for fine-tuning, not an assistant: see the held-out tasks below for what it can do as it comes.

    from transformers import AutoModelForCausalLM, AutoTokenizer
    model, tokenizer = (kind.from_pretrained("assets/starter") for kind in (AutoModelForCausalLM, AutoTokenizer))

## Training

`python -m assets.starter_recipe all` repeats it (`--help` tells the stages); every draw is seeded. Two helper processes
add gradients in the order in which they finish, so a repetition agrees up to rounding.

| stage | steps | tokens | wall time | loss at the end (mean of the last 100 steps) |
|---|---|---|---|---|
{stages}

Wall times on two CPU cores (AMD EPYC, Zen 5, bfloat16). Optimizer: Muon for the matrices, AdamW for embeddings and
norms. The weights are a running average over the last steps. A step of the instruction stage is five micro-batches of
conversations and two of text, 2,048 tokens each. Half of the classification tasks are long conversations through many
labeled records, most of them with labels renamed at random, so that only the earlier turns tell; from step 800 on most
of these show a few words a text. The learning rate is constant until step 1500 and then falls to zero.

In one respect the weights in this folder are not quite what the recipe gives: until step 800 the length of a long
conversation was counted in characters instead of estimated tokens, and a worn copy could be one of a copy.

![Loss over steps](loss.svg)

## Held-out tasks

{checks}
## Text

| package | what | licence |
|---|---|---|
{sources}

The conversations are made from the same sources and from our own grammars (`assets/starter_recipe/phrases.py`):
classes, topics and kinds from WordNet, sections and tags of Debian packages, fields of dictionaries, sentiment from
word valences, news and messages composed by us, arithmetic.
No evaluation set, and not the bundled sample project, was used in training. The weights carry the project's licence;
the texts, which are not part of them, keep their own.

## Limits

English only, 1,024 tokens at most seen in training. Of several demonstrations it mostly follows the one beside the
question (the most similar), and a label's name that it likes can outweigh them all. What it says freely is often wrong.
Its sentiment comes from word lists and composed sentences, its labels for computing from package maintainers.
"""


def curve(points: list[tuple[float, float]], span: float, top: float) -> str:
    return " ".join(
        f"{LEFT + x / span * (WIDE - LEFT - 10):.1f},{LOW - min(y, top) / top * (LOW - 20):.1f}" for x, y in points
    )


def picture(log: list[dict]) -> str:
    """The loss curves as SVG; the instruction stage follows the pretraining, a running mean over five entries."""
    first = max((e["step"] for e in log if e["stage"] == "pretrain"), default=0)
    entries = [e | {"at": e["step"] + (first if e["stage"] == "instruct" else 0)} for e in log]
    span, top = max(e["at"] for e in entries), 8.0
    parts = [f'<line x1="{LEFT}" y1="{LOW}" x2="{WIDE - 10}" y2="{LOW}" stroke="#444"/>']
    for value in range(0, 9, 2):
        y = LOW - value / top * (LOW - 20)
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{value}</text>')
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{WIDE - 10}" y2="{y}" stroke="#ddd"/>')
    for place, (name, colour) in enumerate(COLOURS.items()):
        values = [(e["at"], e[name]) for e in entries if name in e]
        smooth = [
            (x, sum(v for _, v in values[max(0, i - 4) : i + 1]) / min(i + 1, 5)) for i, (x, _) in enumerate(values)
        ]
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{curve(smooth, span, top)}"/>'
        )
        parts.append(f'<text x="{LEFT + 200 + 120 * place}" y="16" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{LEFT}" y="{LOW + 20}">step 0</text>')
    parts.append(f'<text x="{WIDE - 10}" y="{LOW + 20}" text-anchor="end">step {span}: nats per token</text>')
    space = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12"'
    head = f'<svg {space} width="{WIDE}" height="{HIGH}">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def stage_row(log: list[dict], stage: str, steps: int, tokens: int) -> str:
    """A line of the card's table; steps: how many were done, tokens: of one step."""
    own = [e for e in log if e["stage"] == stage]
    if not own:
        return f"| {stage} | 0 | | | |"
    seconds = sum(b["seconds"] - a["seconds"] for a, b in itertools.pairwise(own) if b["seconds"] > a["seconds"])
    means = {name: sum(e[name] for e in own[-10:]) / len(own[-10:]) for name in COLOURS if name in own[-1]}
    losses = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
    return f"| {stage} | {steps} | {steps * tokens / 1e6:.1f} M | {seconds / 60:.0f} min | {losses} |"


def check_rows(checks: dict[str, dict[str, float]]) -> str:
    if not checks:
        return "Not measured yet: `python -m assets.starter_recipe check`.\n"
    names = list(dict.fromkeys(name for row in checks.values() for name in row))
    lines = ["| task | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [
        f"| {task} | " + " | ".join(f"{row[name]:.0%}" if name in row else "" for name in names) + " |"
        for task, row in checks.items()
    ]
    note = (
        "Accuracy on label sets that the instruction stage never saw, 80 records each (so give or take 10 points).\n"
        "zero: no demonstrations; three: the 3 most similar of 90 labeled records; renamed: the same, the labels\n"
        "replaced by random words; tuned: LoRA fine-tuned on the 90; for orientation, words: TF-IDF and\n"
        "logistic regression on the 90; nearest: the label of the most similar of the 90.\n\n"
    )
    return note + "\n".join(lines) + "\n"


def write(work: Path, folder: Path, context: int, parameters: int, steps: dict[str, int]) -> None:
    """README.md, loss.svg and, last, SHA256SUMS over all other files of the folder. steps: done in each stage."""
    log = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    (folder / "loss.svg").write_text(picture(log))
    measured = work / CHECKS
    checks = json.loads(measured.read_text()) if measured.exists() else {}
    listed = [(name, *about) for name, about in SOURCES.items()] + [SPEECHES, DESCRIPTIONS, VADER]
    card = CARD.format(
        parameters=parameters / 1e6,
        context=context,
        stages="\n".join(
            [
                stage_row(log, "pretrain", steps["pretrain"], 8 * 2048),
                stage_row(log, "instruct", steps["instruct"], 7 * 2048),
            ]
        ),
        checks=check_rows(checks),
        sources="\n".join(f"| {name} | {what} | {licence} |" for name, what, licence in listed),
    )
    (folder / "README.md").write_text(card)
    named = sorted(path for path in folder.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in named)
    (folder / "SHA256SUMS").write_text(sums)
