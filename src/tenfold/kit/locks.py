"""Locks: one at a time for each key."""

import asyncio
from collections import deque
from collections.abc import Hashable
from datetime import timedelta
from typing import Generic, TypeVar

from tenfold.kit.refusals import Unavailable

K = TypeVar("K", bound=Hashable)


class KeyedLock(Generic[K]):
    """A lock for each key, held in the order of asking. A key that nobody holds takes no room."""

    def __init__(self) -> None:
        self._lines: dict[K, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        """How many keys are held."""
        return len(self._lines)

    def hold(self, key: K, patience: timedelta) -> "_Hold[K]":
        """A block in which nobody else holds the key; raises `Unavailable` when its turn does not come in this time."""
        return _Hold(self, key, patience)

    async def acquire(self, key: K, patience: timedelta) -> None:
        """Wait for one's turn; `release` must follow."""
        line = self._lines.get(key)
        if line is None:
            self._lines[key] = deque()
            return
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            async with asyncio.timeout(patience.total_seconds()):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.release(key)
            if isinstance(error, TimeoutError):
                raise Unavailable("Too many wait for the same thing; try again.", retry_after=1) from error
            raise

    def release(self, key: K) -> None:
        """Let the next one have it, if somebody waits."""
        line = self._lines[key]
        while line:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._lines[key]


class _Hold(Generic[K]):
    """The block of `hold`. A class, because a generator's context manager costs several times as much."""

    __slots__ = ("_key", "_lock", "_patience")

    def __init__(self, lock: KeyedLock[K], key: K, patience: timedelta) -> None:
        self._lock = lock
        self._key = key
        self._patience = patience

    async def __aenter__(self) -> None:
        await self._lock.acquire(self._key, self._patience)

    async def __aexit__(self, *_: object) -> None:
        self._lock.release(self._key)
