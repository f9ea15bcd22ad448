"""Listeners: who hears which topic in this process, and the one task that tells them, in the order of arrival."""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from tenfold.platform.bus import Bus, Listener

log = structlog.get_logger("tenfold.bus")
Gap = Callable[[], Awaitable[None] | None]


class Listening(Bus):
    """The half of a bus that is the same for every engine. A listener that raises is logged, and stops nobody else."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}
        self._gaps: list[Gap] = []

    def listen(self, topic: str, listener: Listener) -> None:
        """Call `listener(payload)` for each signal of a topic. Call before `open`."""
        self._listeners.setdefault(topic, []).append(listener)

    def on_gap(self, callback: Gap) -> None:
        """Call this when signals may have been missed."""
        self._gaps.append(callback)

    async def _hear(self, topic: str, payload: Any) -> None:
        for listener in self._listeners.get(topic, ()):
            await _call(listener, payload)

    async def _tell_of_gap(self) -> None:
        for callback in self._gaps:
            await _call(callback)


async def _call(function: Callable[..., Awaitable[None] | None], *arguments: Any) -> None:
    try:
        answer = function(*arguments)
        if inspect.isawaitable(answer):
            await answer
    except Exception as error:  # a boundary: one listener's mistake is not another's
        log.exception("a listener failed", exc_info=error)


async def stop(task: "asyncio.Task[None] | None") -> None:
    """End a background task and wait for its end."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
