"""The bundled starter: an ordinary folder that loads offline, speaks the Studio's prompts and uses demonstrations."""

import hashlib
import json
import random
import re
import tempfile
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from assets.starter_recipe import card, episodes, packing, phrases, recipe
from assets.starter_recipe.episodes import Block
from semievol.errors import UserError
from semievol.records import Demonstration, Message, Record, Task
from semievol.task import prompts

FOLDER = Path(__file__).parents[1] / "assets" / "starter"
# Desks that no training message was addressed to.
DESKS = {
    "theatre": ["stage", "curtain", "actor", "rehearsal", "costume", "audience"],
    "farm": ["tractor", "barn", "harvest", "fence", "milk", "wheat"],
    "airport": ["runway", "pilot", "terminal", "propeller", "hangar", "landing"],
}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(FOLDER, local_files_only=True, dtype=torch.float32).eval()


def ids_of(tokenizer, messages: list[dict], prompt: bool) -> list[int]:
    return tokenizer.apply_chat_template(messages, add_generation_prompt=prompt, tokenize=True, return_dict=False)


def likeliest(tokenizer, model, block: Block, record: Record, shown: list[Demonstration]) -> str:
    """The label whose tokens, end included, are most probable."""
    turns = [{"role": t.role, "content": t.content} for t in prompts.render(block.task, record, shown)]
    start = ids_of(tokenizer, turns, prompt=True)
    scores = {}
    for label in block.task.labels:
        whole = ids_of(tokenizer, [*turns, {"role": "assistant", "content": label}], prompt=False)
        with torch.inference_mode():
            log_p = torch.log_softmax(model(input_ids=torch.tensor([whole])).logits[0].float(), -1)
        scores[label] = sum(float(log_p[i - 1, whole[i]]) for i in range(len(start), len(whole)))
    return max(scores, key=lambda label: scores[label])


