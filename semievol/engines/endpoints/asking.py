"""Many questions to endpoints, several at once: what `method.protocols.Engine.call` promises. Also their fine-tunings.

Questions are taken as there is room, and what has come is handed over at once, so that little is lost if the process
dies. Nothing is put that the purse may not allow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from semievol.endpoints import Endpoint, address, name_of, tuned_of, unknown
from semievol.engines.endpoints import batches, tuning
from semievol.engines.endpoints.server import Patience, Server
from semievol.engines.endpoints.work import Work
from semievol.errors import UserError
from semievol.method.protocols import Ask, Called, Listener, OutOfBudget, Stopped
from semievol.method.spending import Purse, Spent
from semievol.records import Example

_GLANCE_SECONDS = 0.3  # a request to stop is looked up this often
_GRACE_SECONDS = 15.0  # for questions under way, once somebody asks to stop
IN_A_ROW = 12
"""Questions in a row without an answer, after which a server counts as lost; at least twice as many as at once."""


class Endpoints:
    """The endpoints that a run uses, each asked through one client. Used by one thread.

    environment: where the keys are.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], environment: Mapping[str, str], patience: Patience | None = None
    ) -> None:
        self._known = {endpoint.name: endpoint for endpoint in endpoints}
        self._environment, self._patience = environment, patience or Patience()
        self._runner = asyncio.Runner()
        self._servers: dict[str, Server] = {}

    def call(
        self,
        asks: Iterable[Ask],
        purse: Purse,
        took: Callable[[Sequence[Called]], None],
        stopping: Callable[[], bool],
        said: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """See the protocol."""
        self._runner.run(self._call(iter(asks), purse, took, stopping, said))

    def tune(
        self,
        model: str,
        examples: Sequence[Example],
        held_out: Sequence[Example],
        epochs: int,
        seed: int,
        start: str,
        place: Path,
        purse: Purse,
        listener: Listener,
    ) -> str:
        """The address of a model that the server of `endpoint:NAME` has fine-tuned. start: the server's name of the
        model to start from, empty for the endpoint's own. Otherwise see the protocol and `tuning.tuned`."""
        aside = 0.0

        def allow(cost: float) -> bool:
            nonlocal aside
            allowed = purse.set_aside(cost)
            aside = cost * allowed
            return allowed

        async def tuned() -> tuning.Tuned | float:
            server = self.server(model)
            job = Work(start or server.endpoint.model, examples, held_out, epochs, seed)
            return await tuning.tuned(server, job, place, allow, listener)

        spent = Spent()
        try:
            found = self._runner.run(tuned())
            if not isinstance(found, tuning.Tuned):
                raise OutOfBudget(purse.out("fine-tuning", found))
            spent = found.spent
        finally:
            purse.settle(aside, name_of(model), spent)
            listener.kept()
        tuning.counted(place, found.over)
        if found.problem is not None:
            raise found.problem

        async def served() -> None:
            await tuning.served(self.server(model), found.model, listener)

        self._runner.run(served())
        return address(model, found.model)

    def close(self) -> None:
        """Ends the connections; a later call would open them again."""

        async def closed() -> None:
            for server in self._servers.values():
                await server.close()
            self._servers.clear()

        self._runner.run(closed())
        self._runner.close()
        self._runner = asyncio.Runner()

    def server(self, model: str) -> Server:
        """The server of `endpoint:NAME`, or of a model that was fine-tuned there. Raises UserError for a name that the
        workspace does not have, and for a key that is missing. Called within the event loop."""
        if model not in self._servers:
            name, tuned = name_of(model), tuned_of(model)
            endpoint = self._known.get(name)
            if endpoint is None:
                raise unknown(name, self._known)
            key = endpoint.key(self._environment)
            new = Server(endpoint.tuned(tuned) if tuned else endpoint, key, self._patience, bool(tuned))
            for other in self._servers.values():
                if other.endpoint.name == name:
                    new.room = other.room  # the limit holds for all models of a server together
            self._servers[model] = new
        return self._servers[model]

    async def _call(
        self,
        asks: Iterator[Ask],
        purse: Purse,
        took: Callable[[Sequence[Called]], None],
        stopping: Callable[[], bool],
        said: Callable[[str], None],
    ) -> None:
        stop, ending = asyncio.Event(), _Ending(took)
        under_way: dict[asyncio.Task[Called], _Question] = {}
        together: dict[Server, list[_Question]] = {}  # to be handed over as batches
        ready = False  # one of them is full
        held: Ask | None = None
        try:
            while True:
                while not ending.begun and len(under_way) < self._room() and not ready:
                    held = held or next(asks, None)
                    if held is None:
                        break
                    server = self.server(held.model)
                    question = _Question(held, server, purse)
                    if not question.set_aside(server.most(held)):
                        if not under_way and not together:
                            ending.because(OutOfBudget(purse.out()))
                        break
                    if server.endpoint.batch:
                        together.setdefault(server, []).append(question)
                        ready = batches.full([one.ask for one in together[server]])
                    else:
                        under_way[asyncio.create_task(server.answer(held, question.set_aside, stop))] = question
                    held = None
                if not under_way and together and not ending.begun:
                    await _hand_over(together, ending, stopping, said)
                    together, ready = {}, False
                    continue
                if not under_way:
                    break
                done, _ = await asyncio.wait(under_way, timeout=_GLANCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    ending.ended(task, under_way.pop(task))
                ending.hand_over()
                if not ending.begun and stopping():
                    ending.because(Stopped())
                if ending.begun:
                    stop.set()
                    if ending.waited_enough():
                        for task in under_way:
                            task.cancel()
        finally:
            for task in under_way:  # only if something broke
                task.cancel()
        ending.finish()

    def _room(self) -> int:
        """Questions that may be under way: the servers' own limits hold inside."""
        return sum(server.endpoint.concurrency for server in self._servers.values()) or 1


async def _hand_over(
    questions: Mapping[Server, Sequence[_Question]],
    ending: _Ending,
    stopping: Callable[[], bool],
    said: Callable[[str], None],
) -> None:
    """Puts questions as batches, one for each server, all at the same time, and waits for them. Where one cannot go on,
    the others are left at their servers, too: the same questions find them there."""

    def over() -> bool:
        return ending.begun or stopping()

    await asyncio.gather(*(_batch(server, mine, ending, over, said) for server, mine in questions.items()))


async def _batch(
    server: Server,
    questions: Sequence[_Question],
    ending: _Ending,
    stopping: Callable[[], bool],
    said: Callable[[str], None],
) -> None:
    of_ask = {question.ask: question for question in questions}
    missed: list[Called] = []

    def allow(ask: Ask, cost: float) -> bool:
        return of_ask[ask].set_aside(cost)

    def came(called: Iterable[Called]) -> None:
        for one in called:
            ending.came(one, of_ask[one.ask])
            missed.extend([one] if one.reply is None else [])
        ending.hand_over()

    try:
        await batches.put(server, list(of_ask), allow, came, stopping, said)
    except (Stopped, UserError) as why:  # a batch that goes on is charged to the run that takes its answers
        ending.because(why)
        return
    if len(missed) >= max(IN_A_ROW, len(questions) - 1):  # one may have been put alone
        ending.lost(server.endpoint, len(missed), missed[-1].reason)


@dataclass
class _Question:
    """A question under way, and what is set aside for its tries."""

    ask: Ask
    server: Server
    purse: Purse
    aside: float = 0.0

    def set_aside(self, cost: float) -> bool:
        allowed = self.purse.set_aside(cost)
        self.aside += cost * allowed
        return allowed

    def settle(self, spent: Spent) -> None:
        self.purse.settle(self.aside, self.server.endpoint.name, spent)


class _Ending:
    """What has come and is to be handed over, and why no further question is put."""

    def __init__(self, took: Callable[[Sequence[Called]], None]) -> None:
        self._took = took
        self._come: list[Called] = []
        self._in_a_row: dict[str, int] = {}
        self._why: Exception | None = None
        self._since = 0.0

    @property
    def begun(self) -> bool:
        return self._why is not None

    def because(self, why: Exception) -> None:
        self._why = self._why or why
        self._since = self._since or asyncio.get_running_loop().time()

    def ended(self, task: asyncio.Task[Called], question: _Question) -> None:
        endpoint = question.server.endpoint
        if task.cancelled():  # it may have been answered, and charged
            called = Called(question.ask, None, endpoint.name, Spent(tries=1, cost=question.aside), "the run stopped")
        elif (problem := task.exception()) is not None:
            question.settle(Spent())
            if not isinstance(problem, Exception):
                raise problem
            self.because(problem)
            return
        else:
            called = task.result()
        self.came(called, question)
        row = 0 if called.reply else self._in_a_row.get(endpoint.name, 0) + 1
        self._in_a_row[endpoint.name] = row
        if row >= max(IN_A_ROW, 2 * endpoint.concurrency):
            self.lost(endpoint, row, called.reason)

    def lost(self, endpoint: Endpoint, row: int, reason: str) -> None:
        """The server answers nothing any more."""
        self.because(
            UserError(
                f"The server gave no answer to {row} questions in a row; the last time: {reason}.",
                f"endpoint {endpoint.name}",
                "Test the endpoint on the Settings page; then resume the run, which asks only what is open.",
            )
        )

    def came(self, called: Called, question: _Question) -> None:
        question.settle(called.spent)
        self._come.append(called)

    def hand_over(self) -> None:
        come, self._come = self._come, []
        if come:
            self._took(come)

    def waited_enough(self) -> bool:
        return asyncio.get_running_loop().time() - self._since > _GRACE_SECONDS

    def finish(self) -> None:
        self.hand_over()
        if self._why is not None:
            raise self._why
