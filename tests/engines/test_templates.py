"""Whatever the template: the prompt holds the question and no word of the answer, the reply the answer and no word of
the question, and both together are the tokenisation of the answered conversation."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from pathlib import Path

import pytest

from semievol.engines.chat import Chat
from semievol.engines.models import templates
from semievol.errors import UserError
from semievol.records import Message
from tests.engines.template_families import CHATML, FAMILIES, GRANITE, MARKS
from tests.tiny_model import tokenizer

INSTRUCTION = "Sort the calls of a city."
SHOWN = (Message("user", "A tree fell on the road.\nAnswer with one of: water, roads."), Message("assistant", "roads"))
QUESTIONS = ("Why is the bin full?\nAnswer with one of: water, waste.", "  The lamp, again ", "A", "水 leaks: 3.14")
ANSWERS = ("waste", "Q", "3.14", "two\nlines", "ä → 水")


def words(template: str, marks: bool, folder: Path) -> Chat:
    """A tokenizer with this template; marks: whether it knows the marks of the families as special tokens."""
    made = tokenizer(template)
    if marks:
        made.add_special_tokens({"bos_token": "<s>", "additional_special_tokens": list(MARKS)})
    else:
        made.add_special_tokens({"bos_token": "<s>"})
    if not template:
        made.chat_template = None
    made.save_pretrained(folder)
    return Chat(folder)


@pytest.mark.parametrize("marks", [True, False], ids=["special marks", "marks as text"])
@pytest.mark.parametrize("family", FAMILIES)
def test_question_and_answer_are_kept_apart_in_every_family(family: str, marks: bool, tmp_path: Path) -> None:
    chat = words(FAMILIES[family], marks, tmp_path)
    for system, shown, question in product((True, False), (True, False), QUESTIONS):
        asked = [*([Message("system", INSTRUCTION)] if system else []), *(SHOWN if shown else ())]
        asked.append(Message("user", question))
        [prompt] = chat.prompts([asked])
        for answer in ANSWERS:
            turn = chat.turn(asked, prompt, answer)
            assert turn.prompt == prompt[: len(turn.prompt)]
            assert len(turn.prompt) >= len(prompt) - 1, "at most one token is shared with the answer"
            given, said = (chat.tokenizer.decode(ids) for ids in (turn.prompt, turn.reply))
            for text in (question, *([INSTRUCTION] if system else []), *(m.content for m in SHOWN if shown)):
                assert given.count(text.strip()) >= 1
                assert len(text.strip()) < 2 or text.strip() not in said
            assert said.lstrip().startswith(answer), "nothing but blanks stands before the answer"
            assert answer not in given.rpartition(question.strip())[2]
            whole = given + said
            assert tuple(chat.tokenizer(whole, add_special_tokens=False)["input_ids"]) == turn.prompt + turn.reply
            assert turn.reply[-1] in chat.stops


def test_a_thought_that_the_template_opens_is_closed_or_never_begun(tmp_path: Path) -> None:
    for family, end in (("Qwen 3 thinking", "<think>\n\n</think>\n\n"), ("DeepSeek R1", "<｜Assistant｜>")):
        chat = words(FAMILIES[family], True, tmp_path / family)
        [prompt] = chat.prompts([[Message("user", "q")]])
        assert chat.tokenizer.decode(prompt).endswith(end)


def test_a_system_turn_that_moves_with_the_answer_is_folded_into_the_first_user_turn(tmp_path: Path) -> None:
    chat = words(FAMILIES["Mistral 0.3"], True, tmp_path)
    asked = [Message("system", INSTRUCTION), *SHOWN, Message("user", "q")]
    [prompt] = chat.prompts([asked])
    text = chat.tokenizer.decode(prompt)
    assert text.startswith(f"<s>[INST] {INSTRUCTION}\n\n{SHOWN[0].content}[/INST]")
    assert text.endswith("[INST] q[/INST]")


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages[-1:] %}{{ m['content'] }}{% endfor %}",  # an answer without its question
        "{% for m in messages[::-1] %}{{ m['role'] + m['content'] }}{% endfor %}",
        "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}",
        CHATML.replace("m['content'] +", "m['content'] + messages[0]['content'] +"),  # a question in the answer
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{{ messages[-1]['content'] }}",
        "{{ 1 + 'a' }}",
    ],
    ids=["last turn only", "backwards", "capitals", "repeated", "answer twice", "broken"],
)
def test_a_template_that_mixes_question_and_answer_is_refused(template: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="question and answer one after the other") as refused:
        words(template, True, tmp_path)
    assert refused.value.remedy


def test_a_question_that_is_shown_otherwise_once_answered_is_refused_when_it_comes(tmp_path: Path) -> None:
    """Made-up questions show nothing of it: only calls about lamps are moved."""
    moved = "{% if 'lamp' in m['content'] and messages | length > 1 %}{{ 'Note: ' }}{% endif %}"
    chat = words(CHATML.replace("{{ '<|im_start|>'", moved + "{{ '<|im_start|>'", 1), True, tmp_path)
    asked = [Message("user", "The lamp is broken")]
    [prompt] = chat.prompts([asked])
    with pytest.raises(UserError, match="otherwise once it is answered"):
        chat.turn(asked, prompt, "roads")


def test_a_template_that_prints_the_date_prints_the_same_one_for_ever(tmp_path: Path) -> None:
    [prompt] = words(GRANITE, True, tmp_path).prompts([[Message("user", "q")]])
    assert "Today: July 26, 2024." in Chat(tmp_path).tokenizer.decode(prompt)
    assert datetime.now().strftime("%Y") != "2024"


def test_a_base_model_gets_the_plain_template(tmp_path: Path) -> None:
    chat = words("", True, tmp_path)
    assert chat.plain
    [prompt] = chat.prompts([[Message("system", INSTRUCTION), *SHOWN, Message("user", "q")]])
    assert chat.tokenizer.decode(prompt) == (
        f"{INSTRUCTION}\n\nQuestion: {SHOWN[0].content}\nAnswer: roads<|im_end|>\n\nQuestion: q\nAnswer:"
    )
    turn = chat.turn([Message("user", "q")], chat.prompts([[Message("user", "q")]])[0], "water")
    assert chat.tokenizer.decode(turn.reply) == " water<|im_end|>"
    assert not words(CHATML, True, tmp_path / "chat").plain


def test_without_template_and_without_an_end_token_nothing_can_be_asked(tmp_path: Path) -> None:
    made = tokenizer()
    made.chat_template, made.eos_token = None, None
    with pytest.raises(UserError, match="neither a chat template nor a token that ends"):
        templates.Template(made, (), "base")
