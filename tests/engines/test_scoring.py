import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from semievol.engines import scoring
from semievol.engines.local import LocalEngine
from semievol.errors import UserError
from semievol.method.protocols import Ask, Reply
from semievol.records import Message
from tests.engines.conftest import turns

LETTERS = ("A", "B", "C", "D")
WORDS = ("waste", "parks and gardens", "housing", "roads")
OVERLAPPING = ("water", "water pipe", "waste", "water pipe broken")
TEXTS = ["The bin", "The street lamp in front of my house is broken since last week " * 3, "A tree fell on the road."]


def ask(text: str, allowed: tuple[str, ...], model: str = "base") -> Ask:
    return Ask(f"record of {text[:9]}", "c", model, turns(text), allowed)


def brute_force(folder: Path, text: str, allowed: tuple[str, ...], closed: bool) -> torch.Tensor:
    """log p of every answer in float64, one plain forward each, from the conversation as the template renders it."""
    words = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    found = []
    for answer in allowed:
        prompt, whole = (f"<|im_start|>system\nSort it.<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n"
                         "<|im_start|>assistant\n"), answer + ("<|im_end|>" if closed else "")  # fmt: skip
        if "qwen" in str(folder):
            prompt, whole = f"[INST] Sort it.\n\n{text} [/INST]", f" {whole}"
        given = words(prompt, add_special_tokens=False)["input_ids"]
        ids = words(prompt + whole, add_special_tokens=False)["input_ids"]
        assert ids[: len(given)] == given
        with torch.no_grad():
            logp = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        found.append(sum(logp[i - 1, ids[i]] for i in range(len(given), len(ids))))
    return torch.stack(found)


@pytest.mark.parametrize("allowed", [LETTERS, WORDS, OVERLAPPING], ids=["letters", "words", "overlapping"])
@pytest.mark.parametrize("kind", ["llama", "qwen"])
def test_probabilities_are_those_of_an_independent_float64_computation(kind, allowed, request):
    folder = request.getfixturevalue(kind)
    engine = LocalEngine(str(folder), threads=1)
    replies = engine.answer([ask(text, allowed) for text in TEXTS])
    for text, reply in zip(TEXTS, replies, strict=True):
        expected = brute_force(folder, text, allowed, closed=allowed is OVERLAPPING)
        assert torch.allclose(torch.tensor(reply.probabilities).double(), expected.softmax(0), atol=1e-5)
        assert torch.isclose(torch.tensor(reply.mass).log().double(), expected.logsumexp(0), atol=1e-4)
        assert reply.text == allowed[int(expected.argmax())]
        assert reply.exactness == "exact"


def test_end_of_turn_is_scored_only_where_one_answer_begins_another():
    assert scoring.question((1,), [(5, 2), (6, 2)], ("a", "b"), "r").paths == ((5,), (6,))
    assert scoring.question((1,), [(5, 2), (5, 6, 2)], ("a", "ab"), "r").paths == ((5, 2), (5, 6, 2))


def test_letters_cost_no_token_beyond_the_prompt():
    assert scoring.question((1, 2, 3), [(5, 2), (6, 2), (7, 2)], LETTERS[:3], "r").size == 3


def test_rows_of_their_own_give_what_the_packed_tree_gives(engine):
    chat, model = engine.base.chat, engine.base.model
    questions = []
    for text in TEXTS:
        [prompt] = chat.prompts([turns(text)])
        replies = [chat.turn(turns(text), prompt, answer).reply for answer in OVERLAPPING]
        questions.append(scoring.question(prompt, replies, OVERLAPPING, "r"))
    with engine.base.using(None):
        packed = scoring.score(model, questions, 0, packed=True)
        rows = scoring.score(model, questions, 0, packed=False)
    assert torch.allclose(torch.tensor(packed), torch.tensor(rows), atol=1e-4)


def largest_difference(left: list[Reply], right: list[Reply]) -> float:
    return max(
        abs(a - b)
        for x, y in zip(left, right, strict=True)
        for a, b in zip(x.probabilities, y.probabilities, strict=True)
    )


def test_numbers_do_not_depend_on_the_rest_of_the_call(engine):
    asks = [ask(text, allowed) for text in TEXTS for allowed in (LETTERS, WORDS, OVERLAPPING)]
    together = engine.answer(asks)
    assert largest_difference(together, [engine.answer([one])[0] for one in asks]) < 1e-5
    assert largest_difference(together, engine.answer(asks[::-1])[::-1]) < 1e-5
    assert together == engine.answer(asks)


def test_equal_asks_of_several_collaborators_are_computed_once(engine, monkeypatch):
    sizes = []
    compute = scoring.score
    monkeypatch.setattr(scoring, "score", lambda m, batch, *rest: sizes.append(len(batch)) or compute(m, batch, *rest))
    replies = engine.answer([ask(TEXTS[0], LETTERS)] * 4)
    assert sizes == [1]
    assert len(set(replies)) == 1


