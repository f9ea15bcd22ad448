"""The promise of presence, over all engines."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus.memory import MemoryBus
from tenfold.platform.realtime import memory, redis_presence
from tenfold.platform.realtime.memory import MemoryPresence
from tenfold.platform.realtime.presence import Attendance, Presence, Present
from tenfold.platform.realtime.redis_presence import RedisPresence
from tenfold.platform.realtime.relay_presence import RelayedPresence
from tests.platform.redis_world import client_of, fresh_prefix
from tests.redis import RedisServer

_numbers = itertools.count(1)


@pytest.fixture(params=["memory", "relayed", "redis", "redis cluster"])
async def presence(request: pytest.FixtureRequest) -> AsyncIterator[Presence]:
    if request.param in ("memory", "relayed"):
        yield MemoryPresence() if request.param == "memory" else RelayedPresence(MemoryBus())
        return
    server = request.getfixturevalue("redis_server" if request.param == "redis" else "redis_cluster")
    redis = client_of(server, fresh_prefix())
    await redis.open()
    yield RedisPresence(redis)
    await redis.close()


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node is dead half a second after its last word."""
    for module in (memory, redis_presence):
        monkeypatch.setattr(module, "LEASE", timedelta(seconds=0.5))


def somebody(node: str, **more: object) -> Present:
    number = next(_numbers)
    there = {"user_id": new_id(), "client": f"c{number}", "session_id": new_id(), "node": node, "since": float(number)}
    return Present(**{**there, **more})  # pyright: ignore[reportArgumentType]


async def test_who_listens_is_told_oldest_first(presence: Presence) -> None:
    """On every channel asked for, in its place; a second device is a second entry of one user."""
    here, there = "n1", new_id().hex
    await presence.renew(here)
    await presence.renew(there)
    ana, bob = somebody(here), somebody(there)
    again = somebody(there, user_id=ana.user_id)
    await presence.enter([("room:1", bob), ("room:1", again), ("room:2", ana)])
    await presence.enter([("room:1", ana)])

    assert await presence.present(["room:1", "nobody", "room:2"]) == [[ana, bob, again], [], [ana]]
    assert await presence.present(["room:1"], limit=2) == [[ana, bob]]
    assert await presence.attendance(["room:1", "nobody"]) == [Attendance(3, 2), Attendance(0, 0)]


async def test_who_leaves_is_gone_and_was_active_until_then(presence: Presence) -> None:
    """Only from that channel; leaving twice is no mistake."""
    await presence.renew("n1")
    ana, bob = somebody("n1"), somebody("n1")
    await presence.enter([("room:1", ana), ("room:1", bob), ("room:2", ana)])
    before = time.time()

    await presence.leave([("room:1", ana)])
    await presence.leave([("room:1", ana)])

    assert await presence.present(["room:1", "room:2"]) == [[bob], [ana]]
    moment, never = await presence.last_active([ana.user_id, bob.user_id])
    assert moment is not None
    assert before <= moment <= time.time()
    assert never is None


async def test_many_come_and_go_at_once(presence: Presence) -> None:
    """Thousands of sessions each ask for themselves."""
    await presence.renew("n1")
    people = [somebody("n1") for _ in range(1200)]
    channels = [f"user:{person.user_id}" for person in people]
    entries = list(zip(channels, people, strict=True))
    await asyncio.gather(*(presence.enter([entry]) for entry in entries[:700]), presence.enter(entries[700:]))

    assert await presence.present(channels) == [[person] for person in people]

    await asyncio.gather(*(presence.leave([entry]) for entry in entries[:700]), presence.leave(entries[700:]))
    assert set(await presence.attendance(channels)) == {Attendance(0, 0)}
    assert None not in await presence.last_active([person.user_id for person in people])


@pytest.mark.usefixtures("short_leases")
async def test_a_node_that_died_takes_its_entries_with_it(presence: Presence) -> None:
    """At once for those who ask; then they are removed, and each channel is told to one caller."""
    assert await presence.renew("dead") is False
    assert await presence.renew("dead") is True
    gone, here = [somebody("dead") for _ in range(200)], somebody("alive")
    rooms = [f"room:{number}" for number in range(200)]
    await presence.enter(list(zip(rooms, gone, strict=True)))
    await presence.enter([("room:0", here)])
    async with asyncio.timeout(10):
        while (await presence.attendance(["room:1"]))[0].clients:
            await asyncio.sleep(0.01)

    swept: list[str] = []
    async with asyncio.timeout(10):
        while len(swept) < len(rooms):
            swept += await presence.sweep()
            await asyncio.sleep(0.01)

    assert await presence.sweep() == []
    assert sorted(swept) == sorted(rooms)
    await presence.renew("dead")
    await presence.renew("alive")
    assert await presence.present(["room:0", "room:1"]) == [[here], []]
    (moment,) = await presence.last_active([gone[0].user_id])
    assert moment is not None
    assert moment <= time.time()


@pytest.mark.usefixtures("short_leases")
async def test_a_node_that_was_late_finds_its_entries_where_they_were(presence: Presence) -> None:
    """Nobody is told that its people went, and it need not write them anew; one that was swept must."""
    await presence.renew("late")
    ana = somebody("late")
    await presence.enter([("room:1", ana)])
    async with asyncio.timeout(10):
        while (await presence.attendance(["room:1"]))[0].clients:
            await asyncio.sleep(0.01)

    assert await presence.sweep() == []
    assert await presence.renew("late") is True
    assert await presence.present(["room:1"]) == [[ana]]

    async with asyncio.timeout(10):
        while not await presence.sweep():
            await asyncio.sleep(0.01)
    assert await presence.renew("late") is False


async def test_a_node_that_stops_leaves_nothing(presence: Presence) -> None:
    """Its people are gone at once, and what it held is free."""
    await presence.renew("n1")
    await presence.renew("n2")
    ana, bob = somebody("n1"), somebody("n2")
    await presence.enter([("room:1", ana), ("room:1", bob), ("room:2", ana)])

    await presence.release("n1")

    assert await presence.present(["room:1", "room:2"]) == [[bob], []]
    assert await presence.renew("n1") is False
    assert await presence.present(["room:2"]) == [[]]
    assert await presence.sweep() == []


async def test_without_redis_presence_says_that_it_does_not_know() -> None:
    """Nobody waits, and nobody is told that a room is empty."""
    server = RedisServer()
    redis = client_of(server, "gone")
    await redis.open()
    try:
        with pytest.raises(Unavailable):
            await RedisPresence(redis).present(["room:1"])
        with pytest.raises(Unavailable):
            await RedisPresence(redis).enter([("room:1", somebody("n1"))])
    finally:
        await redis.close()
        server.remove()
