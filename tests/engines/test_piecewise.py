"""Attention over pieces together, against every query alone in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from semievol.engines.packing.layout import Beginning, Packing
from semievol.engines.packing.piecewise import Piecewise
from tests.engines.test_packing import HEADS, TOKENS

TREES = st.sampled_from([(), ((7,),), ((7,), (7, 8), (9,), (7, 8, 5))])


def alone(layout: Packing, queries, keys, values, kept: int, scale: float):
    """Every column's attention by the definition: softmax over the keys that it sees."""
    starts, found = [], []
    place = kept
    for piece in layout.pieces:
        starts.append(place)
        place += piece.size
    for piece in layout.pieces:
        columns = [
            column
            for one in piece.seen
            for column in (range(kept) if one == -1 else range(starts[one], starts[one] + layout.pieces[one].size))
        ]
        own, above = piece.size, len(columns) - piece.size
        sees = torch.ones(own, len(columns), dtype=torch.bool).tril(above) if piece.mask is None else piece.mask
        for row in range(own):
            query = queries[columns[above + row] - kept]
            chosen = [column for column, seen in zip(columns, sees[row].tolist(), strict=True) if seen]
            times = query.shape[0] // keys.shape[1]
            of, what = (states[chosen].repeat_interleave(times, dim=1) for states in (keys, values))
            weights = (torch.einsum("hd,khd->hk", query, of) * scale).softmax(-1)
            found.append(torch.einsum("hk,khd->hd", weights, what))
    return torch.stack(found)


@given(
    heads=st.lists(HEADS, min_size=1, max_size=2),
    tails=st.lists(st.tuples(st.integers(0, 1), TOKENS, TREES), min_size=1, max_size=5),
    keep=st.booleans(),
)
def test_numbers_and_gradients_are_those_of_every_query_alone(heads, tails, keep):
    sequences = [heads[which % len(heads)] + tail for which, tail, _ in tails]
    beginning = Beginning.of(sequences) if keep else Beginning()
    beginning.ready = bool(beginning.ids)
    layout = Packing(sequences, [tree for _, _, tree in tails], beginning)
    kept, width = len(beginning.ids), layout.ids.shape[1]
    draw = torch.Generator().manual_seed(width)
    queries, keys, values = [
        torch.randn(n, h, 4, generator=draw, dtype=torch.float64).requires_grad_()
        for n, h in ((width, 4), (kept + width, 2), (kept + width, 2))
    ]
    wanted = torch.randn(width, 4, 4, generator=draw, dtype=torch.float64)
    how = Piecewise(layout.pieces, kept, queries)
    found = [how.attend(queries, keys, values, 0.3, 0.0), alone(layout, queries, keys, values, kept, 0.3)]
    assert torch.allclose(*found, atol=1e-12)
    mine, theirs = (torch.autograd.grad((one * wanted).sum(), [queries, keys, values]) for one in found)
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_pieces_of_similar_size_share_a_call_and_a_long_one_does_not_lengthen_the_others():
    sequences = [(place, *range(2, 40)) for place in range(12)] + [(99, *range(2, 1500))]
    how = Piecewise(Packing(sequences).pieces, 0, torch.zeros(1))
    assert [call.queries.shape[0] for call in how.calls] == [1, 13]


@pytest.mark.parametrize("size", [1, 5])
def test_one_piece_alone(size):
    layout = Packing([tuple(range(1, size + 1))])
    queries, keys, values = [torch.randn(layout.ids.shape[1], 2, 4, dtype=torch.float64) for _ in range(3)]
    how = Piecewise(layout.pieces, 0, queries)
    expected = alone(layout, queries, keys, values, 0, 0.5)
    assert torch.allclose(how.attend(queries, keys, values, 0.5, 0.0), expected, atol=1e-12)