def test_folder_is_small_complete_and_matches_its_hashes() -> None:
    lines = (FOLDER / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    } <= set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name
    assert (FOLDER / "model.safetensors").stat().st_size < 24 * 2**20
    assert json.loads((FOLDER / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]


def test_no_file_names_a_place_on_a_machine() -> None:
    for file in FOLDER.iterdir():
        for place in (FOLDER.parents[1], Path.home(), Path(tempfile.gettempdir())):
            assert f"{place}/".encode() not in file.read_bytes(), file.name


def test_prompt_is_a_token_prefix_of_the_conversation_and_the_answer_ends_it(tokenizer) -> None:
    turns = [
        {"role": "system", "content": "Classify."},
        {"role": "user", "content": "Sales fell.\nAnswer with one of: a b, c."},
    ]
    start = ids_of(tokenizer, turns, prompt=True)
    for answer in ("positive", "A", "water supply", "3.14", "(none)", "Élan"):
        whole = ids_of(tokenizer, [*turns, {"role": "assistant", "content": answer}], prompt=False)
        assert whole[: len(start)] == start
        assert whole[len(start) : -1] == tokenizer.encode(answer, add_special_tokens=False)
        assert whole[-1] == tokenizer.eos_token_id


def test_letters_are_single_tokens_and_words_the_same_wherever_they_stand(tokenizer) -> None:
    assert all(len(tokenizer.encode(letter, add_special_tokens=False)) == 1 for letter in "ABCDEFGHIJ")
    word = tokenizer.encode("negative", add_special_tokens=False)
    for text in ("one of: negative", "a line\nnegative"):
        assert tokenizer.encode(text, add_special_tokens=False)[-len(word) :] == word


@pytest.mark.parametrize("text", ["  two spaces", "line\n\n  indented", "3.14 % – café", "a\n", "emoji 🙂"])
def test_decoding_gives_the_text_back(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_training_rows_hold_what_the_chat_template_gives(tokenizer) -> None:
    turns = [Message("system", "Sort."), Message("user", "A cat."), Message("assistant", "animal")]
    (packed,) = packing.encoded([tuple(turns)], tokenizer.backend_tokenizer)
    assert packed.ids.tolist() == ids_of(
        tokenizer, [{"role": t.role, "content": t.content} for t in turns], prompt=False
    )
    answers = packed.ids[packed.kinds == packing.ANSWER].tolist()
    assert answers == [*tokenizer.encode("animal", add_special_tokens=False), tokenizer.eos_token_id]


def test_generation_ends_with_the_end_token(tokenizer, model) -> None:
    turns = [{"role": "user", "content": "Stocks rose sharply.\nAnswer with one of: positive, negative, neutral."}]
    start = torch.tensor([ids_of(tokenizer, turns, prompt=True)])
    out = model.generate(start, max_new_tokens=12)[0, start.shape[1] :].tolist()
    assert tokenizer.eos_token_id in out
    assert tokenizer.decode(out, skip_special_tokens=True) in ("positive", "negative", "neutral")


def share_right(tokenizer, model, place: int) -> float:
    """How often a worn copy of the demonstration at `place` of three gets that one's label; chance is a third."""
    draw, right, rounds = random.Random(0), 0, 30
    labels = ("positive", "negative", "neutral")
    for _ in range(rounds):
        texts = [phrases.message(draw, ["boat"], DESKS)[0] for _ in range(3)]
        records = [
            Record(str(i), text, answer=label)
            for i, (text, label) in enumerate(zip(texts, draw.sample(labels, 3), strict=True))
        ]
        asked = Record("q", episodes.worn(records[place].question, draw))
        shown = [Demonstration(record, 0.0) for record in records]
        answer = likeliest(tokenizer, model, Block(Task("classification", labels), (), ()), asked, shown)
        right += answer == records[place].answer
    return right / rounds


def test_the_demonstration_beside_the_question_is_followed(tokenizer, model) -> None:
    assert share_right(tokenizer, model, place=2) >= 0.55


@pytest.mark.xfail(strict=True, reason="these weights follow the last demonstration, not yet the most similar one")
def test_a_similar_demonstration_is_followed_wherever_it_stands(tokenizer, model) -> None:
    assert share_right(tokenizer, model, place=0) >= 0.55


def test_composed_news_carry_the_sentiment_of_their_figures() -> None:
    draw = random.Random(1)
    for _ in range(200):
        text, direction, mood = phrases.news(draw, ["boats"])
        assert "{" not in text
        assert direction in ("up", "down", "unchanged", "")
        assert mood in ("positive", "negative", "neutral")
        if direction == "unchanged":
            assert mood == "neutral"


def test_proposals_disagree_and_are_allowed_answers() -> None:
    records = tuple(Record(str(i), f"text {i}", answer="abc"[i % 3]) for i in range(9))
    block = Block(Task("classification", ("a", "b", "c")), records[3:], records[:3])
    draw = random.Random(2)
    for _ in range(100):
        given = episodes.proposals(block, block.asked[0], draw)
        assert 2 <= len(given) <= 4
        assert len(set(given)) >= 2
        assert set(given) <= {"a", "b", "c"}


def test_missing_sources_are_named_with_the_remedy(tmp_path) -> None:
    from assets.starter_recipe import corpus

    with pytest.raises(UserError, match=r"starter_recipe fetch"):
        list(corpus.packages(tmp_path))


def test_the_card_draws_every_curve() -> None:
    log = [{"stage": "pretrain", "step": s, "text": 5.0, "seconds": s} for s in range(0, 50, 10)]
    log += [
        {"stage": "instruct", "step": s, "text": 4.0, "answer": 1.0, "prompt": 3.0, "seconds": s}
        for s in range(0, 50, 10)
    ]
    assert card.picture(log).count("<polyline") == 3


def numbered(count: int) -> Block:
    """Records whose every word names its record, so that a worn copy still tells which one it is of."""
    records = tuple(
        Record(str(i), " ".join(f"{word}{i}" for word in ("bin", "lamp", "road", "tap", "park")), answer="abc"[i % 3])
        for i in range(count)
    )
    return Block(Task("classification", ("a", "b", "c"), "Sort."), records, ())


@pytest.mark.parametrize("shorten", [False, True])
def test_a_series_answers_every_record_and_copies_keep_their_originals_label(shorten: bool) -> None:
    draw = random.Random(5)
    copies = 0
    for _ in range(20):
        block = episodes.terse(numbered(60), draw) if shorten else numbered(60)
        label = {record.id: record.answer for record in block.labeled}
        for turns in episodes.series(block, draw):
            spoken = [turn for turn in turns if turn.role != "system"]
            assert [turn.role for turn in spoken] == ["user", "assistant"] * (len(spoken) // 2)
            assert sum(len(turn.content) // 4 + 5 for turn in spoken) < 2 * max(episodes.ROOMS)
            seen: set[str] = set()
            for asked, said in zip(spoken[::2], spoken[1::2], strict=True):
                (number,) = set(re.findall(r"[a-z](\d+)", asked.content.split("\nAnswer with")[0]))
                assert said.content == label[number]
                copies += number in seen
                seen.add(number)
    assert copies > 50


def test_the_pace_is_constant_and_then_falls_to_nothing() -> None:
    paces = [recipe.pace(step) for step in range(recipe.FULL)]
    assert set(paces[: recipe.FALL]) == {paces[0]}
    assert paces == sorted(paces, reverse=True)
    assert 0 < paces[-1] < 0.001
