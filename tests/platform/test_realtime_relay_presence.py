"""Presence over the bus: every process knows of all, whatever was lost between them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tenfold.kit.ids import new_id
from tenfold.platform.realtime.presence import Present
from tenfold.platform.realtime.relay_presence import ENTRIES_PER_SIGNAL, RelayedPresence
from tests.platform.realtime_world import Stopwatch
from tests.platform.test_realtime_relay import Line
from tests.waiting import until


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    await line.open()
    yield line
    await line.close()


class Node:
    """One process: its table and its name."""

    def __init__(self, line: Line, watch: Stopwatch) -> None:
        self.name = new_id().hex
        self.table = RelayedPresence(line, now=watch)
        self.line = line

    async def start(self) -> "Node":
        await self.table.renew(self.name)
        await self.line.settle()
        return self

    async def takes(self, *clients: str) -> None:
        for client in clients:
            entry = Present(new_id(), client, new_id(), self.name, 1.0)
            await self.table.enter([("room:1", entry)])
        await self.line.settle()

    async def seen(self) -> list[str]:
        (present,) = await self.table.present(["room:1"])
        return sorted(entry.client for entry in present)


async def test_every_process_sees_who_is_connected_to_the_others(line: Line) -> None:
    """Also one that starts later, and until a process stops or its lease ends."""
    watch = Stopwatch()
    one = await Node(line, watch).start()
    await one.takes("a", "b")
    two = await Node(line, watch).start()
    await two.takes("c")
    await one.table.renew(one.name)
    await line.settle()
    assert await one.seen() == await two.seen() == ["a", "b", "c"]

    (entries,) = await two.table.present(["room:1"])
    await one.table.leave([("room:1", entry) for entry in entries if entry.client == "a"])
    await line.settle()
    assert await two.seen() == ["b", "c"]

    watch.seconds += 7
    await two.table.renew(two.name)
    await line.settle()
    watch.seconds += 7
    assert await two.seen() == ["c"]
    assert await two.table.sweep() == []
    watch.seconds += 7
    await two.table.renew(two.name)
    assert await two.table.sweep() == ["room:1"]

    await two.table.release(two.name)
    await line.settle()
    assert await one.seen() == []


@pytest.mark.parametrize("torn", ["sender", "listener"])
async def test_what_the_bus_lost_is_asked_for(line: Line, torn: str) -> None:
    """The table is right again after the next word of the node that it was wrong about."""
    watch = Stopwatch()
    one, two = await Node(line, watch).start(), await Node(line, watch).start()
    await one.takes("a")
    if torn == "sender":
        line.is_torn = True
        await one.takes("b")
        line.is_torn = False
    else:
        await one.takes("b")
        two.table.drop(one.name)
        await line.tell_of_gap()
    assert "b" not in await two.seen()

    await one.table.renew(one.name)
    await line.settle()

    assert await one.seen() == await two.seen() == ["a", "b"]


async def test_who_leaves_while_everything_is_told_stays_away(line: Line) -> None:
    """An answer has many parts; one that was begun before somebody left must not bring them back."""
    watch = Stopwatch()
    one, two = await Node(line, watch).start(), await Node(line, watch).start()
    crowd = [f"client{number:03}" for number in range(2 * ENTRIES_PER_SIGNAL)]
    await one.takes(*crowd)
    (entries,) = await one.table.present(["room:1"])
    await line.tell_of_gap()

    line.is_slow = True
    line.sent.clear()
    await one.table.renew(one.name)
    while "came" not in line.sent[-1]:
        await asyncio.sleep(0)
    await one.table.leave([("room:1", entries[-1])])
    await until(lambda: sum("came" in said for said in line.sent) == 2)
    line.is_slow = False
    await line.settle()
    await line.settle()

    assert await one.seen() == await two.seen() == sorted(entry.client for entry in entries[:-1])


async def test_who_could_not_be_asked_is_asked_again(line: Line) -> None:
    """The bus is away for an instant, just when the question is due. Until it is put, what is known stays."""
    watch = Stopwatch()
    one, two = await Node(line, watch).start(), await Node(line, watch).start()
    await one.takes("a")
    line.is_torn = True
    await one.takes("b")
    line.is_torn = False

    line.torn_for = "asks"
    await one.table.renew(one.name)
    await line.settle()
    assert await two.seen() == ["a"]
    line.torn_for = ""
    await one.table.renew(one.name)
    await line.settle()

    assert await two.seen() == ["a", "b"]


async def test_a_question_that_nobody_heard_is_put_again(line: Line) -> None:
    """Whoever was asked had lost the line; when it is back, its next word says that something is missing."""
    watch = Stopwatch()
    one = await Node(line, watch).start()
    ends = line.ends
    two = await Node(line, watch).start()
    await one.takes("a")
    await line.tell_of_gap()
    line.deaf_to = "asks"
    await one.table.renew(one.name)
    await line.settle()
    assert await two.seen() == []

    line.deaf_to = ""
    await line.tell_of_gap(ends)
    await one.table.renew(one.name)
    await line.settle()

    assert await two.seen() == ["a"]


async def test_a_crowd_is_told_in_signals_that_a_bus_can_carry(line: Line) -> None:
    """Postgres carries 7,900 bytes in one at ease."""
    one = await Node(line, Stopwatch()).start()
    two = await Node(line, Stopwatch()).start()
    crowd = [
        (f"user:{new_id()}", Present(new_id(), new_id().hex, new_id(), one.name, 1234567890.123)) for _ in range(100)
    ]

    await one.table.enter(crowd)
    await line.settle()

    assert max(line.sizes) < 7900
    assert [len(present) for present in await two.table.present([channel for channel, _ in crowd])] == [1] * 100
