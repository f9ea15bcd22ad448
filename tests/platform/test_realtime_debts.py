"""What a process could not tell the others while the broker took nothing: told as soon as it does, without a gap."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import Unavailable
from tenfold.platform.realtime import Channel, codes, debts, errand, rights
from tenfold.platform.realtime.broker import Unreached
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.kinds import Kinds
from tenfold.platform.realtime.memory import MemoryPresence
from tests.platform.realtime_faults import ShakyBroker, sides
from tests.platform.realtime_world import Ear, person
from tests.waiting import until

ROOM = UUID(int=1)
CHANNEL = f"room:{ROOM}"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "AGAIN", 0.02)


class Membership:
    """Who may listen to a room, and how often that was asked, at most how many times at once."""

    def __init__(self) -> None:
        self.members: set[UUID] = set()
        self.is_away = False
        self.asked = self.asking = self.most = 0

    async def may_listen(self, actor: Actor, room_id: UUID) -> bool:
        self.asked += 1
        self.asking += 1
        self.most = max(self.most, self.asking)
        await asyncio.sleep(0)
        self.asking -= 1
        if self.is_away:
            raise Unavailable
        return actor.id in self.members

    def hub(self, broker: ShakyBroker) -> Hub:
        return Hub(broker, MemoryPresence(), kinds=Kinds([Channel("room:{room_id}", self.may_listen)]))

    async def listen(self, hub: Hub) -> Ear:
        """Somebody new who may listen, and does."""
        actor = person()
        self.members.add(actor.id)
        ear = Ear(actor=actor)
        await hub.join(ear, CHANNEL)
        return ear


# Streams


async def test_what_the_broker_refused_begins_anew_though_nobody_tells_of_a_gap() -> None:
    """A server that is full, or takes no writes, keeps its connections: nothing is heard of its recovery."""
    broker = ShakyBroker()
    two = await sides(broker, CHANNEL)

    broker.is_away = True
    await two.here.publish([CHANNEL], "alone")
    await asyncio.sleep(0.05)
    broker.is_away = False
    await until(lambda: two.near.lost and two.far.lost)

    assert (two.near.lost, two.far.lost) == ([CHANNEL], [CHANNEL])
    assert not (await two.comes_back(CHANNEL)).recovered


async def test_a_broker_that_goes_again_right_after_a_gap_is_waited_for() -> None:
    """The next gap may be days away: what could not be checked after this one is checked before."""
    broker, ear = ShakyBroker(), Ear()
    hub = Hub(broker, MemoryPresence())
    await hub.join(ear, CHANNEL)
    await hub.publish([CHANNEL], "missed")
    broker.lines[0].arrive([])

    broker.is_away = True
    hub.gap()
    await asyncio.sleep(0.05)
    assert ear.frames == []
    broker.is_away = False

    await until(lambda: ear.heard() == [(1, "missed")])


async def test_a_process_that_ends_pays_first() -> None:
    """It alone knows what the others lack. Is the broker still away, it does not wait for long."""
    broker = ShakyBroker()
    two = await sides(broker, CHANNEL)
    broker.is_away = True
    await two.here.publish([CHANNEL], "alone")
    broker.is_away = False

    await two.here.debts.close()

    await until(lambda: two.far.lost)
    assert not (await two.comes_back(CHANNEL)).recovered


async def test_only_what_is_still_owed_is_tried_again() -> None:
    """While one of several servers is gone, the streams of the others begin anew once, not once in a second."""
    begun: list[list[str]] = []

    class OneGone(ShakyBroker):
        async def begin_anew(self, channels: Sequence[str] | None) -> None:
            begun.append(sorted(channels or ()))
            if "room:gone" in (channels or ()):
                raise Unreached(["room:gone"])

    hub = Hub(OneGone(), MemoryPresence())
    hub.debts.owe_streams(["room:gone", "room:there"])
    await until(lambda: len(begun) > 1)
    await hub.debts.close()

    assert begun[0] == ["room:gone", "room:there"]
    assert all(names == ["room:gone"] for names in begun[1:])


async def test_of_very_many_streams_all_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their names would fill memory while the broker is away for long."""
    monkeypatch.setattr(debts, "MOST_STREAMS", 2)
    broker = ShakyBroker()
    hub, ear = Hub(broker, MemoryPresence()), Ear()
    await hub.join(ear, CHANNEL)
    hub.debts.owe_streams(f"room:{number}" for number in range(3))

    await until(lambda: ear.lost == [CHANNEL])


