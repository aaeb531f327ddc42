import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from semievol.engines.inference import generation
from semievol.method.protocols import Ask
from tests.engines.conftest import turns

TEXTS = ["The bin", "The street lamp in front of my house is broken since last week. " * 3, "A tree fell."]


def ask(text: str, temperature: float = 0.0, seed: int = 0, tokens: int = 12, record: str = "r") -> Ask:
    return Ask(record, "c", "base", turns(text), temperature=temperature, seed=seed, max_tokens=tokens)


@pytest.mark.parametrize("packs", [True, False])
def test_greedy_answers_log_probabilities_and_entropies_are_those_of_generate(engine, llama, monkeypatch, packs):
    monkeypatch.setitem(engine.base.__dict__, "packs", packs)
    words, model = AutoTokenizer.from_pretrained(llama), AutoModelForCausalLM.from_pretrained(llama)
    for text, reply in zip(TEXTS, engine.answer([ask(text) for text in TEXTS]), strict=True):
        prompt = torch.tensor([engine.base.chat.prompts([turns(text)])[0]])
        output = model.generate(
            prompt, do_sample=False, max_new_tokens=12, output_logits=True, return_dict_in_generate=True
        )
        new = output.sequences[0, prompt.shape[1] :]
        logp = torch.cat(output.logits).double().log_softmax(-1)
        chosen = logp[torch.arange(len(new)), new]
        assert reply.text == words.decode(new, skip_special_tokens=True)
        assert reply.token_logprobs == pytest.approx(chosen.tolist(), abs=1e-4)
        assert reply.token_entropies == pytest.approx((-logp.exp() * logp).sum(-1).tolist(), abs=1e-4)


def test_an_answer_ends_with_its_stop_token_whose_probability_counts(engine):
    [prompt] = engine.base.chat.prompts([turns(TEXTS[0])])
    with engine.base.using(None) as model:
        free = generation.generate(model, [generation.Draw(prompt, 0.0, 0, 12)], frozenset(), 0)[0]
        stop = free.ids[4]
        assert stop not in free.ids[:4]
        cut = generation.generate(model, [generation.Draw(prompt, 0.0, 0, 12)], frozenset({stop}), 0)[0]
    assert cut.ids == free.ids[:4]
    assert cut.logprobs == free.logprobs[:5]


@pytest.mark.parametrize("packs", [True, False])
def test_a_draw_depends_on_its_own_seed_and_record_only(engine, monkeypatch, packs):
    monkeypatch.setitem(engine.base.__dict__, "packs", packs)
    drawn = [ask(text, 1.0, seed, record=str(i)) for i, text in enumerate(TEXTS) for seed in (1, 2, 3)]
    together = engine.answer(drawn)
    alone = [engine.answer([one])[0] for one in drawn]
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    for left, right in zip(together, alone, strict=True):
        assert left.token_logprobs == pytest.approx(right.token_logprobs, abs=1e-4)
    assert len({reply.text for reply in together[:3]}) == 3
    assert engine.answer([ask(TEXTS[0], 1.0, 1, record="other")])[0].text != together[0].text


def test_draws_follow_the_tempered_distribution_and_keep_raw_log_probabilities(engine):
    [prompt] = engine.base.chat.prompts([turns(TEXTS[0])])
    draws = [generation.Draw(prompt, 0.5, generation.draw_key(i, "r"), 1) for i in range(4000)]
    with engine.base.using(None) as model:
        logp = model(torch.tensor([prompt])).logits[0, -1].double().log_softmax(-1)
        found = generation.generate(model, draws, frozenset(), 0)
    counts = torch.zeros_like(logp)
    for one in found:
        counts[one.ids[0]] += 1
        assert one.logprobs[0] == pytest.approx(float(logp[one.ids[0]]), abs=1e-4)
    expected = (logp / 0.5).softmax(-1)
    assert float((counts / len(draws) - expected).abs().sum() / 2) < 0.05  # total variation


@pytest.mark.parametrize("packs", [True, False])
def test_sequences_of_different_length_leave_the_batch(engine, monkeypatch, packs):
    monkeypatch.setitem(engine.base.__dict__, "packs", packs)
    asks = [ask(text, tokens=tokens) for text in TEXTS for tokens in (1, 3, 12)]
    replies = engine.answer(asks)
    assert [len(reply.token_logprobs) for reply in replies] == [1, 3, 12] * 3
    for one, reply in zip(asks, replies, strict=True):
        assert reply.token_logprobs == pytest.approx(engine.answer([one])[0].token_logprobs, abs=1e-4)


def test_answers_stop_at_the_end_of_the_context(engine, monkeypatch):
    monkeypatch.setattr(engine.base.chat, "stops", frozenset())
    room = 1024 - len(engine.base.chat.prompts([turns("leaks " * 900)])[0])
    reply = engine.answer([ask("leaks " * 900, tokens=4000)])[0]
    assert len(reply.token_logprobs) == room
