"""An errand: one thing that is done when it is asked for, and again and again while a server that it needs is away.

One run at a time, in a task of its own; what goes wrong for another reason is logged, and that was it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus.listeners import stop

AWAY = (Unavailable, OSError)
"""What a call raises when the server behind it is gone; a timeout is an OSError."""
AGAIN = 1.0
"""Seconds until a server that was away is tried again: not every one tells when it is back."""

log = structlog.get_logger(__name__)


class Errand:
    """`work` raises `Unavailable` or `OSError` when it must be done again."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._is_due = False
        self._is_urgent = asyncio.Event()
        self._is_over = False
        self._task: asyncio.Task[None] | None = None

    def do(self) -> None:
        """Do it now; once more, if it is under way."""
        self._is_urgent.set()
        self.do_soon()

    def do_soon(self) -> None:
        """Do it after a pause."""
        self._is_due = True
        if not self._is_over and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._insist())

    async def close(self) -> None:
        """Do it no more, whoever asks."""
        self._is_over = True
        await stop(self._task)

    async def _insist(self) -> None:
        while self._is_due:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN):
                    await self._is_urgent.wait()
            self._is_due = False
            self._is_urgent.clear()
            try:
                await self._work()
            except AWAY as error:
                log.info("realtime.cannot_do_yet", what=self._work.__qualname__, error=str(error))
                self._is_due = True
            except Exception:
                log.exception("realtime.errand_failed", what=self._work.__qualname__)
