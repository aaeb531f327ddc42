"""Tiny models with random weights of the families on the Hugging Face hub, made on the spot.

Each has its family's architecture (`transformers` builds it from its configuration), its special tokens, and a chat
template with the shape of the published one. What a family is known for is kept: rotations that are scaled, capped
scores, sliding windows, experts, fused projections, tied embeddings, thoughts, system turns that are refused or move.
Weights are drawn wide, so that next-token distributions are far from uniform.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import processors
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from tests.tiny_model import bpe

_ALTERNATES = (
    "{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% endfor %}"
)
_SPLIT = (
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set rest = messages[1:] %}"
    "{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}"
)
LLAMA_3 = (
    "{{- bos_token }}"
    "{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system_message = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{- 'Cutting Knowledge Date: December 2023\nToday Date: ' + date_string + '\n\n' }}"
    "{{- system_message }}{{- '<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + "
    "'<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN_2_5 = (
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud.<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}"
    "{%- if m.role == 'user' or (m.role == 'system' and not loop.first) or m.role == 'assistant' %}"
    "{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
# The last turns of the assistant, those after the last question, are shown with their thoughts, if only empty ones.
_QWEN_3_TURNS = (
    "{%- if messages[0].role == 'system' %}{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}"
    "{%- endif %}"
    "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}"
    "{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}"
    "{%- if ns.multi_step_tool and message.role == 'user' %}"
    "{%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}{%- endif %}{%- endfor %}"
    "{%- for message in messages %}"
    "{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}"
    "{%- elif message.role == 'assistant' %}{%- set content = message.content %}{%- set reasoning_content = '' %}"
    "{%- if '</think>' in content %}"
    "{%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}"
    "{%- if loop.index0 > ns.last_query_index and (loop.last or reasoning_content) %}"
    "{{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + "
    "content.lstrip('\n') }}"
    "{%- else %}{{- '<|im_start|>' + message.role + '\n' + content }}{%- endif %}{{- '<|im_end|>\n' }}"
    "{%- endif %}{%- endfor %}"
)
QWEN_3 = _QWEN_3_TURNS + (
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}"
    "{%- endif %}{%- endif %}"
)
QWEN_3_THINKING = _QWEN_3_TURNS + (
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n<think>\n' }}{%- endif %}"
)
GEMMA_2 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}"
    "{% set rest = messages %}" + _ALTERNATES + "{% for m in messages %}"
    "{% if m['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = m['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
GEMMA_3 = (
    "{{ bos_token }}" + _SPLIT + _ALTERNATES + "{%- for m in rest -%}"
    "{%- if m['role'] == 'assistant' -%}{%- set role = 'model' -%}{%- else -%}{%- set role = m['role'] -%}{%- endif -%}"
    "{{ '<start_of_turn>' + role + '\n' + (system + '\n\n' if loop.first and system else '') }}"
    "{%- if m['content'] is string -%}{{ m['content'] | trim }}{%- endif -%}{{ '<end_of_turn>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{'<start_of_turn>model\n'}}{%- endif -%}"
)
MISTRAL_1 = (
    "{{ bos_token }}{% set rest = messages %}" + _ALTERNATES + "{% for m in messages %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token + ' ' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
# The system turn stands in the last user turn, but only while that is the last turn of all.
MISTRAL_3 = (
    _SPLIT + "{{ bos_token }}" + _ALTERNATES + "{% for m in rest %}{% if m['role'] == 'user' %}"
    "{% if loop.last and system %}{{ '[INST] ' + system + '\n\n' + m['content'] + '[/INST]' }}"
    "{% else %}{{ '[INST] ' + m['content'] + '[/INST]' }}{% endif %}"
    "{% else %}{{ ' ' + m['content'] | trim + eos_token }}{% endif %}{% endfor %}"
)
PHI_3 = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ '<|system|>\n' + m['content'] + '<|end|>\n' }}"
    "{% elif m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + '<|end|>\n' }}"
    "{% else %}{{ '<|assistant|>\n' + m['content'] + '<|end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
PHI_4_MINI = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
)
PHI_4 = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '<|im_sep|>' + m['content'] + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)
SMOLLM_2 = (
    "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SMOLLM_3 = (
    "{%- if enable_thinking is not defined %}{%- set enable_thinking = true %}{%- endif %}"
    "{%- set mode = '/think' if enable_thinking else '/no_think' %}"
    "{{- '<|im_start|>system\n## Metadata\n\nToday Date: ' + strftime_now('%d %B %Y') + '\nReasoning Mode: ' + mode }}"
    "{{- '\n\n## Custom Instructions\n\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content }}"
    "{%- endif %}"
    "{{- '<|im_end|>\n' }}{%- for m in messages %}{%- if m.role == 'user' %}"
    "{{- '<|im_start|>user\n' + m.content + '<|im_end|>\n' }}"
    "{%- elif m.role == 'assistant' %}{%- if mode == '/think' %}"
    "{{- '<|im_start|>assistant\n' + m.content + '<|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>assistant\n<think>\n\n</think>\n' + m.content + '<|im_end|>\n' }}{%- endif %}"
    "{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{%- if mode == '/think' %}{{- '<|im_start|>assistant\n' }}"
    "{%- else %}{{- '<|im_start|>assistant\n<think>\n\n</think>\n' }}{%- endif %}{%- endif %}"
)
OLMO = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ '<|system|>\n' + m['content'] + '\n' }}"
    "{% elif m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + '\n' }}"
    "{% elif not loop.last %}{{ '<|assistant|>\n' + m['content'] + eos_token + '\n' }}"
    "{% else %}{{ '<|assistant|>\n' + m['content'] + eos_token }}{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}"
)
HARMONY = (
    "{{- '<|start|>system<|message|>Reasoning: medium\n\n# Valid channels: analysis, commentary, final.<|end|>' }}"
    "{%- if messages[0].role == 'system' %}{%- set rest = messages[1:] %}"
    "{{- '<|start|>developer<|message|># Instructions\n\n' + messages[0].content + '<|end|>' }}"
    "{%- else %}{%- set rest = messages %}{%- endif %}{%- for m in rest %}{%- if m.role == 'user' %}"
    "{{- '<|start|>user<|message|>' + m.content + '<|end|>' }}"
    "{%- elif loop.last and not add_generation_prompt %}"
    "{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|return|>' }}"
    "{%- else %}{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start|>assistant' }}{%- endif %}"
)
GRANITE = (
    "{%- if messages[0]['role'] != 'system' %}"
    "{{- '<|start_of_role|>system<|end_of_role|>Today\\'s Date: ' + strftime_now('%B %d, %Y') + '.<|end_of_text|>\n' }}"
    "{%- endif %}{%- for m in messages %}"
    "{{- '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + m['content'] + '<|end_of_text|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}"
)

_IM = ("<|im_start|>", "<|im_end|>")
_LLAMA_MARKS = (
    *("<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    *("<|eom_id|>", "<|eot_id|>", "<|python_tag|>"),
    *(f"<|reserved_special_token_{i}|>" for i in range(248)),
)
_ROPE_3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0}
_ROPE_3 |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 64}
_LONG_ROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}


@dataclass(frozen=True)
class ModelFamily:
    """How a tiny model of a family is made.

    kind, settings: `model_type`, and what differs from the common small shape. marks: special tokens. template: "" for
    a base model. end, begin: end token, and the token that the tokenizer puts before every text. stops: further ends
    in generation_config.json. system: whether the template can show a system turn. packs: whether rows are packed.
    shard: size of a file of the weights.
    """

    kind: str
    template: str
    marks: Sequence[str]
    end: str
    begin: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    stops: Sequence[str] = ()
    system: bool = True
    packs: bool = True
    shard: str = "5GB"


def _chatml(kind: str, template: str, **more: Any) -> ModelFamily:
    marks = ("<|endoftext|>", *_IM)
    settings = more.pop("settings", {})
    return ModelFamily(kind, template, marks, "<|im_end|>", settings=settings, stops=("<|endoftext|>",), **more)


def _gemma(kind: str, template: str, settings: Mapping[str, Any], **more: Any) -> ModelFamily:
    marks = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")
    own = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 16, "initializer_range": 0.15}
    return ModelFamily(
        kind, template, marks, "<eos>", "<bos>", own | dict(settings), stops=("<end_of_turn>",), packs=False, **more
    )


def _mistral(template: str, settings: Mapping[str, Any] | None = None, **more: Any) -> ModelFamily:
    marks = ("<unk>", "<s>", "</s>", "[INST]", "[/INST]")
    own = {"sliding_window": None} | dict(settings or {})
    return ModelFamily("mistral", template, marks, "</s>", "<s>", own, **more)


_PHI_MARKS = ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
FAMILIES = {
    "Llama 3.1": ModelFamily(
        "llama", LLAMA_3, _LLAMA_MARKS, "<|eot_id|>", "<|begin_of_text|>", {"rope_parameters": _ROPE_3},
        stops=("<|end_of_text|>", "<|eom_id|>"),
    ),
    "Llama 3.2, tied": ModelFamily(
        "llama", LLAMA_3, _LLAMA_MARKS, "<|eot_id|>", "<|begin_of_text|>",
        {"rope_parameters": _ROPE_3 | {"factor": 32.0}, "tie_word_embeddings": True},
    ),
    "Llama 3.1 in shards": ModelFamily(
        "llama", LLAMA_3, _LLAMA_MARKS, "<|eot_id|>", "<|begin_of_text|>", {"rope_parameters": _ROPE_3}, shard="40KB"
    ),
    "Qwen 2.5": _chatml(
        "qwen2", QWEN_2_5, settings={"use_sliding_window": False, "sliding_window": 8, "tie_word_embeddings": True}
    ),
    "Qwen 2 with windows": _chatml(
        "qwen2", QWEN_2_5, packs=False,
        settings={"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    ),
    "Qwen 3": _chatml("qwen3", QWEN_3, settings={"head_dim": 8}),
    "Qwen 3 thinking": _chatml("qwen3", QWEN_3_THINKING, settings={"head_dim": 8}),
    "Gemma 2": _gemma("gemma2", GEMMA_2, {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 8.0}, system=False),
    "Gemma 3": _gemma("gemma3_text", GEMMA_3, {"layer_types": ["sliding_attention", "full_attention"]}),
    "Mistral 0.1, sliding window": _mistral(MISTRAL_1, {"sliding_window": 12}, system=False, packs=False),
    "Mistral 0.2": _mistral(MISTRAL_1, system=False),
    "Mistral 0.3": _mistral(MISTRAL_3, system=False),
    "Phi 3": ModelFamily(
        "phi3", PHI_3, _PHI_MARKS, "<|endoftext|>", settings={"sliding_window": None}, stops=("<|end|>",)
    ),
    "Phi 3, 128k": ModelFamily(
        "phi3", PHI_3, _PHI_MARKS, "<|endoftext|>",
        settings={"rope_parameters": _LONG_ROPE, "original_max_position_embeddings": 64}, stops=("<|end|>",),
        packs=False,
    ),
    "Phi 4": ModelFamily(
        "phi3", PHI_4, ("<|endoftext|>", *_IM, "<|im_sep|>"), "<|im_end|>", settings={"sliding_window": None}
    ),
    "Phi 4 mini": ModelFamily(
        "phi3", PHI_4_MINI, _PHI_MARKS, "<|endoftext|>",
        settings={"tie_word_embeddings": True, "partial_rotary_factor": 0.75, "sliding_window": None},
        stops=("<|end|>",),
    ),
    "Phi 2": ModelFamily("phi", "", ("<|endoftext|>",), "<|endoftext|>", "", {"partial_rotary_factor": 0.5}),
    "SmolLM 2": _chatml("llama", SMOLLM_2, settings={"tie_word_embeddings": True}),
    "SmolLM 3": _chatml("smollm3", SMOLLM_3, settings={"tie_word_embeddings": True, "no_rope_layers": [1, 0]}),
    "GPT-2": ModelFamily("gpt2", "", ("<|endoftext|>",), "<|endoftext|>"),
    "Mixtral": ModelFamily(
        "mixtral", MISTRAL_1, ("<unk>", "<s>", "</s>"), "</s>", "<s>",
        {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}, system=False,
    ),
    "Qwen 2 with experts": _chatml("qwen2_moe", QWEN_2_5, settings=_EXPERTS | {"shared_expert_intermediate_size": 40}),
    "Qwen 3 with experts": _chatml("qwen3_moe", QWEN_3, settings=_EXPERTS | {"head_dim": 8, "norm_topk_prob": True}),
    "OLMoE": ModelFamily(
        "olmoe", OLMO, ("<|endoftext|>", "<|padding|>"), "<|endoftext|>",
        settings={"num_experts": 4, "num_experts_per_tok": 2},
    ),
    "OLMo 2": ModelFamily("olmo2", OLMO, ("<|endoftext|>",), "<|endoftext|>"),
    "Granite 3": ModelFamily(
        "granite", GRANITE, ("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"), "<|end_of_text|>",
        settings={"logits_scaling": 2.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5,
                  "embedding_multiplier": 3.0},
    ),
    "gpt-oss": ModelFamily(
        "gpt_oss", HARMONY, ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>"), "<|return|>",
        settings={"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 12, "head_dim": 8,
                  "layer_types": ["sliding_attention", "full_attention"],
                  "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        stops=("<|end|>",), packs=False,
    ),
    "Falcon H1": _chatml(
        "falcon_h1", CHATML, packs=False,
        settings={"mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1},
    ),
    "GLM 4.5": _chatml(
        "glm4_moe", CHATML,
        settings={"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "head_dim": 8,
                  "first_k_dense_replace": 1},
    ),
    "Phi 3.5 with experts": ModelFamily(
        "phimoe", PHI_3, _PHI_MARKS, "<|endoftext|>", settings={"num_local_experts": 4}, stops=("<|end|>",)
    ),
    "Llama 4, text": ModelFamily(
        "llama4_text", LLAMA_3, _LLAMA_MARKS, "<|eot_id|>", "<|begin_of_text|>",
        {"num_local_experts": 4, "head_dim": 8, "intermediate_size_mlp": 48, "attention_chunk_size": 64}, packs=False,
    ),
    "Mamba 2": _chatml(
        "mamba2", "", packs=False, settings={"head_dim": 8, "num_heads": 8, "n_groups": 2, "state_size": 8, "expand": 2}
    ),
    "Gemma 3 with pictures": _gemma(
        "gemma3", GEMMA_3,
        {"text_config": {"layer_types": ["sliding_attention", "full_attention"]},
         "vision_config": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                           "image_size": 28, "patch_size": 14},
         "mm_tokens_per_image": 4},
    ),
}  # fmt: skip


def tokenizer(family: ModelFamily) -> PreTrainedTokenizerFast:
    """Byte-level BPE with the family's special tokens; it puts the opening token before every text, as theirs do."""
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe(family.marks), eos_token=family.end)
    if family.begin:
        fast.bos_token = family.begin
        opening = processors.TemplateProcessing(
            single=f"{family.begin} $A", special_tokens=[(family.begin, fast.convert_tokens_to_ids(family.begin))]
        )
        fast.backend_tokenizer.post_processor = opening
    if pad := next((mark for mark in family.marks if "pad" in mark), ""):
        fast.pad_token = pad
    fast.add_special_tokens({"additional_special_tokens": list(family.marks)})
    fast.chat_template = family.template or None
    return fast


def make(folder: Path, name: str, seed: int = 0) -> Path:
    """A two-layer model of the family in `folder`, in the layout of the hub."""
    family = FAMILIES[name]
    words = tokenizer(family)
    shape = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    if family.kind == "gpt2":
        shape |= {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, "tie_word_embeddings": True}
        shape = {key: value for key, value in shape.items() if not key.startswith(("hidden", "num_", "inter", "max_"))}
    if family.kind.startswith("gemma"):
        shape["tie_word_embeddings"] = True
    shape |= dict(family.settings)
    if "text_config" in shape:
        text = {key: value for key, value in shape.items() if key not in ("vision_config", "mm_tokens_per_image")}
        text |= text.pop("text_config")
        shape = dict(family.settings) | {"text_config": text, "tie_word_embeddings": True}
    config = AutoConfig.for_model(family.kind, **shape)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder, max_shard_size=family.shard)
    words.save_pretrained(folder)
    ends = words.convert_tokens_to_ids([family.end, *family.stops])
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}), encoding="utf-8")
    return folder


SLOW = ("Mamba 2", "Falcon H1")
"""Families that take seconds, as their states are computed token by token here."""
