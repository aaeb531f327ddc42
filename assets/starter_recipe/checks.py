"""How good the starter is on label sets that its instruction stage never saw: asked, shown examples, fine-tuned.

Reads an exported folder with transformers and peft, as any user would. Figures are for steering the recipe: a few dozen
records a task, so two points either way mean nothing.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from assets.starter_recipe import episodes, pools, wordnet
from assets.starter_recipe.episodes import Block
from semievol.records import Demonstration, Record, Task
from semievol.task import prompts


@dataclass(frozen=True)
class Check:
    """A held-out task with one meaningful and one renamed label set over the same texts."""

    name: str
    block: Block
    renamed: Block


def held_out_checks(sources: Path, seed: int, labeled: int = 90, asked: int = 80) -> list[Check]:
    """Tasks from the pools that `curriculum` leaves out, always the same ones."""
    found = pools.pools(sources, wordnet.synsets(sources), seed)
    kept = sorted((p for p in found if p.held_out), key=lambda p: -sum(map(len, p.groups.values())))
    chosen = [p for p in kept if not p.name.endswith("sentence")][:5]
    return [check(pool.name, pool.about, pool.groups, labeled, asked, 6) for pool in chosen]


def check(name: str, about: str, groups: dict[str, list[str]], labeled: int, asked: int, most: int) -> Check:
    draw = random.Random(name)
    own = sorted(groups, key=lambda label: -len(groups[label]))[:most]
    pairs = list({text: label for label in own for text in groups[label]}.items())
    draw.shuffle(pairs)
    records = [Record(str(i), text, answer=label) for i, (text, label) in enumerate(pairs[: labeled + asked])]
    instruction = f"Classify the text by {about}."
    words = draw.sample(
        ["river", "candle", "orange", "silver", "monday", "tiger", "window", "garden", "copper", "violin"], len(own)
    )
    other = dict(zip(own, words, strict=True))
    plain = Block(Task("classification", tuple(own), instruction), tuple(records[asked:]), tuple(records[:asked]))
    turned = [Record(r.id, r.question, answer=other[str(r.answer)]) for r in records]
    hidden = Block(
        Task("classification", tuple(words), instruction), tuple(turned[asked:]), tuple(turned[:asked]), True
    )
    return Check(name, plain, hidden)


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, block: Block, record: Record, shown: list[Demonstration]
) -> list[int]:
    turns = [{"role": t.role, "content": t.content} for t in prompts.render(block.task, record, shown)]
    return tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)


@torch.inference_mode()
def accuracy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, block: Block, demonstrations: int) -> float:
    """Share of asked records whose most probable label (sum of log p of its tokens and the end) is the right one."""
    near = episodes.nearest(block)
    labels = [
        [*tokenizer.encode(label, add_special_tokens=False), tokenizer.eos_token_id] for label in block.task.labels
    ]
    longest = max(map(len, labels))
    ends = torch.tensor([label + [0] * (longest - len(label)) for label in labels])
    right = 0
    for row, record in enumerate(block.asked):
        places = numpy.argsort(-near[row], kind="stable")[:demonstrations]
        shown = prompts.by_similarity([Demonstration(block.labeled[p], float(near[row, p])) for p in places])
        start = torch.tensor([prompt_ids(tokenizer, block, record, shown)])
        read = model(input_ids=start, use_cache=True, logits_to_keep=1)
        read.past_key_values.batch_repeat_interleave(len(labels))
        rest = model(input_ids=ends, past_key_values=read.past_key_values).logits
        logits = torch.cat([read.logits.expand(len(labels), -1, -1), rest[:, :-1]], 1).float()
        log_p = torch.log_softmax(logits, -1).gather(2, ends[:, :, None]).squeeze(2)
        sums = [float(log_p[i, : len(label)].sum()) for i, label in enumerate(labels)]
        right += block.task.labels[int(numpy.argmax(sums))] == record.answer
    return right / len(block.asked)


def fine_tuned(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, block: Block, rate: float, epochs: int, seed: int
) -> PreTrainedModel:
    """`model` with a LoRA adapter (r 16, all linear layers) trained on the block's labeled records, answers only."""
    torch.manual_seed(seed)
    config = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM")
    tuned = get_peft_model(model, config).train()
    examples = []
    for record in block.labeled:
        start = prompt_ids(tokenizer, block, record, [])
        answer = [*tokenizer.encode(record.answer, add_special_tokens=False), tokenizer.eos_token_id]
        examples.append((start + answer, len(answer)))
    optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=rate, weight_decay=0.01)
    steps = epochs * -(-len(examples) // 8)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
    draw = random.Random(seed)
    for _ in range(epochs):
        order = draw.sample(examples, len(examples))
        for place in range(0, len(order), 8):
            batch = order[place : place + 8]
            longest = max(len(ids) for ids, _ in batch)
            ids = torch.tensor([row + [0] * (longest - len(row)) for row, _ in batch])
            labels = torch.tensor(
                [[-100] * (len(row) - n) + row[-n:] + [-100] * (longest - len(row)) for row, n in batch]
            )
            logits = tuned(input_ids=ids).logits[:, :-1].float()
            F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100).backward()
            torch.nn.utils.clip_grad_norm_(tuned.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            plan.step()
    return tuned.eval()


def bag_of_words(block: Block) -> float:
    """TF-IDF and logistic regression on the same labeled records, for orientation."""
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=500)
    )
    model.fit([r.question for r in block.labeled], [r.answer for r in block.labeled])
    return float(model.score([r.question for r in block.asked], [r.answer for r in block.asked]))


def nearest_label(block: Block) -> float:
    """How often the most similar labeled record has the right label: what copying it would score."""
    closest = episodes.nearest(block).argmax(1)
    pairs = zip(closest, block.asked, strict=True)
    return float(numpy.mean([block.labeled[place].answer == record.answer for place, record in pairs]))


def table(folder: Path, checks: list[Check], rate: float = 2e-3, epochs: int = 8) -> dict[str, dict[str, float]]:
    """Per check: zero-shot, 3 demonstrations, 3 with renamed labels, fine-tuned, fine-tuned with 3, bag of words."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = {}
    for each in checks:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        row = {
            "zero": accuracy(model, tokenizer, each.block, 0),
            "three": accuracy(model, tokenizer, each.block, 3),
            "renamed": accuracy(model, tokenizer, each.renamed, 3),
        }
        tuned = fine_tuned(model, tokenizer, each.block, rate, epochs, 0)
        row["tuned"] = accuracy(tuned, tokenizer, each.block, 0)
        row["tuned three"] = accuracy(tuned, tokenizer, each.block, 3)
        row["words"] = bag_of_words(each.block)
        row["nearest"] = nearest_label(each.block)
        rows[each.name] = row
        print(f"{each.name:32s}", *(f"{name} {value:.2f}" for name, value in row.items()), flush=True)
    print(
        f"{'mean':32s}",
        *(f"{name} {numpy.mean([r[name] for r in rows.values()]):.3f}" for name in next(iter(rows.values()))),
    )
    return rows
