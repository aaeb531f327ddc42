"""The layout against its definition, and packed numbers against each sequence alone."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM as Any_Model
from transformers import (
    FalconConfig,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    MixtralConfig,
    OlmoConfig,
    Qwen3Config,
)

from semievol.engines.inference import decoding
from semievol.engines.local import LocalEngine
from semievol.engines.packing import attention, piecewise
from semievol.engines.packing.layout import KEPT, Beginning, Packing
from semievol.method.protocols import Ask
from tests.engines.conftest import LABELS, examples, train, training

TOKENS = st.lists(st.integers(1, 3), min_size=1, max_size=70).map(tuple)
HEADS = st.lists(st.integers(1, 2), min_size=0, max_size=50).map(tuple)


def visible(layout: Packing, kept: tuple[int, ...] = ()) -> list[list[int]]:
    """The tokens that every column of the row sees, in order."""
    runs = [run.tolist() for run in layout.ids[0].split([piece.size for piece in layout.pieces])]
    found: list[list[int]] = []
    for piece in layout.pieces:
        keys = [token for which in piece.seen for token in (kept if which == KEPT else runs[which])]
        mask = piece.mask
        if mask is None:
            assert piece.size in (1, len(keys)), "is_causal is for squares"
            mask = torch.ones(piece.size, len(keys), dtype=torch.bool).tril(len(keys) - piece.size)
        assert mask.shape == (piece.size, len(keys))
        found += [[token for token, sees in zip(keys, row, strict=True) if sees] for row in mask.tolist()]
    return found


@given(heads=st.lists(HEADS, min_size=1, max_size=3), tails=st.lists(st.tuples(st.integers(0, 2), TOKENS), min_size=1))
def test_every_token_sees_exactly_its_sequence_up_to_itself(heads, tails):
    sequences = [heads[which % len(heads)] + tail for which, tail in tails]
    layout = Packing(sequences)
    seen = visible(layout)
    for sequence, path in zip(sequences, layout.paths, strict=True):
        assert [int(layout.ids[0, column]) for column in path] == list(sequence)
        assert [int(layout.positions[0, column]) for column in path] == list(range(len(sequence)))
        assert [seen[column] for column in path] == [list(sequence[: i + 1]) for i in range(len(sequence))]
    assert len({path[-1] for path in layout.paths}) == len(sequences), "every sequence ends in a column of its own"
    assert layout.token_count <= sum(map(len, sequences))
    assert layout.ids.shape[1] - layout.token_count < 32


@given(common=st.lists(st.integers(1, 3), min_size=20, max_size=40).map(tuple), tails=st.lists(TOKENS, min_size=2))
def test_a_kept_beginning_is_seen_though_it_is_no_longer_in_the_row(common, tails):
    sequences = [common + tail for tail in tails]
    beginning = Beginning.of(sequences)
    assert all(sequence[: len(beginning.ids)] == beginning.ids for sequence in sequences)
    assert len(beginning.ids) >= len(common) - 1
    first = Packing(sequences, (), beginning)
    beginning.ready = True
    later = Packing(sequences, (), beginning)
    assert later.token_count == first.token_count - len(beginning.ids)
    seen = visible(later, beginning.ids)
    for sequence, path in zip(sequences, later.paths, strict=True):
        assert seen[path[-1]] == list(sequence)
        assert int(later.positions[0, path[-1]]) == len(sequence) - 1


def test_what_is_shared_is_in_the_row_once():
    head = tuple(range(100, 140))
    layout = Packing([(*head, 1), (*head, 2, 3), (*head, *head, 4), (9, 9)])
    assert layout.token_count == 40 + 1 + 2 + 41 + 2
    assert Packing([head[:10], head[:12]]).token_count == 22, "too little to be worth a piece"
    assert Packing([head, head]).token_count == 41, "the last token of each is its own"


def test_nodes_of_a_tree_see_their_ancestors_and_not_their_siblings():
    tree = ((5,), (6,), (5, 7), (5, 7, 8))
    layout = Packing([(1, 2)], [tree])
    seen = visible(layout)
    assert [seen[column] for column in layout.nodes[0]] == [[1, 2, *node] for node in tree]
    assert [int(layout.positions[0, column]) for column in layout.nodes[0]] == [2, 2, 3, 4]


SMALL = {"vocab_size": 300, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = {"intermediate_size": 128, "num_key_value_heads": 2}
NONE = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
UNDERSTOOD = {
    "gpt2": GPT2Config(vocab_size=300, n_embd=64, n_layer=2, n_head=4, **NONE),
    "gpt-neox": GPTNeoXConfig(intermediate_size=128, **SMALL, **NONE),
    "qwen3": Qwen3Config(head_dim=16, **GROUPED, **SMALL, **NONE),
    "mixtral": MixtralConfig(num_local_experts=4, **GROUPED, **SMALL, **NONE),
    "olmo": OlmoConfig(**GROUPED, **SMALL, **NONE),
}


def wide(config) -> Any:
    """A model whose next-token distributions are far from uniform."""
    torch.manual_seed(0)
    model = Any_Model.from_config(config).eval()
    for weight in model.parameters():
        weight.data *= 4 if weight.dim() > 1 else 1
    return model


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_architectures_of_full_attention_are_understood(name):
    model = wide(UNDERSTOOD[name])
    before = model.config._attn_implementation
    assert attention.understood(model)
    assert model.config._attn_implementation == before


@pytest.mark.parametrize(
    "config",
    [
        FalconConfig(**SMALL, **NONE),  # does not ask for attention by name
        Gemma2Config(head_dim=16, attn_logit_softcapping=50.0, layer_types=["full_attention"] * 2, **GROUPED, **SMALL),
    ],
    ids=["falcon", "gemma2"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_attention_is_refused(config, dtype):
    """However little it changes the numbers: a cap of 50 is far from these scores, falcon's were not asked for here."""
    model = Any_Model.from_config(config).eval().to(dtype)
    before = model.config._attn_implementation
    assert not attention.understood(model)
    assert model.config._attn_implementation == before


