"""The roll of a hub: who is written into presence, when they are taken out, and who is told of it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Unavailable
from tenfold.platform.realtime import Channel, codes, presence_channel, user_channel
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence
from tenfold.platform.realtime.presence import Present
from tests.platform.realtime_world import Ear, RealtimeWorld, connected, everybody, person, say
from tests.waiting import until

CHANNEL = f"room:{UUID(int=1)}"


def room(**more: Any) -> Channel:
    return Channel("room:{room_id}", everybody, presence=True, **more)


async def test_everybody_connected_is_present_from_whichever_process_one_asks() -> None:
    """User, device and since when; gone when they leave, and all at once when a process stops."""
    broker, presence = MemoryBroker(), MemoryPresence()
    worlds = [RealtimeWorld(broker=broker, presence=presence) for _ in range(2)]
    ana, bob = person(), person()
    for world in worlds:
        await world.hub.open()
    session, _, reply = await connected(worlds[0], ana)
    await connected(worlds[0], bob)
    await worlds[0].hub.roll.flush()

    (found,) = await worlds[1].hub.present([user_channel(ana.id)])
    entry = found[0]
    assert (entry.user_id, entry.client, entry.session_id, entry.node) == (
        ana.id,
        reply.client,
        ana.session_id,
        worlds[0].hub.node,
    )
    assert abs(entry.since - session.since) < 1

    session.lost()
    await worlds[0].hub.roll.flush()
    assert await worlds[1].hub.present([user_channel(ana.id)]) == [[]]
    assert (await worlds[1].hub.last_active([ana.id]))[0] is not None
    await worlds[0].hub.close()
    assert await worlds[1].hub.present([user_channel(bob.id)]) == [[]]
    await worlds[1].hub.close()


async def test_peers_are_told_who_came_online_and_who_is_gone_from_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second device that goes is no news."""
    monkeypatch.setattr("tenfold.platform.realtime.roll.TELL_EVERY", 0.01)
    world, ana = RealtimeWorld(), person()
    peer = Ear()
    await world.hub.open()
    await world.hub.join(peer, presence_channel(ana.id))

    phone, _, _ = await connected(world, ana)
    await until(lambda: len(peer.frames) == 1)
    laptop, _, _ = await connected(world, Actor(id=ana.id, session_id=new_id()))
    phone.lost()
    await until(lambda: not world.hub.roll.has_news)
    assert len(peer.frames) == 1
    laptop.lost()
    await until(lambda: len(peer.frames) == 2)
    await world.hub.close()

    news = [data for _, data in peer.heard()]
    assert [(one["type"], one["online"]) for one in news] == [("presence.changed", True), ("presence.changed", False)]


