import pytest
import torch

from semievol.engines.packing.batching import Batcher, OutOfMemory, pad_left
from semievol.engines.packing.shares import Continued, Padded, Shared, passed


def test_rows_on_either_side_of_a_turning_length_are_never_in_one_batch():
    found: list[list[int]] = []
    Batcher(100).run([3, 9, 4, 10], Padded([3, 9, 4, 10], turning=8), lambda batch: found.append(batch) or batch)
    assert found == [[10, 9], [4, 3]]
    prompts = [(1,) * 9, (1,) * 10, (1,) * 6, (1,) * 2, (2,) * 3]
    layout = Continued(prompts, [4] * 5, shared=False, turning=8)
    assert [layout.fill(start, 1000) for start in (0, 2, 3)] == [2, 1, 2], "one that may grow beyond it is alone"


def test_batches_hold_like_lengths_under_the_budget_and_results_keep_the_order():
    batches = []

    def work(items: list[int]) -> list[int]:
        batches.append(items)
        return [-item for item in items]

    assert Batcher(20).run([3, 9, 4, 10, 3], Padded([3, 9, 4, 10, 3]), work) == [-3, -9, -4, -10, -3]
    assert batches == [[10, 9], [4, 3, 3]]


def test_sequences_that_begin_alike_lie_together_and_what_they_share_counts_once():
    batches = []

    def work(items: list[tuple[int, ...]]) -> list[int]:
        batches.append(items)
        return [item[-1] for item in items]

    items = [(1, 1, 1, 5), (2, 2, 2, 6), (1, 1, 1, 7), (2, 2, 2, 8), (3,)]
    assert Batcher(6).run(items, Shared(items, [0, 0, 1, 0, 0]), work) == [5, 6, 7, 8, 3]
    assert batches == [[items[0], items[2]], [items[1], items[3], items[4]]]
    layout = Shared(items, [0, 0, 1, 0, 0])
    assert [layout.tokens(0, stop) for stop in range(1, 6)] == [4, 6, 10, 11, 12]


def test_equal_sequences_end_when_memory_runs_out_and_count_one_token_each():
    def work(items: list[tuple[int, int, int]]) -> list[int]:
        raise MemoryError

    items = [(1, 2, 3)] * 8
    assert Shared(items, [0] * 8).tokens(0, 8) == 10
    with pytest.raises(OutOfMemory):
        Batcher(2048).run(items, Shared(items, [0] * 8), work)


def test_the_tokens_of_all_batches_are_counted_as_they_are_packed():
    opening = tuple(range(100, 120))
    prompts = [(*opening, kind, kind, own) for kind in (1, 2) for own in (3, 4)]
    # in one batch: the opening, then 1 1 3, 4, 2 2 3, 4, and one token of an answer each
    assert passed(prompts, [1] * 4, budget=2048) == 20 + 3 + 1 + 3 + 1 + 4
    assert passed(prompts, [1] * 4, budget=6) == 20 + 2 * (3 + 1 + 2), "the second batch keeps the opening"
    assert passed(prompts, [1] * 4, budget=1) == 20 + 4 * (3 + 1)
    assert passed([], [], budget=2048) == 0


def test_answers_to_the_same_prompt_lie_together_and_every_prompt_is_as_wide_as_the_longest():
    long, short = (1,) * 50, (2,) * 10
    prompts = [short, long, short, long, (3,) * 10]
    layout = Continued(prompts, [4, 4, 4, 4, 9], shared=True)
    assert list(layout.order) == [1, 3, 0, 2, 4]
    assert [layout.tokens(0, stop) for stop in range(1, 6)] == [54, 58, 112, 116, 195]
    for budget in range(54, 250):
        count = layout.fill(0, budget)
        assert layout.tokens(0, count) <= budget
        assert count == 5 or layout.tokens(0, count + 1) > budget
    assert Continued(prompts, [4] * 5, shared=False).tokens(0, 2) == 108


def test_an_item_larger_than_the_budget_goes_alone():
    assert Batcher(5).run([9, 8], Padded([9, 8]), lambda items: [len(items)] * len(items)) == [1, 1]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_the_budget_is_halved_when_memory_runs_out(error):
    batcher = Batcher(64)
    sizes = []

    def work(items: list[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 2:
            raise error
        return items

    assert batcher.run(list(range(8, 16)), Padded([8] * 8), work) == list(range(8, 16))
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert batcher.budget == 16


def test_a_single_item_that_does_not_fit_is_told_apart():
    def work(items: list[int]) -> list[int]:
        raise MemoryError

    with pytest.raises(OutOfMemory):
        Batcher(8).run([4, 4], Padded([4, 4]), work)


def test_other_errors_are_not_swallowed():
    def work(items: list[int]) -> list[int]:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        Batcher(8).run([4], Padded([4]), work)


def test_rows_end_in_the_last_column():
    ids, mask, positions = pad_left([(5, 6, 7), (8,)], 0, torch.device("cpu"))
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask is not None
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert positions.tolist() == [[0, 1, 2], [0, 0, 0]]
