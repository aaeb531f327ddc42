"""Chat templates written in the style of the published families: their marks, their blanks, their peculiarities."""

from __future__ import annotations

_RAISE_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
_LOOP, _END = "{% for m in messages %}", "{% endfor %}"


def _role(name: str, text: str) -> str:
    return "{% if m['role'] == '" + name + "' %}{{ " + text + " }}{% endif %}"


def _opened(text: str) -> str:
    return "{% if add_generation_prompt %}{{ " + text + " }}{% endif %}"


def _marked(system: str, user: str, assistant: str, opening: str, begin: str = "") -> str:
    """Every turn between marks of its role."""
    turns = _role("system", system) + _role("user", user) + _role("assistant", assistant)
    return begin + _LOOP + turns + _END + _opened(opening)


def _mistral(inside: str, after: str, end: str) -> str:
    """[INST] in all its spellings; the system turn is not known."""
    turns = _role("user", f"'[INST]{inside}' + m['content'] + '{inside}[/INST]'")
    return (
        "{{ bos_token }}"
        + _RAISE_SYSTEM
        + _LOOP
        + turns
        + _role("assistant", f"'{after}' + m['content'] + {end}")
        + _END
    )


CHATML = (
    _LOOP
    + "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    + _END
    + _opened("'<|im_start|>assistant\n'")
)
CHATML_WITH_A_SYSTEM_TURN_OF_ITS_OWN = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}"
    + CHATML
)
LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    "{% set system = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
    "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}"
    "{% for m in rest %}{% if loop.first %}{% set text = system + m['content'] %}"
    "{% else %}{% set text = m['content'] %}{% endif %}"
    + _role("user", "bos_token + '[INST] ' + text + ' [/INST]'")
    + _role("assistant", "' ' + text + ' ' + eos_token")
    + _END
)
LLAMA_3 = (
    "{{ bos_token }}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '\n\n' }}"
    "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] | trim }}{% endif %}{{ '<|eot_id|>' }}"
    "{% for m in messages %}{% if m['role'] != 'system' %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}"
    "{% endif %}{% endfor %}" + _opened("'<|start_header_id|>assistant<|end_header_id|>\n\n'")
)
# The system turn stands in the last user turn, but only while that is the last turn of all.
MISTRAL_3 = (
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set rest = messages[1:] %}"
    "{% else %}{% set rest = messages %}{% endif %}{{ bos_token }}"
    "{% for m in rest %}{% if m['role'] == 'user' %}{% if loop.last and system is defined %}"
    "{{ '[INST] ' + system + '\n\n' + m['content'] + '[/INST]' }}"
    "{% else %}{{ '[INST] ' + m['content'] + '[/INST]' }}{% endif %}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
