"""A link: the connection to one server, made again whenever it is lost, with pauses that grow and are never alike."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import structlog

from tenfold.kit.refusals import Unavailable
from tenfold.platform.observe import metrics
from tenfold.platform.redis.address import Address
from tenfold.platform.redis.connection import Connection

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
log = structlog.get_logger("tenfold.redis")


class Link:
    """Calls `changed(self)` each time that it is up or down; `pushed` takes what the server sends unasked."""

    def __init__(
        self,
        address: Address,
        *,
        pushed: Callable[[list[Any]], None],
        changed: Callable[["Link"], None],
        patience: float,
    ) -> None:
        self.address = address
        self.connection: Connection | None = None
        self.settled = asyncio.Event()
        self._pushed = pushed
        self._changed = changed
        self._patience = patience
        self._task: asyncio.Task[None] | None = asyncio.create_task(self._keep(), name=f"redis {address}")

    def use(self) -> Connection:
        """The connection as it is; raises `Unavailable` at once while there is none."""
        if self.connection is None or self.connection.ended.done():
            raise Unavailable("Redis is gone.")
        return self.connection

    def drop(self) -> None:
        """Give up the present connection for a new one: the server is not what it was."""
        if self.connection is not None:
            self.connection.close()

    async def close(self) -> None:
        """Let go for good."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self.drop()
        self.connection = None

    async def _keep(self) -> None:
        pause, said = _FIRST_PAUSE, False
        while True:
            try:
                self.connection = await Connection.to(self.address, self._pushed, patience=self._patience)
            except Exception as error:  # a boundary: whatever it is, the server may be there later
                if not said:
                    log.warning("redis.unreachable", server=str(self.address), error=str(error) or type(error).__name__)
                    said = True
                self.settled.set()
            else:
                pause, said = _FIRST_PAUSE, False
                self._changed(self)
                self.settled.set()
                with metrics.redis_links.track_inprogress():
                    await self.connection.ended
                self.connection = None
                log.warning("redis.lost", server=str(self.address))
                self._changed(self)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(pause * 2, _LONGEST_PAUSE)
