"""The model card of an exported model: README.md with the header that the Hugging Face hub reads.

Says what the model is for, how it is asked, how it was trained, on how many examples of which origin, and what it
achieved. Text from data stands in code blocks, where it is neither Markdown nor HTML; no path of this machine is named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from semievol import wording
from semievol.config import Config
from semievol.export import tables
from semievol.export.caveats import caveats
from semievol.installed import MODELS, STARTER
from semievol.method.conclusions import beside_simple_models, outcome, paired
from semievol.records import Record, Task
from semievol.store.data import projects, versions
from semievol.store.data.records import load_records
from semievol.store.database import Store
from semievol.store.results import outcomes
from semievol.store.runs import rounds, runs
from semievol.store.runs.rounds import Round
from semievol.task.prompts import render

NAME = "README.md"
_SETTINGS: tuple[str, ...] = (
    "method",
    "learning_rate",
    "epochs",
    "minimum_steps",
    "batch_size",
    "schedule",
    "warmup_ratio",
)
_SETTINGS += ("weight_decay", "max_grad_norm", "neftune_noise_alpha")


def base_name(model: str) -> str:
    """A base model by the name under which others find it; of a folder only its own name."""
    return MODELS[model].hub if model in MODELS else Path(model).name if Path(model).is_absolute() else model


def page(
    store: Store,
    project: projects.Project,
    round_: Round,
    run: runs.Run | None,
    words: str,
    kind: str,
    licence: str | None,
    script: bool,
) -> str:
    """The card. run: that fine-tuned the model, None for a warm-up. words: which model it is, in a sentence.

    kind: "adapter", "full" (all weights were trained) or "merged". licence: of the base. script: whether `answer.py`
    is beside it.
    """
    task = versions.task_of(store, round_.version_id)
    parts = [
        _header(round_.config.model, kind, licence),
        f"# Model of the project {_inline(project.name)}\n\n{words} Made with SemiEvol Studio.",
        _base(round_.config.model, kind, licence),
        _task(task, round_.config),
        _use(round_.config.model, kind, script),
        _training(store, project, round_, run, kind),
        _results(store, round_, run),
        "`MANIFEST.json` holds the SHA-256 of every file."
        + (
            " `base.json` holds the fingerprint of the base; in the Studio it fits no other."
            if kind != "merged"
            else ""
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _header(model: str, kind: str, licence: str | None) -> str:
    about: dict[str, Any] = {} if model == STARTER else {"base_model": base_name(model)}
    if about:
        about["base_model_relation"] = "adapter" if kind == "adapter" else "finetune"
    if licence:
        plain = licence.lower()
        about |= {"license": plain} if re.fullmatch(r"[a-z0-9.\-]+", plain) else {"license": "other"}
    about |= {"library_name": "peft" if kind == "adapter" else "transformers", "pipeline_tag": "text-generation"}
    about["tags"] = ["semievol", "semi-supervised", "pseudo-labeling", *([] if kind == "full" else ["lora"])]
    return f"---\n{yaml.safe_dump(about, sort_keys=False, allow_unicode=True)}---"


def _base(model: str, kind: str, licence: str | None) -> str:
    what = {
        "adapter": f"A LoRA adapter for `{_plain(base_name(model))}`.",
        "full": f"All weights of `{_plain(base_name(model))}`, trained further: a complete model.",
        "merged": f"A LoRA adapter merged into `{_plain(base_name(model))}`: a complete model in float32.",
    }[kind]
    stated = f"The licence of the base is {_plain(licence)}" if licence else "The base's files state no licence"
    lines = [f"{what} {stated}; it also holds for what is made from it."]
    if model in MODELS:
        lines.append(
            "The base's weights came from the Studio's package, which holds them in 4 bits. The hub's own weights are "
            "close to them, not the same, so an adapter answers slightly otherwise on those. A merged model needs none."
        )
    if model == STARTER:
        lines.append("The base is the Studio's tiny bundled model, in the folder `assets/starter` of its repository.")
    return "\n".join(lines)


def _task(task: Task, config: Config) -> str:
    shown = Record("r", "{question}", ("{option}", "{option}") if task.kind == "multiple_choice" else ())
    turns = render(task, shown, rule_first=config.rule_first)
    prompt = "\n\n".join(f"[{turn.role}]\n{turn.content}" for turn in turns)
    how = "The likeliest of the allowed answers is taken." if task.closed else "The answer is generated greedily."
    labels = f"Labels:\n\n{_block(chr(10).join(task.labels))}\n\n" if task.labels else ""
    kind = task.kind.replace("_", " ")
    return f"## Task\n\nA {kind} task.\n\n{labels}Prompt, in the model's chat template. {how}\n\n{_block(prompt)}"


def _use(model: str, kind: str, script: bool) -> str:
    folder = '"path/to/this/folder"'
    if kind == "adapter":
        imports = "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM"
        lines = [f'base = AutoModelForCausalLM.from_pretrained("{_plain(base_name(model))}", dtype="float32")']
        lines.append(f"model = PeftModel.from_pretrained(base, {folder})")
    else:
        imports = "from transformers import AutoModelForCausalLM"
        lines = [f'model = AutoModelForCausalLM.from_pretrained({folder}, dtype="float32")']
    says = "`answer.py` answers a question as the Studio does, without demonstrations"
    from_base = "; BASE_MODEL names the base's folder" if kind == "adapter" else ""
    told = f"\n\n{says}{from_base}:\n\n{_block('python answer.py QUESTION [OPTION ...]', 'bash')}" if script else ""
    return f"## Use\n\n{_block(chr(10).join([imports, '', *lines]), 'python')}{told}"


def _training(store: Store, project: projects.Project, round_: Round, run: runs.Run | None, kind: str) -> str:
    settings = round_.config.propagation.warm_up if run is None else run.config.tune
    origins: Counter[str] = Counter()
    if run is not None and run.selection_used is not None:
        origins.update(example.origin for _, example in tables.pairs(store, project, round_, run.selection_used))
    else:
        held = rounds.held(store, round_.id)
        labeled = load_records(store, round_.version_id, "labeled")
        origins["gold"] = sum(record.content_hash not in held for record in labeled)
    counts = [("Gold (labeled records)", origins["gold"]), ("Pseudo-labels kept by the policy", origins["pseudo"])]
    counts.append(("Answers given or confirmed by experts", origins["expert"]))
    values = settings.model_dump(mode="json")
    chosen = [(name, values[name]) for name in _SETTINGS]
    if kind != "full":
        chosen += [(f"lora.{name}", value) for name, value in values["lora"].items()]
    chosen.append(("seed", round_.config.seed))
    return (
        f"## Training\n\nPreset {_inline(round_.config.preset)}; the loss is on the answers alone.\n\n"
        f"{_table(('Examples', 'Count'), [(name, f'{count:,}') for name, count in counts])}\n\n"
        f"{_table(('Setting', 'Value'), chosen)}"
    )


def _results(store: Store, round_: Round, run: runs.Run | None) -> str:
    mine = [run] if run else [one for one in runs.list_runs(store, round_.project_id) if one.round_id == round_.id]
    judged = next((one for one in mine if outcomes.evaluation(store, one.id)), None)
    found = outcomes.evaluation(store, judged.id) if judged else None
    if judged is None or found is None:
        return "## Evaluation\n\nThe model was not evaluated."
    later_round = round_.parent_id is not None
    rows = []
    for name, word in wording.row_words(later_round).items():
        if one := found.get(name):
            interval = f"{wording.percent(one['low'])} to {wording.percent(one['high'])}"
            f1 = f"{one['macro_f1']:.3f}" if "macro_f1" in one else ""
            rows.append((word, wording.percent(one["accuracy"]), interval, f1))
    sentences = [
        outcome(found, later_round),
        *beside_simple_models(found),
        paired(found, later_round),
        *caveats(store, round_, judged, found),
    ]
    return (
        f"## Evaluation\n\nOn {wording.plural(found['n'], 'test record')} that no model was trained on.\n\n"
        f"{_table(('Model', 'Accuracy', '95 % interval', 'Macro-F1'), rows)}\n\n"
        + "\n\n".join(sentence for sentence in sentences if sentence)
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)


def _block(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _inline(text: str) -> str:
    return f"`{_plain(text)}`"


def _plain(text: str) -> str:
    """Text for inline code: on one line, without what would end it."""
    return " ".join(text.replace("`", "'").split())
