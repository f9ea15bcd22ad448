"""Works: the coroutines of a gateway's commands, those of one turn of the loop done by one task while none waits.

A message that is published does not wait, and a task for it would cost a good part of what it costs itself.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any

import structlog

log = structlog.get_logger("tenfold.gateway")
Work = Coroutine[Any, Any, None]
Done = Callable[[], None]


class Works:
    """Does works one after the other in one task, until one waits: with that the task stays.

    Each of the others then gets a task of its own: they probably wait as well, and should do so together. So each work
    is in one task from its beginning to its end (`asyncio.timeout` and the like depend on that), and has a context of
    its own, as if the task were made for it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Whoever calls `do` may be in the context of another work, whose end it is.
        self._context = copy_context()
        self._waiting: deque[tuple[Work, Done]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def do(self, work: Work, done: Done) -> None:
        """Do a work, from the next turn of the loop on, and call `done` at its end."""
        self._waiting.append((work, done))
        if len(self._waiting) == 1:
            self._start(self._drive())

    def _start(self, work: Work) -> None:
        task = self._loop.create_task(work, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self) -> None:
        works, self._waiting = self._waiting, deque()
        rest: Work | None = None
        try:
            while rest is None and works:
                rest = self._begin(*works.popleft())
        finally:
            for work, done in works:
                self._start(_ended(work, done))
        if rest is not None:
            await rest

    def _begin(self, work: Work, done: Done) -> Work | None:
        """Do a work until it ends or waits; what is left of it, if anything."""
        context = self._context.copy()
        try:
            return _ended(_Rest(context, work, context.run(work.send, None)), done)
        except (StopIteration, asyncio.CancelledError):
            pass
        except Exception:
            context.run(log.exception, "gateway.command_failed")
        done()
        return None


async def _ended(work: Awaitable[None], done: Done) -> None:
    """Do a work to its end."""
    try:
        await work
    except Exception:
        log.exception("gateway.command_failed")
    finally:
        done()


class _Rest:
    """What is left of a work that waits for what it `asked`."""

    __slots__ = ("_asked", "_context", "_work")

    def __init__(self, context: Context, work: Work, asked: Any) -> None:
        self._context = context
        self._work = work
        self._asked = asked

    def __await__(self) -> Generator[Any, Any, None]:
        run, work, asked = self._context.run, self._work, self._asked
        while True:
            try:
                answer = yield asked
            except BaseException as error:
                go_on, what = work.throw, error
            else:
                go_on, what = work.send, answer
            try:
                asked = run(go_on, what)
            except StopIteration:
                return
            finally:
                del what  # an error refers to this frame
