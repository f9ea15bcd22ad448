"""The memory twin of the bus: one process, which hears itself. It has no connection to lose, so it never has a gap."""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from tenfold.platform.bus.listeners import Listening, stop

if TYPE_CHECKING:
    from tenfold.platform.db import Write


class MemoryBus(Listening):
    """Carries signals inside this process, as the JSON values that another process would see."""

    def __init__(self) -> None:
        super().__init__()
        self._arrived: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def send_in(self, tx: "Write", signals: list[tuple[str, Any]]) -> None:
        """Have the transaction's commit put the signals in the line."""
        encoded = [(topic, msgspec.json.encode(payload)) for topic, payload in signals]

        def leave() -> None:
            for signal in encoded:
                self._arrived.put_nowait(signal)

        tx.on_commit(leave)

    async def send(self, topic: str, payload: object) -> None:
        """Put a signal in the line."""
        self._arrived.put_nowait((topic, msgspec.json.encode(payload)))

    async def open(self) -> None:
        """Start to deliver, in order."""
        self._task = asyncio.create_task(self._deliver(), name="bus")

    async def close(self) -> None:
        """Stop to deliver; what is still in the line is lost."""
        await stop(self._task)
        self._task = None

    async def _deliver(self) -> None:
        while True:
            topic, payload = await self._arrived.get()
            await self._hear(topic, msgspec.json.decode(payload))
