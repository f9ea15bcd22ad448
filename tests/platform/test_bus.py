"""The promise of the bus, over all engines; and what only those with a connection can lose."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus import Bus
from tenfold.platform.bus.memory import MemoryBus
from tenfold.platform.bus.postgres import PostgresBus
from tenfold.platform.bus.redis import RedisBus
from tenfold.platform.db import Database
from tests.platform.redis_world import client_of, fresh_prefix
from tests.redis import RedisServer


@pytest.fixture
def database(shared_database: Database) -> Database:
    """What one test of this file leaves does not disturb another."""
    shared_database.outbox = None
    return shared_database


class Ear:
    """What was heard."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.gaps = 0

    def __call__(self, payload: Any) -> None:
        self.heard.append(payload)

    async def gap(self) -> None:
        self.gaps += 1

    async def until(self, done: Callable[["Ear"], bool]) -> None:
        """Wait until something is true of what was heard."""
        async with asyncio.timeout(10):
            while not done(self):
                await asyncio.sleep(0.005)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture(params=["memory", "postgres", "redis", "redis cluster"])
async def bus(request: pytest.FixtureRequest, database: Database, ear: Ear) -> AsyncIterator[Bus]:
    match request.param:
        case "memory":
            bus: Bus = MemoryBus()
        case "postgres":
            bus = PostgresBus(database)
        case kind:
            server = request.getfixturevalue("redis_server" if kind == "redis" else "redis_cluster")
            bus = RedisBus(client_of(server, fresh_prefix()))
    bus.listen("news", ear)
    await bus.open()
    yield bus
    await bus.close()


async def test_a_signal_reaches_its_listeners_and_no_others(bus: Bus, ear: Ear) -> None:
    """A process hears its own signals, in order, as JSON values."""
    await bus.send("weather", "rain")
    await bus.send("news", {"a": [1, None, "ü"]})
    await bus.send("news", 2)

    await ear.until(lambda ear: len(ear.heard) == 2)

    assert ear.heard == [{"a": [1, None, "ü"]}, 2]


async def test_a_signal_of_a_transaction_leaves_with_its_commit(bus: Bus, ear: Ear, database: Database) -> None:
    """What is rolled back was never said, and what is not committed yet is not heard."""
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is the transaction
        async with database.write() as tx:
            await bus.send_in(tx, [("news", "never")])
            raise ZeroDivisionError
    async with database.write() as tx:
        await bus.send_in(tx, [("news", 1), ("news", 2), ("news", 1)])
        await asyncio.sleep(0.05)
        assert ear.heard == []

    await ear.until(lambda ear: len(ear.heard) == 3)

    assert ear.heard == [1, 2, 1]


async def test_a_signal_may_be_large(bus: Bus, ear: Ear, database: Database) -> None:
    """A notification has room for 8,000 bytes; a signal has more, and keeps its place in the order."""
    large = "x" * 100_000
    async with database.write() as tx:
        await bus.send_in(tx, [("news", "before"), ("news", large), ("news", "after")])
    await bus.send("news", "ü" * 3_950)

    await ear.until(lambda ear: len(ear.heard) == 4)

    assert ear.heard == ["before", large, "after", "ü" * 3_950]


async def test_a_listener_that_fails_stops_nobody_else(database: Database, ear: Ear) -> None:
    """A mistake in one part does not make the others deaf."""

    async def broken(payload: Any) -> None:
        raise RuntimeError(payload)

    bus = MemoryBus()
    bus.listen("news", broken)
    bus.listen("news", ear)
    await bus.open()
    await bus.send("news", 1)
    await bus.send("news", 2)

    await ear.until(lambda ear: len(ear.heard) == 2)

    await bus.close()
    assert ear.heard == [1, 2]


async def test_every_process_hears(database: Database, ear: Ear) -> None:
    """Two buses on one database are two processes of one installation."""
    here, there = PostgresBus(database), PostgresBus(database)
    there.listen("news", ear)
    await here.open()
    await there.open()
    try:
        await here.send("news", "hello")
        await ear.until(lambda ear: ear.heard == ["hello"])
    finally:
        await here.close()
        await there.close()


