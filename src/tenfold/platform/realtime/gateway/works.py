"""Works: the coroutines of a gateway's commands, many of them done by one task.

Most commands never wait, and a task for each would cost more than many of them.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any

import structlog

log = structlog.get_logger("tenfold.gateway")
Work = Coroutine[Any, Any, None]


class Works:
    """Does works one after the other, in a task that stays with the first that waits; the others go on in another.

    So each work is in one task from its beginning to its end (`asyncio.timeout` and the like depend on that), and has a
    context of its own, as if the task were made for it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Work, Callable[[], None]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_driven = False

    def do(self, work: Work, done: Callable[[], None]) -> None:
        """Do a work, from the next turn of the loop on, and call `done` at its end, whatever that is."""
        self._waiting.append((work, done))
        if not self._is_driven:
            self._drive_on()

    def _drive_on(self) -> None:
        self._is_driven = True
        task = self._loop.create_task(self._drive())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self) -> None:
        rest: _Rest | None = None
        try:
            while rest is None and self._waiting:
                rest = _begin(*self._waiting.popleft())
        finally:
            self._is_driven = False
            if self._waiting:
                self._drive_on()
        if rest is not None:
            await rest.ended()


def _begin(work: Work, done: Callable[[], None]) -> "_Rest | None":
    """Do a work until it ends or waits; what is left of it, if anything."""
    context = copy_context()
    try:
        return _Rest(context, work, context.run(work.send, None), done)
    except (StopIteration, asyncio.CancelledError):
        pass
    except Exception:
        log.exception("gateway.command_failed")
    done()
    return None


class _Rest:
    """What is left of a work that waits for what it `asked`."""

    __slots__ = ("_asked", "_context", "_done", "_work")

    def __init__(self, context: Context, work: Work, asked: Any, done: Callable[[], None]) -> None:
        self._context = context
        self._work = work
        self._asked = asked
        self._done = done

    async def ended(self) -> None:
        """Do it to its end."""
        try:
            await self
        except Exception:
            log.exception("gateway.command_failed")
        finally:
            self._done()

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
