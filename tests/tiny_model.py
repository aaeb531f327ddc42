"""Tiny real models with random weights, made on the spot: a Llama with a system role and a Qwen2 without one.

Weights are drawn wide (standard deviation 0.3) so that next-token distributions are far from uniform.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
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


def tokenizer(template: str = CHATML) -> PreTrainedTokenizerFast:
    """Byte-level BPE of 420 tokens, learnt from four lines."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(CORPUS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<|pad|>", eos_token="<|im_end|>")
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