async def test_a_killed_process_takes_its_people_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are left hear of it when its lease has been over for as long again."""
    monkeypatch.setattr("tenfold.platform.realtime.roll.TELL_EVERY", 0.01)
    clock = {"now": 1000.0}
    broker, presence = MemoryBroker(), MemoryPresence(now=lambda: clock["now"])
    killed, alive = (RealtimeWorld(broker=broker, presence=presence) for _ in range(2))
    ana, peer = person(), Ear()
    await connected(killed, ana)
    await killed.hub.roll.flush()
    await alive.hub.join(peer, presence_channel(ana.id))
    assert await alive.hub.present([user_channel(ana.id)]) != [[]]

    clock["now"] += 21
    monkeypatch.setattr("tenfold.platform.realtime.roll.RENEW_EVERY", timedelta(0))
    await alive.hub.open()
    await until(lambda: peer.frames)
    await alive.hub.close()

    assert [data["online"] for _, data in peer.heard()] == [False]


async def test_a_process_whose_lease_ran_out_enters_its_people_again() -> None:
    """Its machine slept, or presence forgot: everybody who is connected is present again after the next renewal."""
    clock = {"now": 1000.0}
    presence = MemoryPresence(now=lambda: clock["now"])
    world, ana = RealtimeWorld(presence=presence), person()
    await connected(world, ana)
    await world.hub.roll.flush()

    clock["now"] += 60
    await presence.sweep()
    assert await presence.present([user_channel(ana.id)]) == [[]]
    await world.hub.roll._renew()
    await world.hub.roll._write_all()

    assert len((await presence.present([user_channel(ana.id)]))[0]) == 1


class Away(MemoryPresence):
    """Presence whose server is gone while `is_away`."""

    is_away = False

    async def leave(self, entries: Sequence[tuple[str, Present]]) -> None:
        if self.is_away:
            raise Unavailable
        await super().leave(entries)


async def test_who_left_while_presence_was_away_is_not_there_when_it_is_back() -> None:
    """Nobody else takes out the entries of a process that lives."""
    presence = Away()
    world, ana = RealtimeWorld(presence=presence), person()
    session, _, _ = await connected(world, ana)
    await world.hub.roll.flush()

    presence.is_away = True
    session.lost()
    with pytest.raises(Unavailable):
        await world.hub.roll.flush()
    presence.is_away = False
    await world.hub.roll.flush()

    assert await presence.present([user_channel(ana.id)]) == [[]]


class Stuck(MemoryPresence):
    """Presence that answers no removal until the test says so, and then with a mistake."""

    def __init__(self) -> None:
        super().__init__()
        self.is_stuck = False
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def leave(self, entries: Sequence[tuple[str, Present]]) -> None:
        if self.is_stuck:
            self.asked.set()
            await self.answer.wait()
            raise ValueError
        await super().leave(entries)


@pytest.mark.parametrize("end", ["given up", "broken"])
async def test_what_was_not_written_to_its_end_is_written_again(end: str) -> None:
    """Whoever asked who is there has gone meanwhile, or something broke; what was noted since then is newer."""
    presence = Stuck()
    world = RealtimeWorld(presence=presence)
    goes, stays, comes, passes = [person() for _ in range(4)]
    going, _, _ = await connected(world, goes)
    await connected(world, stays)
    await world.hub.roll.flush()
    going.lost()
    await connected(world, comes)
    passing, _, _ = await connected(world, passes)

    presence.is_stuck = True
    asking = asyncio.create_task(world.hub.roll.flush())
    await presence.asked.wait()
    passing.lost()
    if end == "given up":
        asking.cancel()
    presence.answer.set()
    with pytest.raises((asyncio.CancelledError, ValueError)):
        await asking
    presence.is_stuck = False
    await world.hub.roll.flush()

    found = await presence.present([user_channel(actor.id) for actor in (goes, stays, comes, passes)])
    assert [len(there) for there in found] == [0, 1, 1, 0]


async def test_a_process_that_was_late_writes_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """With many late processes that would make all of them later still."""
    clock = {"now": 1000.0}
    presence = MemoryPresence(now=lambda: clock["now"])
    world = RealtimeWorld(presence=presence)
    await connected(world, person())
    await world.hub.roll.flush()
    await world.hub.roll._write_all()
    await world.hub.roll._write_all()
    written: list[object] = []

    async def enter(entries: Sequence[tuple[str, Present]]) -> None:
        written.extend(entries)

    monkeypatch.setattr(presence, "enter", enter)
    clock["now"] += 15
    await world.hub.roll._renew()
    await world.hub.roll._write_all()

    assert written == []


async def test_all_are_written_anew_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it is done twice at once: else a process would write everybody every few seconds for good."""
    presence = MemoryPresence()
    world = RealtimeWorld(presence=presence)
    await connected(world, person())
    written: list[object] = []

    async def enter(entries: Sequence[tuple[str, Present]]) -> None:
        await asyncio.sleep(0)
        written.extend(entries)

    monkeypatch.setattr(presence, "enter", enter)
    await world.hub.roll._renew()
    for _ in range(3):
        await asyncio.gather(*(world.hub.roll._write_all() for _ in range(3)))
    written.clear()
    await world.hub.roll._write_all()

    assert written == []


async def test_listeners_are_told_who_joins_and_who_leaves_where_it_is_declared() -> None:
    """As the official clients expect it: a push with user and client."""
    world = RealtimeWorld(channels=[room(join_leave=True)])
    ana, bob = person(), person()
    session, wire, _ = await connected(world, ana)
    other, _, reply = await connected(world, bob)
    await say(session, f'{{"id":2,"subscribe":{{"channel":"{CHANNEL}"}}}}')
    await world.hub.roll.flush()
    wire.frames.clear()

    await say(other, f'{{"id":2,"subscribe":{{"channel":"{CHANNEL}"}}}}')
    await world.hub.roll.flush()
    await say(other, f'{{"id":3,"unsubscribe":{{"channel":"{CHANNEL}"}}}}')
    await world.hub.roll.flush()

    said = [reply.push for reply in wire.take() if reply.push is not None]
    assert [(push.join is not None, push.leave is not None) for push in said] == [(True, False), (False, True)]
    assert said[0].join is not None
    assert (said[0].join.info.user, said[0].join.info.client) == (str(bob.id), reply.client)


async def test_a_crowd_that_joins_is_told_of_in_one_message() -> None:
    """One for each of them, to each of them, would be as many messages as the square of the crowd."""
    world = RealtimeWorld(channels=[room(join_leave=True)])
    session, wire, _ = await connected(world, person())
    await say(session, f'{{"id":2,"subscribe":{{"channel":"{CHANNEL}"}}}}')
    await world.hub.roll.flush()
    wire.frames.clear()
    crowd = [await connected(world, person()) for _ in range(30)]

    for other, _, _ in crowd:
        await say(other, f'{{"id":2,"subscribe":{{"channel":"{CHANNEL}"}}}}')
    await world.hub.roll.flush()

    assert len(wire.frames) == 1
    joined = [reply.push.join.info.client for reply in wire.take() if reply.push and reply.push.join]
    assert joined == [reply.client for _, _, reply in crowd]