MISTRAL_TEKKEN_7 = _marked(
    "'[SYSTEM_PROMPT]' + m['content'] + '[/SYSTEM_PROMPT]'",
    "'[INST]' + m['content'] + '[/INST]'",
    "m['content'] + eos_token",
    "''",
    "{{ bos_token }}",
)
GEMMA = (
    "{{ bos_token }}" + _RAISE_SYSTEM + _LOOP + "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}"
    + _END
    + _opened("'<start_of_turn>model\n'")
)
QWEN_3 = (
    "{% for m in messages %}{% if m['role'] == 'assistant' and loop.last %}"
    "{{ '<|im_start|>assistant\n<think>\n\n</think>\n\n' + m['content'] + '<|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
# Always thinks, and has no switch for it.
QWEN_3_THINKING = QWEN_3.replace(
    "{% if enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}", "{{ '<think>\n' }}"
)
DEEPSEEK_R1 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}{% endif %}"
    + _LOOP
    + _role("user", "'<｜User｜>' + m['content']")
    + _role("assistant", "'<｜Assistant｜>' + m['content'].split('</think>')[-1] + '<｜end▁of▁sentence｜>'")
    + _END
    + _opened("'<｜Assistant｜><think>\n'")
)
PHI_3 = (
    _LOOP
    + "{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}"
    + _END
    + "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
ZEPHYR = (
    _LOOP + "{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token + '\n' }}" + _END + _opened("'<|assistant|>\n'")
)
ZEPHYR_WITHOUT_THE_LINE = ZEPHYR.replace("'<|assistant|>\n'", "'<|assistant|>'")
VICUNA = _marked(
    "m['content'] + ' '", "'USER: ' + m['content']", "' ASSISTANT: ' + m['content'] + eos_token", "' ASSISTANT:'"
)
ALPACA = _marked(
    "m['content'] + '\n\n'",
    "'### Instruction:\n' + m['content'] + '\n\n'",
    "'### Response:\n' + m['content'] + eos_token + '\n\n'",
    "'### Response:\n'",
    "{{ bos_token }}",
)
_COMMAND_R_TURN = "'<|START_OF_TURN_TOKEN|><|%s_TOKEN|>' + m['content'] | trim + '<|END_OF_TURN_TOKEN|>'"
COMMAND_R = _marked(
    _COMMAND_R_TURN % "SYSTEM",
    _COMMAND_R_TURN % "USER",
    _COMMAND_R_TURN % "CHATBOT",
    "'<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>'",
    "{{ bos_token }}",
)
GRANITE = (
    "{% if messages[0]['role'] != 'system' %}"
    "{{ '<|start_of_role|>system<|end_of_role|>Today: ' + strftime_now('%B %d, %Y') + '.<|end_of_text|>\n' }}"
    "{% endif %}"
    + _LOOP
    + "{{ '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + m['content'] + '<|end_of_text|>\n' }}"
    + _END
    + _opened("'<|start_of_role|>assistant<|end_of_role|>'")
)
OLMO = (
    "{{ bos_token }}"
    + _LOOP
    + "{{ '<|' + m['role'] + '|>\n' + m['content'] }}"
    + "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}"
    + _END
    + _opened("'<|assistant|>\n'")
)
# What is said for others to read stands in a channel, which the template opens only where there is an answer.
HARMONY = (
    "{{ '<|start|>system<|message|>Reasoning: low<|end|>' }}"
    + _LOOP
    + _role("system", "'<|start|>developer<|message|>' + m['content'] + '<|end|>'")
    + _role("user", "'<|start|>user<|message|>' + m['content'] + '<|end|>'")
    + _role("assistant", "'<|start|>assistant<|channel|>final<|message|>' + m['content'] + '<|end|>'")
    + _END
    + _opened("'<|start|>assistant'")
)

FAMILIES = {
    "ChatML": CHATML,
    "ChatML with a system turn of its own": CHATML_WITH_A_SYSTEM_TURN_OF_ITS_OWN,
    "Llama 2": LLAMA_2,
    "Llama 3": LLAMA_3,
    "Mistral 0.1": _mistral(" ", "", "eos_token + ' '"),
    "Mistral 0.2": _mistral(" ", " ", "eos_token"),
    "Mistral 0.3": MISTRAL_3,
    "Mistral Tekken": _mistral("", "", "eos_token"),
    "Mistral Tekken 7": MISTRAL_TEKKEN_7,
    "Gemma": GEMMA,
    "Qwen 3": QWEN_3,
    "Qwen 3 thinking": QWEN_3_THINKING,
    "DeepSeek R1": DEEPSEEK_R1,
    "Phi 3": PHI_3,
    "Zephyr": ZEPHYR,
    "Zephyr without the line": ZEPHYR_WITHOUT_THE_LINE,
    "Vicuna": VICUNA,
    "Alpaca": ALPACA,
    "Command R": COMMAND_R,
    "Granite": GRANITE,
    "OLMo": OLMO,
    "Harmony": HARMONY,
    "none": "",
}
MARKS = (
    *("<s>", "<think>", "</think>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<|eot_id|>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<start_of_turn>", "<end_of_turn>", "<｜User｜>", "<｜Assistant｜>"),
    *("<｜end▁of▁sentence｜>", "<|user|>", "<|assistant|>", "<|system|>", "<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>"),
    *("<|END_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|start_of_role|>", "<|end_of_role|>"),
    *("<|end_of_text|>", "<|start|>", "<|channel|>", "<|message|>"),
)
"""Special tokens of all these families; with and without them a template is tokenised otherwise."""
