"""Waiting: for what comes true in another task, of a test that knows no moment for it."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait for something to come true. Raises `TimeoutError` after so many seconds."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.002)