def test_the_last_feed_forward_part_is_computed_where_wanted_only(engine):
    seen = []
    layers = engine.base.model.model.layers
    hooks = [layer.mlp.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1])) for layer in layers]
    prompts = [(*range(5, 45), i) for i in range(6)]
    with torch.no_grad():
        packing = Packing(prompts)
        attention.forward(engine.base.model, packing, [path[-1] for path in packing.paths])
    for hook in hooks:
        hook.remove()
    assert seen == [packing.ids.shape[1]] * (len(layers) - 1) + [8]


def test_a_beginning_that_was_read_for_a_batch_that_failed_is_read_again(engine, monkeypatch):
    model, calls = engine.base.model, []
    first, second = (*range(5, 45), 7), (*range(5, 45), 8)
    compute = piecewise.scaled_dot_product_attention

    def failing(*given, **how):
        calls.append(1)
        if len(calls) == 2:  # in the second layer
            raise MemoryError
        return compute(*given, **how)

    monkeypatch.setattr(piecewise, "scaled_dot_product_attention", failing)
    beginning = Beginning.of([first, second])
    with torch.no_grad():
        alone = [model(input_ids=torch.tensor([ids])).logits[0, -1] for ids in (first, second)]
        with pytest.raises(MemoryError):
            attention.forward(model, Packing([first], (), beginning), [0], beginning)
        assert not beginning.ready
        for ids, expected in zip((first, second), alone, strict=True):
            packing = Packing([ids], (), beginning)
            found = attention.forward(model, packing, [packing.paths[0][-1]], beginning)
            assert torch.allclose(found[0], expected, atol=1e-4)


def test_dropout_of_the_attention_is_kept_in_training():
    model = wide(
        GPT2Config(
            vocab_size=300, n_embd=64, n_layer=2, n_head=4, attn_pdrop=0.5, embd_pdrop=0.0, resid_pdrop=0.0, **NONE
        )
    )
    packing = Packing([tuple(range(5, 45))])
    model.train()
    assert not torch.equal(*(attention.forward(model, packing, [39]) for _ in range(2)))
    model.eval()
    assert torch.equal(*(attention.forward(model, packing, [39]) for _ in range(2)))


def test_gradient_checkpointing_is_refused():
    model = wide(UNDERSTOOD["qwen3"]).train()
    model.activation_checkpointing_enable()
    with pytest.raises(NotImplementedError, match="checkpointing"):
        attention.forward(model, Packing([(5, 6, 7)]), [2])


def test_an_error_on_the_way_leaves_the_model_as_it_was(engine, monkeypatch):
    model = engine.base.model
    ids = torch.arange(4, 24)[None]
    with torch.no_grad():
        before = model(input_ids=ids).logits
        monkeypatch.setattr(piecewise, "scaled_dot_product_attention", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            attention.forward(model, Packing([(4, 5, 6)]), [2])
        assert torch.equal(model(input_ids=ids).logits, before)


@pytest.mark.parametrize("kind", ["llama", "qwen"])
def test_rows_that_share_their_prompts_go_on_as_rows_of_their_own(kind, request):
    model = Any_Model.from_pretrained(request.getfixturevalue(kind)).eval()
    prompts = [tuple(range(5, 45)), (*range(5, 35), 3, 9), (8, 7)]
    of = [0, 2, 0, 1, 2, 0, 0, 0, 0]
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        shared = decoding.SharedPrompts(model, prompts, of)
        own = decoding.OwnRows(model, prompts, of, 0)
        assert torch.allclose(shared.logits, own.logits, atol=1e-4)
        for step in range(140):  # beyond twice the room that is first made
            if step in (3, 70):
                rows = [0, 2, 3, 4, 8] if step == 3 else [3, 1]
                shared.keep(rows)
                own.keep(rows)
            tokens = torch.randint(4, 390, (len(own.logits),), generator=chance).tolist()
            shared.step(tokens)
            own.step(tokens)
            assert torch.allclose(shared.logits, own.logits, atol=1e-3), step


def test_a_model_that_cannot_be_packed_generates_and_trains_all_the_same(gemma, tmp_path):
    engine = LocalEngine(str(gemma), threads=1)
    assert not engine.base.packs
    free = [Ask(str(i), "c", "base", examples(3)[i].messages, max_tokens=6) for i in range(3)]
    for one, reply in zip(free, engine.answer(free), strict=True):
        assert reply.token_logprobs == pytest.approx(engine.answer([one])[0].token_logprobs, abs=1e-4)
    folder, seen = train(engine, training(tmp_path, minimum_steps=12, epochs=0.1))
    assert seen["loss"][12] < seen["loss"][1]
    closed = [Ask("r", "c", model, examples(1)[0].messages, LABELS) for model in ("base", str(folder))]
    base, adapted = engine.answer(closed)
    assert base != adapted