# Signals


async def test_a_lost_right_is_told_late_to_whoever_did_not_hear_of_it() -> None:
    """Only this process's line was down, so the others have no gap. Who has the right again by then stays."""
    broker, rights = ShakyBroker(), Membership()
    here, there = rights.hub(broker), rights.hub(broker)
    gone, back, other = [await rights.listen(there) for _ in range(3)]
    assert gone.actor is not None
    assert back.actor is not None
    broker.is_away = True
    rights.members.discard(gone.actor.id)

    await here.unsubscribe(gone.actor.id, CHANNEL)
    await here.unsubscribe(back.actor.id, CHANNEL)
    assert gone.expelled == []
    broker.is_away = False

    await until(lambda: gone.expelled == [CHANNEL])
    await until(lambda: rights.asked == 2)
    assert (back.expelled, other.expelled) == ([], [])


async def test_a_lost_right_is_owed_although_who_said_it_was_stopped() -> None:
    """A worker that is cancelled between its commit and its word has done it here, and nobody else knows."""
    broker, rights = ShakyBroker(), Membership()
    here, there = rights.hub(broker), rights.hub(broker)
    gone = await rights.listen(there)
    assert gone.actor is not None
    rights.members.discard(gone.actor.id)

    telling = asyncio.create_task(here.unsubscribe(gone.actor.id, CHANNEL))
    await asyncio.sleep(0)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling

    await until(lambda: gone.expelled == [CHANNEL])


async def test_an_ended_session_is_told_late_as_well() -> None:
    """And in the order in which it was said."""
    broker, ana = ShakyBroker(), person()
    here, there = Hub(broker, MemoryPresence()), Hub(broker, MemoryPresence())
    ear = Ear(actor=ana)
    there.guests.attach(ear, ana.session_id)
    broker.is_away = True
    await here.disconnect(session_ids=[ana.session_id])
    broker.is_away = False

    await until(lambda: ear.ended == codes.FORCE_DISCONNECT)


async def test_of_too_many_signals_the_others_hear_that_there_were_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """They ask about everybody then, as after a gap."""
    monkeypatch.setattr(debts, "MOST_SIGNALS", 2)
    broker, rights = ShakyBroker(), Membership()
    here, there = rights.hub(broker), rights.hub(broker)
    ears = [await rights.listen(there) for _ in range(4)]
    broker.is_away = True
    for ear in ears[:3]:
        assert ear.actor is not None
        rights.members.discard(ear.actor.id)
        await here.unsubscribe(ear.actor.id, CHANNEL)
    broker.is_away = False

    await until(lambda: all(ear.expelled for ear in ears[:3]))
    assert ears[3].expelled == []


# Rights


async def test_rights_are_asked_several_at_a_time() -> None:
    """One after the other, those of a large process would take so long that the lost ones are heard meanwhile."""
    broker, rights_of = ShakyBroker(), Membership()
    hub = rights_of.hub(broker)
    for _ in range(100):
        await rights_of.listen(hub)

    hub.gap()
    await until(lambda: rights_of.asked == 100)

    assert rights_of.most == rights.AT_ONCE


async def test_rights_that_nobody_could_tell_are_asked_again() -> None:
    """The database may be away when the broker is back, and nobody tells when it is there. Who is gone is let be."""
    broker, rights_of = ShakyBroker(), Membership()
    hub = rights_of.hub(broker)
    ear, leaver = await rights_of.listen(hub), await rights_of.listen(hub)
    rights_of.members.clear()
    rights_of.is_away = True

    hub.gap()
    await until(lambda: rights_of.asked == 2)
    hub.leave(leaver, CHANNEL)
    rights_of.is_away = False

    await until(lambda: ear.expelled == [CHANNEL])
    assert leaver.expelled == []
