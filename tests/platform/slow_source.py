"""What the tests of the cache compute from: something slow, that counts how often it is asked."""

import asyncio
from collections.abc import Sequence
from typing import Any


class Source:
    """Something slow to ask, that counts how often it was asked and waits for `gate` where one is set."""

    def __init__(self, value: Any = "value") -> None:
        self.value = value
        self.asked = 0
        self.asked_for: list[list[object]] = []
        self.gate: asyncio.Event | None = None

    async def one(self) -> Any:
        self.asked += 1
        value = self.value
        await self._pass()
        if isinstance(value, Exception):
            raise value
        return value

    async def many(self, keys: Sequence[object]) -> dict[object, Any]:
        self.asked += 1
        self.asked_for.append(list(keys))
        value = self.value
        await self._pass()
        return {key: f"{value} {key}" for key in keys if key != "nobody"}

    async def _pass(self) -> None:
        if self.gate is None:
            await asyncio.sleep(0)
        else:
            await self.gate.wait()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)
