"""Tiny real models with random weights, made on the spot: a Llama with a system role, a Qwen2 without one, others.

Weights are drawn wide (standard deviation 0.3) so that next-token distributions are far from uniform.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
)

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Refuses a system role, puts a space before the answer and closes the conversation with a second end token.
NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% else %} {{ m['content'] }}<|im_end|>{% endif %}"
    "{% endfor %}{% if not add_generation_prompt %}<|end|>{% endif %}"
)
SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>", "<|end|>"]
CORPUS = [
    "Answer with one of: water, water pipe, waste, roads, parks and gardens, housing.",
    "Answer with the letter only.\nOptions:\nA. one\nB. two\nC. three\nD. four",
    "system user assistant The street lamp in front of my house is broken since last week.",
    "Which day is the bin collected? The water pipe leaks. A tree fell on the road.",
]


def bpe(special: Sequence[str]) -> Tokenizer:
    """Byte-level BPE of 416 tokens and these special ones, learnt from four lines."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=416 + len(special), special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    words.train_from_iterator(CORPUS, trainer)
    return words


def tokenizer(template: str = CHATML) -> PreTrainedTokenizerFast:
    """Byte-level BPE of 420 tokens."""
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe(SPECIAL), pad_token="<|pad|>", eos_token="<|im_end|>")
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|end|>"]})
    fast.chat_template = template
    return fast


def make_llama(folder: Path, seed: int = 0, layers: int = 2, hidden: int = 48, context: int = 1024) -> Path:
    """A two-layer Llama with the ChatML template in `folder`."""
    words = tokenizer()
    config = LlamaConfig(**_shape(words, layers, hidden, context), num_key_value_heads=2, tie_word_embeddings=True)
    return _save(folder, LlamaForCausalLM, config, words, seed)


def make_qwen(folder: Path, seed: int = 0, layers: int = 2, hidden: int = 48, context: int = 1024) -> Path:
    """A two-layer Qwen2 whose template knows no system role."""
    words = tokenizer(NO_SYSTEM)
    config = Qwen2Config(**_shape(words, layers, hidden, context), num_key_value_heads=4, tie_word_embeddings=False)
    return _save(folder, Qwen2ForCausalLM, config, words, seed)


def make_gemma(folder: Path, seed: int = 0, layers: int = 2, hidden: int = 48, context: int = 1024) -> Path:
    """A two-layer Gemma 2: capped scores, one layer with a sliding window of 16 tokens, no sdpa."""
    words = tokenizer()
    shape = _shape(words, layers, hidden, context) | {"initializer_range": 0.15}
    config = Gemma2Config(**shape, num_key_value_heads=2, head_dim=12, query_pre_attn_scalar=12, sliding_window=16)
    return _save(folder, Gemma2ForCausalLM, config, words, seed)


def make_gpt2(folder: Path, seed: int = 0) -> Path:
    """A two-layer GPT-2, a base model: its linear layers are of its own kind, and it has no chat template."""
    words = tokenizer()
    words.chat_template = None
    ends = {"bos_token_id": None, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = GPT2Config(
        vocab_size=len(words), n_embd=48, n_layer=2, n_head=4, n_positions=1024, initializer_range=0.3, **ends
    )
    return _save(folder, GPT2LMHeadModel, config, words, seed)


def make_experts(folder: Path, family: str, seed: int = 0) -> Path:
    """A two-layer model of four experts, two of which see a token. family: mixtral, or qwen2_moe with a fifth that
    sees them all."""
    words = tokenizer()
    shape = _shape(words, layers=2, hidden=48, context=1024) | {"num_key_value_heads": 2, "num_experts_per_tok": 2}
    if family == "mixtral":
        return _save(folder, MixtralForCausalLM, MixtralConfig(**shape, num_local_experts=4), words, seed)
    shape |= {"num_experts": 4, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 40}
    return _save(folder, Qwen2MoeForCausalLM, Qwen2MoeConfig(**shape), words, seed)


def _shape(words: PreTrainedTokenizerFast, layers: int, hidden: int, context: int) -> dict:
    return {
        "vocab_size": len(words),
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": context,
        "initializer_range": 0.3,
        "pad_token_id": words.pad_token_id,
        "eos_token_id": words.eos_token_id,
        "bos_token_id": None,
    }


def _save(folder: Path, kind: type, config: object, words: PreTrainedTokenizerFast, seed: int) -> Path:
    torch.manual_seed(seed)
    kind(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
