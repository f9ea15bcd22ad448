"""The outlet: whatever the bus did not take is told of, however sends overlap."""

import asyncio

import pytest

from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus.memory import MemoryBus
from tenfold.platform.realtime.outlet import Message, Outlet


class Counter(MemoryBus):
    """A bus that takes or refuses each message when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bool] = []
        self.open_sends: list[asyncio.Future[None]] = []

    async def send(self, topic: str, payload: object) -> None:
        assert isinstance(payload, dict)
        self.said.append("missed" in payload)
        self.open_sends.append(asyncio.get_running_loop().create_future())
        await self.open_sends[-1]


class Desk:
    """An outlet whose sends end as the test says."""

    def __init__(self) -> None:
        self.bus = Counter()
        self.outlet = Outlet(self.bus, "desk")

    async def begin(self) -> asyncio.Task[bool]:
        task = asyncio.create_task(self.outlet.send(Message()))
        await asyncio.sleep(0)
        return task

    def take(self, number: int) -> None:
        self.bus.open_sends[number].set_result(None)

    def refuse(self, number: int, error: Exception) -> None:
        self.bus.open_sends[number].set_exception(error)


async def test_a_loss_is_told_although_another_message_leaves_meanwhile() -> None:
    """The one that leaves was on its way before the loss, so it says nothing of it."""
    desk = Desk()
    lost, other = await desk.begin(), await desk.begin()
    desk.refuse(0, Unavailable())
    desk.take(1)
    assert (await lost, await other) == (False, True)

    for number in (2, 3):
        task = await desk.begin()
        desk.take(number)
        await task

    assert desk.bus.said == [False, False, True, False]


async def test_of_two_losses_that_overlap_with_their_word_none_is_forgotten() -> None:
    """The word of the first is under way when the second happens."""
    desk = Desk()
    first, second = await desk.begin(), await desk.begin()
    desk.refuse(0, Unavailable())
    await first
    word = await desk.begin()
    desk.refuse(1, TimeoutError())
    desk.take(2)
    assert (await second, await word) == (False, True)

    last = await desk.begin()
    desk.take(3)
    await last

    assert desk.bus.said == [False, False, True, True]


@pytest.mark.parametrize("end", ["cancelled", "broken"])
async def test_whatever_ends_a_send_it_counts_as_lost(end: str) -> None:
    """Nobody knows whether it has left; the others come back for nothing at worst."""
    desk = Desk()
    send = await desk.begin()
    if end == "cancelled":
        send.cancel()
    else:
        desk.refuse(0, ValueError())
    with pytest.raises((asyncio.CancelledError, ValueError)):
        await send

    after = await desk.begin()
    desk.take(1)
    await after

    assert desk.bus.said == [False, True]


async def test_what_is_not_even_tried_can_be_noted() -> None:
    """As while nobody is there who would hear."""
    desk = Desk()
    desk.outlet.lose()
    send = await desk.begin()
    desk.take(0)
    assert await send
    assert desk.bus.said == [True]
