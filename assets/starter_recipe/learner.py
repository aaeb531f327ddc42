"""One optimizer step over many micro-batches, worked off by helper processes of one thread each.

Helpers take the next micro-batch whenever they are free and meet once per step. On a machine that is also used for
other things this is far quicker than threads, which meet at every operation. The order in which gradients are added
depends on who was free, so two runs agree up to rounding only. Knows nothing about text.
"""

from multiprocessing.connection import Connection, wait

import torch
import torch.multiprocessing as processes

from assets.starter_recipe import llama
from assets.starter_recipe.llama import Shape

Batch = tuple[torch.Tensor, ...]


def helper(pipe: Connection, shape: Shape, shared: list[torch.Tensor], sums: list[torch.Tensor]) -> None:
    """Add the gradient of every batch that comes through `pipe` to `sums`, answer with its losses; None ends it."""
    torch.set_num_threads(1)
    llama.keep_memory()
    body = torch.compile(llama.body, dynamic=False)
    parts = [part.detach().requires_grad_() for part in shared]
    while (batch := pipe.recv()) is not None:
        tokens, places, documents, targets, weights = (torch.from_numpy(array) for array in batch)
        states = body(shape, tokens, places, documents, parts).view(-1, shape.hidden)
        loss, losses = llama.WeightedLoss.apply(states, parts[0], targets.reshape(-1), weights.reshape(-1))
        loss.backward()
        for total, part in zip(sums, parts, strict=True):
            assert part.grad is not None
            total += part.grad
            part.grad = None
        pipe.send(losses.numpy())


class Learner:
    """Weights, optimizer and helpers."""

    def __init__(
        self, shape: Shape, weights: dict[str, torch.Tensor], rates: tuple[float, float], helpers: int
    ) -> None:
        self.shape, self.weights = shape, weights
        self.optimizer = llama.Optimizer(weights, *rates, decay=0.02)
        self.parts = [part.share_memory_() for part in llama.fused(weights, shape)]
        context = processes.get_context("spawn")
        self.sums, self.pipes = [], []
        for _ in range(helpers):
            ours, theirs = context.Pipe()
            sums = [torch.zeros(part.shape).share_memory_() for part in self.parts]
            context.Process(target=helper, args=(theirs, shape, self.parts, sums), daemon=True).start()
            self.sums.append(sums)
            self.pipes.append(ours)

    def learn(self, batches: list[Batch], factor: float) -> list[torch.Tensor]:
        """One optimizer step over micro-batches of (tokens, places, documents, targets, weights), [rows, length] each.

        The weights of all micro-batches together should sum to one; `factor` is the schedule's share of the learning
        rates. Returns the unweighted losses per token of every micro-batch, flat.
        """
        for part, value in zip(self.parts, llama.fused(self.weights, self.shape), strict=True):
            part.copy_(value)
        for total in (total for sums in self.sums for total in sums):
            total.zero_()
        losses: dict[int, torch.Tensor] = {}
        waiting, free = list(range(len(batches))), list(self.pipes)
        busy: dict[Connection, int] = {}
        while waiting or busy:
            while waiting and free:
                pipe, place = free.pop(), waiting.pop(0)
                pipe.send(tuple(array.numpy() for array in batches[place]))
                busy[pipe] = place
            for pipe in [pipe for pipe in busy if pipe in wait(list(busy))]:
                losses[busy.pop(pipe)] = torch.from_numpy(pipe.recv())
                free.append(pipe)
        total = [sum(each) for each in zip(*self.sums, strict=True)]
        size = float(torch.stack([part.norm() for part in total]).norm())
        self.optimizer.step(llama.unfused([part / max(1.0, size) for part in total], self.shape), factor)
        return [losses[place] for place in range(len(batches))]

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
