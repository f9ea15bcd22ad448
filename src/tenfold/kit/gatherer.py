"""A gatherer: what many ask for one at a time goes out together, with one call for all of an instant."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tenfold.kit.refusals import Unavailable

A = TypeVar("A")
B = TypeVar("B")


class Gatherer(Generic[A, B]):
    """Asks for what comes in one turn of the loop together, and for what comes while `at_once` calls are under way.

    `work` answers each of a list of at most `most`, in its order; what it raises is raised to every one of its askers.
    """

    def __init__(self, work: Callable[[list[A]], Awaitable[Sequence[B]]], *, most: int, at_once: int) -> None:
        self._work = work
        self._most = most
        self._at_once = at_once
        self._waiting: list[tuple[A, asyncio.Future[B]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._is_due = False

    def ask(self, what: A) -> "asyncio.Future[B]":
        """The answer for one."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[B] = loop.create_future()
        self._waiting.append((what, answer))
        if not self._is_due and self._under_way < self._at_once:
            self._is_due = True
            loop.call_soon(self._begin)
        return answer

    def close(self) -> None:
        """Give up what is under way: who waits is told that it is `Unavailable`."""
        for task in self._tasks:
            task.cancel()
        _refuse(self._waiting)
        self._waiting.clear()

    def _begin(self) -> None:
        self._is_due = False
        if self._waiting:
            self._under_way += 1
            task = asyncio.create_task(self._ask_all())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask_all(self) -> None:
        # Counted here, with the last look at who waits: a task that has looked is not done at once, and whoever asked
        # in between would wait for somebody else to ask.
        try:
            await self._ask_until_nobody_waits()
        finally:
            self._under_way -= 1

    async def _ask_until_nobody_waits(self) -> None:
        while self._waiting:
            batch = self._waiting[: self._most]
            del self._waiting[: self._most]
            try:
                answers = await self._work([what for what, _ in batch])
            except asyncio.CancelledError:
                _refuse(batch)
                raise
            except Exception as error:  # a boundary: it belongs to those who asked
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), answer in zip(batch, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)


def _refuse(asked: "Sequence[tuple[A, asyncio.Future[B]]]") -> None:
    for _, future in asked:
        if not future.done():
            future.set_exception(Unavailable("This process is stopping."))
