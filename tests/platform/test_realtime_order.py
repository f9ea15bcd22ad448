"""Order and completeness: whatever is lost, doubled or mixed up on the way, listeners hear every number once, in order.

Or they are told that they cannot be made complete; nobody believes to be complete who is not.
"""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.platform.realtime import EVERYONE, mending, user_channel
from tenfold.platform.realtime.broker import Unreached
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence
from tenfold.platform.realtime.protocol import StreamPosition
from tests.platform.realtime_faults import ShakyBroker
from tests.platform.realtime_readers import Reader, Steps, play
from tests.platform.realtime_world import Ear, RealtimeWorld, connected, person, say

SIZE = 6


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "PATIENCE", 0.0)


@settings(deadline=None, max_examples=200)
@given(Steps, st.sampled_from([SIZE, 1000]))
def test_streams_are_heard_completely_and_in_order_or_loss_is_told(
    steps: list[tuple[int, tuple[str, Any]]], size: int
) -> None:
    """Two processes over one broker whose lines lose, double and mix up; what is missing comes from its history.

    Nobody has to reload whom the history could have helped.
    """

    async def run() -> None:
        broker = ShakyBroker(history_size=size)
        hubs = [Hub(broker, MemoryPresence()) for _ in range(2)]
        readers = [Reader(hub, "room:1") for hub in hubs]
        for reader in readers:
            await reader.come()
        count = 0

        async def publish() -> None:
            nonlocal count
            count += 1
            await hubs[count % 2].publish(["room:1"], count)

        await play(broker, readers, steps, publish)
        for reader in readers:
            offsets = [offset for offset, _ in reader.seen]
            assert reader.offset == count
            for before, offset in itertools.pairwise(offsets):
                assert offset == before + 1 or (offset, "reloaded") in reader.seen
            assert reader.reloads == 1 or size == SIZE
        for hub in hubs:
            await hub.mender.close()

    asyncio.run(run())


async def test_a_silent_loss_is_found_by_checking_and_repaired() -> None:
    """Nothing follows the lost one, so only the check of positions can find it; the client does nothing."""
    broker, ear = ShakyBroker(), Ear()
    hub = Hub(broker, MemoryPresence(), check_every=0.05)
    await hub.join(ear, "room:1")
    await hub.open()
    await hub.publish(["room:1"], "lost")
    broker.lines[0].arrive([])

    async with asyncio.timeout(5):
        while not ear.frames:
            await asyncio.sleep(0.01)
    await hub.close()

    assert ear.heard() == [(1, "lost")]


async def test_a_client_that_is_ahead_of_its_new_process_hears_nothing_twice() -> None:
    """It heard a number elsewhere that is still on its way here."""
    broker = ShakyBroker()
    here, there = Hub(broker, MemoryPresence()), Hub(broker, MemoryPresence())
    ear = Ear()
    joined = await there.join(Ear(), "room:1")
    await there.join(ear, "room:1")
    await here.join(Ear(), "room:1")
    await there.publish(["room:1"], "one")
    broker.lines[1].arrive([0])
    assert ear.heard() == [(1, "one")]
    there.leave(ear, "room:1")

    moved = Ear()
    back = await here.join(moved, "room:1", StreamPosition(offset=1, epoch=joined.epoch))
    broker.lines[0].arrive([0])
    await here.publish(["room:1"], "two")
    broker.flow()

    assert (back.recovered, back.missed, back.offset) == (True, (), 1)
    assert moved.heard() == [(2, "two")]


async def test_a_loss_is_found_while_the_server_of_other_channels_is_gone() -> None:
    """A check asks for many channels at once; one master of a cluster must not keep it from the rest."""

    class OneGone(ShakyBroker):
        async def positions(self, channels: Sequence[str]) -> list[StreamPosition]:
            if "room:gone" in channels and self.is_away:
                raise Unreached(["room:gone"])
            return await MemoryBroker.positions(self, channels)

    broker, ear = OneGone(), Ear()
    hub = Hub(broker, MemoryPresence())
    await hub.join(Ear(), "room:gone")
    await hub.join(ear, "room:1")
    await hub.publish(["room:1"], "lost")
    broker.lines[0].arrive([])

    broker.is_away = True
    await hub.checker._check_all_streams()
    broker.is_away = False
    async with asyncio.timeout(5):
        while not ear.frames:
            await asyncio.sleep(0.005)

    assert ear.heard() == [(1, "lost")]


async def test_a_broker_that_lost_its_memory_gives_no_number_twice() -> None:
    """Its streams went back: listeners come back and are told, and nothing is mistaken for what it is not."""
    broker, ear = ShakyBroker(), Ear()
    hub = Hub(broker, MemoryPresence())
    joined = await hub.join(ear, "room:1")
    for n in range(3):
        await hub.publish(["room:1"], n)
    broker.flow()
    stream = broker.streams.get("room:1")
    assert stream is not None
    stream.offset = 1

    hub.checker.check_all()
    for _ in range(20):
        await asyncio.sleep(0)

    assert ear.lost == ["room:1"]
    back = await hub.join(Ear(), "room:1", StreamPosition(offset=3, epoch=joined.epoch))
    assert (back.recovered, back.epoch != joined.epoch) == (False, True)


async def test_a_stream_that_another_process_began_anew_is_noticed_at_its_next_publication() -> None:
    """Its numbers begin again, so they look old; the epoch says that they are not."""
    broker, ear = ShakyBroker(), Ear()
    hub = Hub(broker, MemoryPresence())
    await hub.join(ear, "room:1")
    for n in range(5):
        await hub.publish(["room:1"], n)
    broker.flow()

    await broker.begin_anew(["room:1"])
    await hub.publish(["room:1"], "anew")
    broker.flow()
    for _ in range(20):
        await asyncio.sleep(0)

    assert ear.lost == ["room:1"]


@pytest.mark.parametrize("channel", ["user", EVERYONE])
async def test_nothing_slips_past_a_connect_that_takes_its_time(channel: str) -> None:
    """The broker's answers take turns, with something published in each, while a client comes back again and again.

    Its numbers have no gap, none comes twice, and none before the reply.
    """
    broker = ShakyBroker(history_size=10_000)
    world, ana = RealtimeWorld(broker=broker), person()
    name = channel if channel == EVERYONE else user_channel(ana.id)
    stays, _, _ = await connected(world, ana)
    count, seen, position, recoveries = 0, list[int](), "", 0

    async def publish_always() -> None:
        nonlocal count
        while True:
            count += 1
            await world.hub.publish([name], count)
            broker.flow()
            await asyncio.sleep(0)

    publishing = asyncio.create_task(publish_always())
    for _ in range(100):
        session, wire = world.session()
        # Everyone's stream is the same for all; another user's own channel has to be opened first, which takes turns.
        token = world.token(person() if channel == EVERYONE else ana)
        await say(session, f'{{"id":1,"connect":{{"token":"{token}","subs":{{{position}}}}}}}')
        await asyncio.sleep(0)
        session.lost()
        first, *others = wire.take()
        assert first.connect is not None
        own = first.connect.subs[name]
        recoveries += own.recovered
        told = [*own.publications, *(reply.push.pub for reply in others if reply.push and reply.push.pub)]
        seen += [publication.offset for publication in told]
        at = max([own.offset, *(publication.offset for publication in told)])
        position = f'"{name}":{{"recover":true,"offset":{at},"epoch":"{own.epoch}"}}'
    publishing.cancel()
    stays.lost()

    assert recoveries == 99
    assert len(seen) > 20
    assert seen == list(range(seen[0], seen[0] + len(seen)))
