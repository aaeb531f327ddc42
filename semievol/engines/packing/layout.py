"""Sequences of tokens in one row, without padding; a beginning that several of them share is there once.

A batch becomes a forest of pieces. A piece is a run of tokens that continues its parent. Every token has the position
that it has in its sequence; a piece sees its ancestors and, causally, itself. Knows nothing of models (see
`attention`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from semievol.engines.packing.shares import LEAST_SHARED, beginning, common_length

WIDTH_MULTIPLE = 32
"""Rows are filled up to a multiple of this: in bf16 a processor compiles its products anew for every width."""
KEPT = -1
"""In `Piece.seen`: the beginning whose keys and values are kept (see `Beginning`)."""
Tree = Sequence[tuple[int, ...]]
"""Nodes as paths from the root, parents first."""


class Beginning:
    """The tokens that the sequences of all batches begin with: computed in the first batch, kept for the others.

    ids: empty if nothing is shared. Every sequence has more tokens than these. ready: whether `kept` is filled.
    """

    def __init__(self, ids: tuple[int, ...] = ()) -> None:
        self.ids = ids
        self.kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # keys and values (N, G, D) by layer
        self.ready = False

    @classmethod
    def of(cls, sequences: Sequence[tuple[int, ...]]) -> Beginning:
        """The common beginning of the sequences; an empty one if it is shorter than LEAST_SHARED."""
        return cls(sequences[0][: beginning(sequences)]) if sequences else cls()


@dataclass(frozen=True)
class Piece:
    """A run of tokens in the row.

    seen: the pieces whose keys it sees, itself last. mask: which of its queries sees which key, (size, keys); None if
    the piece sees only itself, causally, or is a single token that sees everything.
    """

    size: int
    seen: tuple[int, ...]
    mask: torch.Tensor | None


class Packing:
    """Sequences laid out in one row.

    sequences: token ids, none empty. trees: for every sequence a tree of tokens that follows it; each of its nodes sees
    the sequence and its own ancestors.
    ids, positions: (1, N), filled up to a width that other batches have, too; `token_count` is without that.
    paths: for every sequence the columns of its tokens, those in a beginning that is kept already left out.
    nodes: for every sequence the columns of its tree's nodes.
    """

    def __init__(
        self, sequences: Sequence[tuple[int, ...]], trees: Sequence[Tree] = (), beginning: Beginning | None = None
    ) -> None:
        beginning = beginning or Beginning()
        ids: list[int] = []
        positions: list[int] = []
        starts: list[int] = []  # first column of every piece
        self.pieces: list[Piece] = []

        def add(
            tokens: Sequence[int], depths: Sequence[int], line: tuple[int, ...], within: torch.Tensor | None = None
        ) -> tuple[int, ...]:
            """The pieces from the root to this new one."""
            seen = (*line, len(self.pieces))
            above = sum(before if piece == KEPT else self.pieces[piece].size for piece in line)
            self.pieces.append(Piece(len(tokens), seen, _mask(len(tokens), above, within)))
            starts.append(len(ids))
            ids.extend(tokens)
            positions.extend(depths)
            return seen

        before = len(beginning.ids)
        root: tuple[int, ...] = ()
        if before:
            root = (KEPT,) if beginning.ready else add(beginning.ids, range(before), ())
        ends: list[tuple[int, ...]] = [()] * len(sequences)
        places = sorted(range(len(sequences)), key=lambda place: sequences[place])
        waiting = [(places, before, root)]
        while waiting:
            group, depth, line = waiting.pop()
            for shared, stop in _families(sequences, group, depth):
                first = sequences[shared[0]]
                below = add(first[depth:stop], range(depth, stop), line)
                if len(shared) > 1:
                    waiting.append((shared, stop, below))
                else:
                    ends[shared[0]] = below
        self.nodes: list[list[int]] = []
        for place, tree in enumerate(trees):
            start, depth = len(ids), len(sequences[place])
            if tree:
                depths = [depth + len(node) - 1 for node in tree]
                add([node[-1] for node in tree], depths, ends[place], _within(tree))
            self.nodes.append(list(range(start, len(ids))))
        self.token_count = len(ids)
        if surplus := -len(ids) % WIDTH_MULTIPLE:
            add([ids[-1]] * surplus, range(surplus), ())

        self.ids, self.positions = torch.tensor([ids]), torch.tensor([positions])
        spans = [range(start, start + piece.size) for start, piece in zip(starts, self.pieces, strict=True)]
        self.paths = [[column for piece in line if piece != KEPT for column in spans[piece]] for line in ends]


def _families(
    sequences: Sequence[tuple[int, ...]], group: Sequence[int], depth: int
) -> Iterator[tuple[list[int], int]]:
    """Groups sorted sequences, which are equal up to `depth`, by longer common beginnings. Yields every family with the
    depth up to which its members are equal; for a single sequence this is its end."""
    family, up_to = [group[0]], len(sequences[group[0]])
    for place in group[1:]:
        common = min(common_length(sequences[family[0]], sequences[place]), len(sequences[place]) - 1, up_to)
        if len(family) == 1:
            common = min(common, up_to - 1)
        if common - depth >= LEAST_SHARED:
            family.append(place)
            up_to = common
        else:
            yield family, up_to
            family, up_to = [place], len(sequences[place])
    yield family, up_to


def _within(tree: Tree) -> torch.Tensor:
    """Which nodes see which, bool (M, M): each sees itself and its ancestors."""
    place = {tuple(node): i for i, node in enumerate(tree)}
    seen = torch.eye(len(tree), dtype=torch.bool)
    for node, row in place.items():
        for depth in range(1, len(node)):
            seen[row, place[node[:depth]]] = True
    return seen


def _mask(own: int, above: int, within: torch.Tensor | None) -> torch.Tensor | None:
    """Mask (own, above + own) of a piece of `own` tokens that sees all `above` tokens of its ancestors."""
    if within is not None:
        return torch.cat([torch.ones(own, above, dtype=torch.bool), within], dim=1)
    if own == 1 or above == 0:
        return None
    return torch.ones(own, above + own, dtype=torch.bool).tril(above)