async def test_connections_do_not_mind_that_presence_is_away() -> None:
    """Whoever asks is told of nobody; when it is back, all are entered."""

    class Away(MemoryPresence):
        is_away = True

        async def enter(self, entries: Any) -> None:
            if self.is_away:
                raise ConnectionError
            await super().enter(entries)

        async def renew(self, node: str) -> bool:
            if self.is_away:
                raise ConnectionError
            return await super().renew(node)

    presence = Away()
    world, ana = RealtimeWorld(presence=presence), person()
    _, wire, _ = await connected(world, ana)
    assert await world.hub.present([user_channel(ana.id)]) == [[]]
    assert wire.closed is None

    presence.is_away = False
    (found,) = await world.hub.present([user_channel(ana.id)])

    assert [entry.user_id for entry in found] == [ana.id]


class Slow(MemoryPresence):
    """Presence whose calls take their time, more for several."""

    async def enter(self, entries: Sequence[tuple[str, Present]]) -> None:
        await asyncio.sleep(0.04)
        await super().enter(entries)

    async def leave(self, entries: Sequence[tuple[str, Present]]) -> None:
        await asyncio.sleep(0.02 if len(entries) == 1 else 0.06)
        await super().leave(entries)


async def test_nobody_is_entered_after_they_were_taken_out() -> None:
    """Two write at once, by the clock and because somebody asks: the entry would stay for as long as the process."""
    world, ana = RealtimeWorld(presence=Slow()), person()
    others = [await connected(world, person()) for _ in range(3)]
    await world.hub.roll.flush()
    session, _, _ = await connected(world, ana)
    for other, _, _ in others:
        other.lost()
    by_the_clock = asyncio.create_task(world.hub.roll.flush())
    await asyncio.sleep(0.001)

    session.lost()
    await world.hub.present([user_channel(ana.id)])
    await by_the_clock

    assert await world.hub.present([user_channel(ana.id)]) == [[]]


async def test_who_is_entered_anew_is_taken_out_after_that() -> None:
    """Everybody is written again after presence forgot; who goes meanwhile must not be found there afterwards."""
    world, ana = RealtimeWorld(presence=Slow()), person()
    session, _, _ = await connected(world, ana)
    await world.hub.roll.flush()
    world.hub.roll._writings_due = 1
    anew = asyncio.create_task(world.hub.roll._write_all())
    await asyncio.sleep(0.001)

    session.lost()
    await world.hub.roll.flush()
    await anew

    assert await world.hub.present([user_channel(ana.id)]) == [[]]


async def test_who_loses_publications_and_does_not_come_back_is_not_there() -> None:
    """They are sent away because their stream began anew; that channel is forgotten here before they leave it."""
    world, ana = RealtimeWorld(), person()
    session, wire, _ = await connected(world, ana)
    await world.hub.roll.flush()
    await world.broker.begin_anew([user_channel(ana.id)])

    world.hub.gap()
    await until(lambda: wire.closed)
    session.lost()

    assert wire.closed == codes.INSUFFICIENT_STATE
    assert await world.hub.present([user_channel(ana.id)]) == [[]]


async def test_who_went_while_presence_was_away_is_told_of_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else would ever say that they are gone."""
    monkeypatch.setattr("tenfold.platform.realtime.roll.TELL_EVERY", 0.01)
    presence = Away()
    world, ana, peer = RealtimeWorld(presence=presence), person(), Ear()
    await world.hub.open()
    await world.hub.join(peer, presence_channel(ana.id))
    session, _, _ = await connected(world, ana)
    await until(lambda: len(peer.frames) == 1)

    presence.is_away = True
    session.lost()
    await asyncio.sleep(0.05)
    presence.is_away = False
    await until(lambda: len(peer.frames) == 2)
    await world.hub.close()

    assert [data["online"] for _, data in peer.heard()] == [True, False]


async def test_a_process_that_stops_tells_who_has_just_gone() -> None:
    """Those of the last second, whom nobody tells of otherwise: their entries go with the process, without a word."""
    world, ana, peer = RealtimeWorld(), person(), Ear()
    await world.hub.open()
    await world.hub.join(peer, presence_channel(ana.id))
    session, _, _ = await connected(world, ana)
    await world.hub.roll._tell()

    session.lost()
    await world.hub.close()

    assert [data["online"] for _, data in peer.heard()] == [True, False]
