"""What a transaction announces arrives after its commit, where it belongs, and never otherwise."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tenfold.platform.announcer import Announcer
from tenfold.platform.bus.memory import MemoryBus
from tenfold.platform.bus.postgres import PostgresBus
from tenfold.platform.db import Database
from tenfold.platform.jobs.pgqueuer import Queue
from tenfold.platform.jobs.registry import Registry
from tenfold.platform.jobs.worker import WAKE
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence
from tests.platform import jobs_world as shop
from tests.platform.jobs_world import PostPublished, workshop


@pytest.fixture
def database(shared_database: Database) -> Database:
    """What one test of this file leaves does not disturb another."""
    shared_database.outbox = None
    return shared_database


class Loudspeaker(Hub):
    """A realtime engine that also keeps what it was given; told to, it fails."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker(), MemoryPresence())
        self.said: list[tuple[list[str], object]] = []
        self.is_broken = False

    async def publish(self, channels: Iterable[str], data: object) -> None:
        if self.is_broken:
            raise ConnectionError("no power")
        self.said.append((list(channels), data))


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    bus = MemoryBus()
    await bus.open()
    yield bus
    await bus.close()


@pytest.fixture
def speaker(database: Database, bus: MemoryBus) -> Loudspeaker:
    speaker = Loudspeaker()
    database.outbox = Announcer(Queue(database, Registry(shop.JOBS.values())), bus, speaker)
    return speaker


async def test_live_messages_leave_after_the_commit(database: Database, speaker: Loudspeaker) -> None:
    """One message to many channels is one publication, so that it is encoded once."""
    message = {"id": 1}
    async with database.write() as tx:
        tx.tell("user:1", message)
        tx.tell("user:2", message)
        tx.tell("user:1", {"id": 2})
        assert speaker.said == []

    assert speaker.said == [(["user:1", "user:2"], {"id": 1}), (["user:1"], {"id": 2})]


async def test_a_rolled_back_transaction_says_nothing(database: Database, speaker: Loudspeaker, bus: MemoryBus) -> None:
    """Nobody hears of what did not happen."""
    heard: list[Any] = []
    bus.listen("news", heard.append)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is the transaction
        async with database.write() as tx:
            tx.tell("user:1", 1)
            tx.signal("news", 1)
            tx.publish(PostPublished(author="ana", text="one"))
            raise ZeroDivisionError
    await asyncio.sleep(0.02)

    assert (speaker.said, heard) == ([], [])


async def test_a_broken_live_message_does_not_undo_the_answer(database: Database, speaker: Loudspeaker) -> None:
    """The deed is committed: its caller is told so, whatever happens to the message about it."""
    speaker.is_broken = True

    async with database.write() as tx:
        tx.tell("user:1", 1)
        await tx.connection.execute("create table deed ()")

    async with database.read() as tx:
        assert await tx.connection.fetchval("select to_regclass('deed') is not null")


async def test_signals_leave_with_the_commit(database: Database, speaker: Loudspeaker, bus: MemoryBus) -> None:
    """The bus gets what the transaction was given."""
    heard: list[Any] = []
    bus.listen("news", heard.append)
    async with database.write() as tx:
        tx.signal("news", {"a": 1})
        tx.signal("news", 2)
    await asyncio.sleep(0.02)

    assert heard == [{"a": 1}, 2]


async def test_a_process_without_workers_rouses_those_of_others_seldom(
    database: Database, speaker: Loudspeaker, bus: MemoryBus
) -> None:
    """One nudge for a burst of commits; workers look by themselves for the rest."""
    nudges: list[Any] = []
    bus.listen(WAKE, nudges.append)
    for _ in range(20):
        async with database.write() as tx:
            tx.publish(PostPublished(author="ana", text="one"))
    await asyncio.sleep(0.05)

    assert 1 <= len(nudges) <= 3


async def test_a_nudge_over_the_bus_rouses_a_sleeping_worker(database: Database) -> None:
    """A job written by one process starts in another at once."""
    here, there = PostgresBus(database), PostgresBus(database)
    work = workshop("postgres", database)
    worker = work.hire(bus=there, poll=timedelta(seconds=30))
    await here.open()
    await there.open()
    await worker.start()
    await asyncio.sleep(0.1)
    other = Queue(database, Registry(shop.JOBS.values()))
    database.outbox = Announcer(other, here, Hub(MemoryBroker(), MemoryPresence()))
    try:
        await work.publish(PostPublished(author="ana", text=str(uuid4())))
        async with asyncio.timeout(5):
            while len(work.diary.lines) < 2:
                await asyncio.sleep(0.005)
    finally:
        await worker.stop()
        await here.close()
        await there.close()