@pytest.mark.parametrize("allowed", [LETTERS, OVERLAPPING], ids=["letters", "overlapping"])
@pytest.mark.parametrize("kind", ["llama", "qwen"])
def test_a_long_beginning_that_all_share_is_read_once_and_changes_nothing(kind, allowed, request, monkeypatch):
    engine = LocalEngine(str(request.getfixturevalue(kind)), threads=1)
    engine.batcher.budget = 40  # several batches
    rules = "Which day is the bin collected? " * 6
    asks = [
        Ask(str(i), "c", "base", (Message("user", f"{rules} {text}"),), allowed)
        for i, text in enumerate(["owl", "the street lamp is broken", "a tree", "tap " * 9, "pipe"])
    ]
    read = []
    forward = type(engine.base.model).forward
    monkeypatch.setattr(
        type(engine.base.model), "forward", lambda *a, **k: read.append(tuple(k["input_ids"].shape)) or forward(*a, **k)
    )
    together = engine.answer(asks)
    batches, alone = list(read), [engine.answer([one])[0] for one in asks]
    beginning, *rows = batches
    assert beginning[0] == 1
    assert len(rows) > 1
    assert all(width < beginning[1] for _, width in rows)
    assert largest_difference(together, alone) < 1e-5
    assert [reply.mass for reply in together] == pytest.approx([reply.mass for reply in alone], rel=1e-4)


@pytest.mark.parametrize("rope", ["longrope", "dynamic"])
def test_no_beginning_is_read_apart_where_positions_depend_on_the_whole_length(llama, tmp_path, rope, monkeypatch):
    """Such models turn short and long prompts differently; a beginning on its own would be a short one."""
    shutil.copytree(llama, tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    config = json.loads(file.read_text())
    half = config["hidden_size"] // config["num_attention_heads"] // 2
    factors = {"short_factor": [1.0] * half, "long_factor": [9.0] * half, "original_max_position_embeddings": 60}
    config["rope_parameters"] = {"rope_type": rope, "rope_theta": 10000.0, "factor": 4.0}
    config["rope_parameters"] |= factors if rope == "longrope" else {}
    file.write_text(json.dumps(config))
    engine = LocalEngine(str(tmp_path / "model"), threads=1)
    assert engine.base.packs
    seen = []
    compute = scoring.score
    monkeypatch.setattr(
        scoring, "score", lambda m, b, p, k, begun: seen.append(begun.ids) or compute(m, b, p, k, begun)
    )
    engine.answer([ask("Which day is the bin collected? " * 6 + text, LETTERS) for text in ("owl", "tap", "tree")])
    assert seen == [()]


def test_the_copies_of_a_long_beginning_are_bounded(llama, monkeypatch):
    """Every row keeps its own keys and values of the beginning: of 400 tokens only a few rows go together."""
    engine = LocalEngine(str(llama), threads=1)
    engine.batcher.budget = 256
    sizes = []
    compute = scoring.score
    monkeypatch.setattr(scoring, "score", lambda m, batch, *rest: sizes.append(len(batch)) or compute(m, batch, *rest))
    rules = "Which day is the bin collected? " * 60
    asks = [Ask(str(i), "c", "base", (Message("user", f"{rules} {i}"),), LETTERS) for i in range(12)]
    (prompt,) = engine.base.chat.prompts([asks[0].messages])
    engine.answer(asks)
    assert max(sizes) * len(prompt) <= 8 * 256 + len(prompt)
    assert sum(sizes) == 12


def test_a_beginning_is_shared_only_where_that_saves_something():
    head = tuple(range(30))
    assert scoring.Beginning.of([(*head, 40), (*head, 50, 51), (*head, 40, 41)]).ids == head
    assert scoring.Beginning.of([head, (*head, 50)]).ids == head[:-1], "the last token is asked for what follows it"
    assert scoring.Beginning.of([(1, *range(60)), (1, *range(2, 60))]).ids == ()
    assert scoring.Beginning.of([head]).ids == scoring.Beginning.of([]).ids == ()


def test_labels_that_the_model_cannot_tell_apart_are_refused(engine):
    with pytest.raises(UserError, match="look the same"):
        engine.answer([ask(TEXTS[0], ("water", "water "))])


def test_a_prompt_beyond_the_context_names_its_record(engine):
    with pytest.raises(UserError, match="takes 1024") as caught:
        engine.answer([ask(TEXTS[0], LETTERS), Ask("r17", "c", "base", turns("leaks " * 1100), LETTERS)])
    assert caught.value.where == "record r17"
    assert caught.value.remedy


def test_control_tokens_in_data_stay_data(engine):
    plain, injected = engine.answer(
        [Ask("r", "c", "base", (Message("user", text),), LETTERS) for text in ("x < |end|> y", "x <|end|> y")]
    )
    assert plain == injected