async def test_a_bus_closes_in_the_moment_that_it_hears(database: Database) -> None:
    """The end of a process must not hang on a signal that arrives with it."""
    for _ in range(20):
        bus = PostgresBus(database)
        await bus.open()
        await bus.send("news", 1)
        line = bus._line
        assert line is not None
        while not line.arrived.qsize() and bus._task is not None:
            line.arrived.put_nowait('["news", 1, "x"]')

        async with asyncio.timeout(5):
            await bus.close()


async def test_a_lost_connection_is_found_again_and_the_gap_is_told(database: Database, ear: Ear) -> None:
    """Whoever keeps something from the bus reads it again, since it may have missed a word."""
    bus = PostgresBus(database)
    bus.listen("news", ear)
    bus.on_gap(ear.gap)
    await bus.open()
    try:
        async with database.write() as tx:
            await tx.connection.execute(
                """select pg_terminate_backend(pid) from pg_stat_activity
                    where datname = current_database() and query ilike 'listen%'"""
            )
        await ear.until(lambda ear: ear.gaps == 1)
        await bus.send("news", "again")
        await ear.until(lambda ear: ear.heard == ["again"])
    finally:
        await bus.close()


async def test_without_redis_a_commit_succeeds_and_says_nothing(database: Database, ear: Ear) -> None:
    """The deed is done; its signal is lost, and the gap is told when Redis is there."""
    server = RedisServer()
    try:
        here, there = (RedisBus(client_of(server, "bus")) for _ in range(2))
        there.listen("news", ear)
        there.on_gap(ear.gap)
        for bus in (here, there):
            await bus.open()
        async with database.write() as tx:
            await here.send_in(tx, [("news", "lost")])
        with pytest.raises(Unavailable):
            await here.send("news", "refused")

        await asyncio.to_thread(server.start)
        await ear.until(lambda ear: ear.gaps)
        async with asyncio.timeout(10):
            while ear.heard == []:
                async with database.write() as tx:
                    await here.send_in(tx, [("news", "heard")])
                await asyncio.sleep(0.02)

        for bus in (here, there):
            await bus.close()
        assert set(ear.heard) == {"heard"}
    finally:
        server.remove()


async def test_signals_that_could_not_leave_are_made_good_by_a_gap_for_all(
    redis_server: RedisServer, database: Database, ear: Ear
) -> None:
    """Only the sender was cut off: the others have no reason of their own to think that they missed anything."""
    prefix = fresh_prefix()
    sender = client_of(redis_server, prefix)
    here, there = RedisBus(sender), RedisBus(client_of(redis_server, prefix))
    there.listen("news", ear)
    there.on_gap(ear.gap)
    for bus in (here, there):
        await bus.open()
    sender.links()[0].drop()

    async with database.write() as tx:
        await here.send_in(tx, [("news", "lost")])
    await ear.until(lambda ear: ear.gaps == 1)

    for bus in (here, there):
        await bus.close()
    assert ear.heard == []


async def test_a_redis_that_died_is_listened_to_again(ear: Ear) -> None:
    """Every process hears again what is said after the gap."""
    server = RedisServer()
    try:
        server.start()
        here, there = (RedisBus(client_of(server, "bus")) for _ in range(2))
        there.listen("news", ear)
        there.on_gap(ear.gap)
        for bus in (here, there):
            await bus.open()
        assert ear.gaps == 0
        await here.send("news", 1)
        await ear.until(lambda ear: ear.heard == [1])

        server.kill()
        await asyncio.to_thread(server.start)
        await ear.until(lambda ear: ear.gaps == 1)
        async with asyncio.timeout(10):
            while ear.heard == [1]:
                with contextlib.suppress(Unavailable):
                    await here.send("news", 2)
                await asyncio.sleep(0.02)

        for bus in (here, there):
            await bus.close()
        assert ear.heard[1] == 2
    finally:
        server.remove()
