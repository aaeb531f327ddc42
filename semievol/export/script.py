"""`answer.py`: a script beside an exported model that asks it as the Studio does, with transformers (and peft) alone.

A closed task's allowed answers are scored, as in `engines.inference.scoring`, one at a time; any other answer is
generated greedily. The prompt is that of `task.prompts.render` without demonstrations.
"""

from __future__ import annotations

import re

from semievol.engines.models.prompts import Asking
from semievol.engines.models.template import SETTINGS
from semievol.records import Task
from semievol.task.prompts import CONTROL, answer_rule, neutralise

NAME = "answer.py"
_HEAD = '''"""Answers one question as SemiEvol Studio does: python answer.py QUESTION [OPTION ...]{needs}"""

import os
import re
import sys

import torch
{imports}from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
{constants}
tokenizer = AutoTokenizer.from_pretrained(HERE)
model = AutoModelForCausalLM.from_pretrained({base}, dtype="float32")
{adapter}

def clean(text):  # no text of a question is read as a control token
    return CONTROL.sub(lambda found: found[0][0] + " " + found[0][1:], text)


def turns(question, options):
    lines = [clean(question)] + ["Options:"] * bool(options)
    lines += [f"{{chr(65 + i)}}. {{' '.join(clean(option).split())}}" for i, option in enumerate(options)]
    asked = FIRST + "\\n".join(lines + RULE)
    return SYSTEM + [{{"role": "user", "content": asked}}]


def answered(turns, answer):
    turns = turns + [{{"role": "assistant", "content": answer}}]
    return tokenizer.apply_chat_template(turns, tokenize=False, **SETTINGS)


'''
_SCORED = '''@torch.no_grad()
def answer(question, options=()):
    """The likeliest allowed answer, and the probability of each."""
    asked, rows = turns(question, options), []
    start = answered(asked, "zebraquagga").rfind("zebraquagga")
    allowed = LABELS or [chr(65 + i) for i in range(len(options))]
    for text in allowed:
        whole = answered(asked, clean(text))
        end = whole.index(END, start + len(clean(text))) + {counted}
        rows.append(tokenizer(whole[:end], add_special_tokens=False).input_ids)
    shared, scores = len(os.path.commonprefix(rows)), []
    for ids in rows:
        logp = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        scores.append(sum(float(logp[i - 1, ids[i]]) for i in range(shared, len(ids))))
    likely = dict(zip(allowed, torch.tensor(scores, dtype=torch.float64).softmax(0).tolist()))
    return max(likely, key=likely.get), likely


if __name__ == "__main__":
    best, likely = answer(sys.argv[1], sys.argv[2:])
    print(f"{best} ({likely[best]:.1%})")
'''
_GENERATED = '''def answer(question, options=()):
    """The likeliest words, one after the other; in a numeric task the number is still to be read out of them."""
    asked = turns(question, options)
    whole = answered(asked, "zebraquagga")
    prompt = whole[: whole.rfind("zebraquagga")]{trimmed}
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    made = model.generate(**ids, do_sample=False, repetition_penalty=1.0, max_new_tokens=LONGEST, eos_token_id=STOPS,
                          pad_token_id=STOPS[0])
    return tokenizer.decode(made[0, ids.input_ids.shape[1] :], skip_special_tokens=True).strip()


if __name__ == "__main__":
    print(answer(sys.argv[1], sys.argv[2:]))
'''


def text(task: Task, asking: Asking, rule_first: bool, longest: int, base: str | None) -> str:
    """The script. longest: most tokens of a generated answer. base: of an adapter, what transformers loads under it,
    which the environment variable BASE_MODEL replaces; None where the folder holds a whole model."""
    rule = neutralise(answer_rule(task), asking.control_tokens)
    opening = "\n".join(
        part for part in (neutralise(task.instruction, asking.control_tokens), rule if rule_first else "") if part
    )
    alternatives = [re.escape(token) for token in asking.control_tokens if len(token) > 1 and not token.isspace()]
    constants: dict[str, object] = {
        "SYSTEM": [{"role": "system", "content": opening}] if opening and not asking.folds_system else [],
        "FIRST": f"{opening}\n\n" if opening and asking.folds_system else "",
        "RULE": [rule] if rule and not rule_first else [],
        "SETTINGS": SETTINGS,
    }
    constants |= (
        {"LABELS": list(task.labels), "END": asking.end}
        if task.closed
        else {"STOPS": list(asking.stops), "LONGEST": longest}
    )
    lines = [f"{name} = {value!r}" for name, value in constants.items()]
    lines.append(f"CONTROL = re.compile({'|'.join([CONTROL.pattern, *alternatives])!r})")
    if base is not None:
        lines.insert(0, f'BASE = os.environ.get("BASE_MODEL", {base!r})  # a folder, or a hub id')
    head = _HEAD.format(
        needs="" if base is None else "\n\nThe base model is found by the variable BASE_MODEL or the name below.\n",
        imports="" if base is None else "from peft import PeftModel\n",
        constants="\n".join(lines),
        base="HERE" if base is None else "BASE",
        adapter="model.eval()\n" if base is None else "model = PeftModel.from_pretrained(model, HERE).eval()\n",
    )
    if task.closed:
        return head + _SCORED.replace(" + {counted}", " + len(END)" if asking.scored_with_end else "")
    trimmed = '.rstrip(" ")' if asking.lead is None else f".removesuffix({asking.lead!r})" if asking.lead else ""
    return head + _GENERATED.replace("{trimmed}", trimmed)
