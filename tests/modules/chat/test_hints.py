"""Hints to a group are rare, however much is said there, and end with the process."""

import asyncio
from datetime import timedelta

import pytest

from tenfold.kit.ids import new_id
from tenfold.modules.chat.hints import Hints
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.modules.chat.telling import Hint
from tenfold.platform.db import Database
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence

PAUSE = 0.05


class Told(Hints):
    """Hints that are noted where they would be told."""

    told: list[int]

    async def _publish(self, hint: Hint) -> None:
        self.told.append(hint.last_seq)


@pytest.fixture
def hints(database: Database) -> Told:
    """With a short rest between two."""
    hub = Hub(MemoryBroker(), MemoryPresence())
    told = Told(database, hub, ChatPolicy(hint_every=timedelta(seconds=PAUSE)))
    told.told = []
    return told


async def test_the_first_is_told_at_once_and_of_the_others_the_last(hints: Told) -> None:
    """Who has a busy group in a list must not be woken for each message."""
    group = new_id()
    for seq in range(1, 6):
        hints.changed(group, seq)
        await asyncio.sleep(0)

    assert hints.told == [1]
    await asyncio.sleep(4 * PAUSE)
    assert hints.told == [1, 5]
    hints.changed(group, 6)
    await asyncio.sleep(0)
    assert hints.told == [1, 5, 6], "it had rested"


async def test_nothing_is_told_after_the_end(hints: Told) -> None:
    """Neither what waits for its rest to end, nor what was just begun, nor what is committed later."""
    resting, begun, later = new_id(), new_id(), new_id()
    hints.changed(resting, 1)
    await asyncio.sleep(0)
    hints.changed(resting, 2)
    hints.changed(begun, 3)

    hints.close()
    hints.changed(later, 4)
    await asyncio.sleep(4 * PAUSE)

    assert hints.told == [1]
