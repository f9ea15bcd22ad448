"""The hub of a process: several over one broker, what happens without it, presence, and what is for everyone."""

import asyncio
from uuid import UUID

import pytest

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.platform.realtime import EVERYONE, Channel, checking, codes, guests, mending, user_channel
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.kinds import Kinds
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence
from tenfold.platform.realtime.protocol import Push, StreamPosition, decode_replies
from tests.platform.realtime_faults import Ledger, ShakyBroker, sides
from tests.platform.realtime_world import Ear, RealtimeWorld, RecordingWire, connected, person, say

ROOM = UUID(int=1)
CHANNEL = f"room:{ROOM}"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "PATIENCE", 0.0)


async def turns(count: int = 30) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def pushes(wire: RecordingWire) -> list[Push]:
    return [reply.push for frame in wire.frames for reply in decode_replies(frame) if reply.push is not None]


def offsets(wire: RecordingWire) -> list[int]:
    return [push.pub.offset for push in pushes(wire) if push.pub is not None]


# Several processes


async def test_hubs_that_share_a_broker_count_alike() -> None:
    """So a client that moves from one process to another recovers."""
    broker = MemoryBroker()
    one, two = (Hub(broker, MemoryPresence()) for _ in range(2))
    ears = [Ear(), Ear()]
    began = [await one.join(ears[0], CHANNEL), await two.join(ears[1], CHANNEL)]

    await one.publish([CHANNEL], "a")
    await two.publish([CHANNEL], "b")

    assert ears[0].heard() == ears[1].heard() == [(1, "a"), (2, "b")]
    moved = await two.join(Ear(), CHANNEL, StreamPosition(offset=1, epoch=began[0].epoch))
    assert (moved.recovered, [one.offset for one in moved.missed]) == (True, [2])


async def test_a_disconnect_and_a_lost_membership_reach_every_process() -> None:
    """By session, by user, and by user and channel; nobody else is touched."""
    broker = MemoryBroker()
    one, two = (Hub(broker, MemoryPresence()) for _ in range(2))
    ana, bob = person(), person()
    ears = {name: Ear(actor=actor) for name, actor in {"ana": ana, "bob": bob}.items()}
    for ear in ears.values():
        assert ear.actor is not None
        two.guests.attach(ear, ear.actor.session_id)
        await two.join(ear, user_channel(ear.actor.id))
        await two.join(ear, CHANNEL)

    await one.unsubscribe(ana.id, CHANNEL)
    assert (ears["ana"].expelled, ears["bob"].expelled) == ([CHANNEL], [])
    await one.disconnect(session_ids=[ana.session_id])
    assert (ears["ana"].ended, ears["bob"].ended) == (codes.FORCE_DISCONNECT, None)
    await one.disconnect(user_ids=[bob.id], everywhere=False)
    assert ears["bob"].ended is None
    await one.disconnect(user_ids=[bob.id])
    assert ears["bob"].ended == codes.FORCE_DISCONNECT


async def test_who_is_removed_while_they_subscribe_does_not_get_in() -> None:
    """The module said yes before the membership was gone; the signal came before the subscription stood."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def may_listen(actor: Actor, room_id: UUID) -> bool:
        asked.set()
        await answer.wait()
        return True

    world, ana = RealtimeWorld(may_listen=may_listen), person()
    session, wire, _ = await connected(world, ana)
    asking = asyncio.create_task(say(session, f'{{"id":2,"subscribe":{{"channel":"{CHANNEL}"}}}}'))
    await asked.wait()

    await world.hub.unsubscribe(ana.id, CHANNEL)
    answer.set()
    await asking

    assert wire.take()[0].error == codes.PERMISSION_DENIED
    assert not world.hub.listens(CHANNEL)


# Without the broker


async def test_without_the_broker_those_here_hear_and_later_are_told_that_others_did_not() -> None:
    """Live connections stay. What was published alone is in no stream, so positions from before fit no more."""
    broker = ShakyBroker()
    two = await sides(broker, CHANNEL)

    broker.is_away = True
    await two.here.publish([CHANNEL], "alone")
    await two.here.publish_ephemeral([CHANNEL], "typing")
    assert two.near.heard() == [(0, "alone"), (0, "typing")]
    assert (two.near.lost, two.far.frames) == ([], [])

    broker.is_away = False
    two.here.gap()
    await turns()
    two.there.gap()
    await turns()
    assert (two.near.lost, two.far.lost) == ([CHANNEL], [CHANNEL])
    assert not (await two.comes_back(CHANNEL)).recovered


async def test_who_comes_while_the_broker_is_away_is_told_to_reload_when_it_is_back() -> None:
    """They listen to this process meanwhile, with an epoch that does not survive."""
    broker = ShakyBroker()
    hub, ear = Hub(broker, MemoryPresence()), Ear()
    broker.is_away = True
    alone = await hub.join(ear, CHANNEL, StreamPosition(offset=3, epoch="before"))
    await hub.publish([CHANNEL], "alone")
    assert (alone.recovered, ear.heard()) == (False, [(0, "alone")])

    broker.is_away = False
    hub.gap()
    await turns()

    assert ear.lost == [CHANNEL]


async def test_a_gap_in_which_nothing_was_lost_disturbs_nobody() -> None:
    """And one in which something was is filled from history."""
    broker = ShakyBroker()
    hub, ear = Hub(broker, MemoryPresence()), Ear()
    await hub.join(ear, CHANNEL)
    hub.gap()
    await turns()
    assert (ear.frames, ear.lost) == ([], [])

    for n in range(3):
        await hub.publish([CHANNEL], n)
    broker.lines[0].arrive([1])
    hub.gap()
    await turns()

    assert ear.heard() == [(1, 0), (2, 1), (3, 2)]
    assert ear.lost == []


async def test_a_durable_channel_needs_no_broker_to_be_complete() -> None:
    """Told here at once; elsewhere it is found when the broker is back. Nobody is sent away."""
    broker, ledger = ShakyBroker(), Ledger()
    kinds = Kinds([ledger.channel()])
    here, there = Hub(broker, MemoryPresence(), kinds=kinds), Hub(broker, MemoryPresence(), kinds=kinds)
    near, far, name = Ear(), Ear(), f"ledger:{ROOM}"
    ledger.write(ROOM, "a", 0)
    await here.join(near, name)
    await there.join(far, name)

    broker.is_away = True
    change = {"thing": "a", "value": 1}
    await here.publish_durable(name, change, offset=ledger.write(ROOM, "a", 1))
    assert near.heard() == [(2, change)]
    broker.is_away = False
    there.gap()
    await turns()

    assert far.heard() == [(2, change)]
    assert (near.lost, far.lost) == ([], [])


async def test_rights_are_asked_again_when_signals_may_have_been_lost() -> None:
    """Who was removed meanwhile is expelled, and so is who came with a subscription token."""
    members = {"all"}

    async def may_listen(actor: Actor, room_id: UUID) -> bool:
        return "all" in members

    broker = ShakyBroker()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([Channel("room:{room_id}", may_listen)]))
    member, bearer = Ear(actor=person()), Ear(actor=person(), permits=(CHANNEL,))
    await hub.join(member, CHANNEL)
    await hub.join(bearer, CHANNEL)
    hub.gap()
    await turns()
    assert (member.expelled, bearer.expelled) == ([], [])

    members.clear()
    hub.gap()
    await turns()

    assert (member.expelled, bearer.expelled) == ([CHANNEL], [CHANNEL])


async def test_names_that_nobody_declared_fill_no_memory() -> None:
    """Clients may ask for any, as long as a frame; what is declared is found all the same."""

    async def may_listen(actor: Actor, room_id: UUID) -> bool:
        return True

    kinds = Kinds([Channel("room:{room_id}", may_listen)])

    found = [kinds.find(f"nothing:{number}:" + 1_000 * "x") for number in range(10)]

    assert not any(found)
    assert not kinds._found
    for _ in range(10_000):
        assert kinds.find(f"room:{new_id()}") is not None
    assert len(kinds._found) < 5_000
    known = kinds.find(CHANNEL)
    assert known is not None
    assert kinds.find(CHANNEL) is known
    assert f"room:{known.values['room_id']}" == CHANNEL


async def test_joiners_of_one_instant_open_a_channel_once_and_one_that_gives_up_harms_none() -> None:
    """The one that opens it may be cancelled half-way; the next one opens it then."""
    broker, ledger = ShakyBroker(), Ledger()
    hub, name = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()])), f"ledger:{ROOM}"
    ledger.write(ROOM, "a", 0)
    ears = [Ear() for _ in range(5)]
    joins = [asyncio.create_task(hub.join(ear, name)) for ear in ears]
    await asyncio.sleep(0)
    joins[0].cancel()

    results = await asyncio.gather(*joins, return_exceptions=True)
    await hub.publish_durable(name, "b", offset=ledger.write(ROOM, "b", 1))
    broker.flow()

    assert isinstance(results[0], asyncio.CancelledError)
    assert [len(ear.frames) for ear in ears] == [0, 1, 1, 1, 1]
    assert list(hub.durable_topics) == [name]
    for ear in ears:
        hub.leave(ear, name)
    assert not hub.listens(name)
    assert not hub.durable_topics


# Ephemeral


async def test_nothing_ephemeral_is_lost_between_the_welcome_and_the_subscription() -> None:
    """The welcome says how things stand; what changed while it was written comes right after it."""
    hub, ear = Hub(MemoryBroker(), MemoryPresence()), Ear()

    async def welcome() -> dict[str, int]:
        await hub.publish_ephemeral([CHANNEL], "read up to 8")
        return {"read": 7}

    joined = await hub.join(ear, CHANNEL, welcome=welcome)

    assert joined.data == {"read": 7}
    assert joined.heard == [f'{{"push":{{"channel":"{CHANNEL}","pub":{{"data":"read up to 8"}}}}}}'.encode()]
    assert ear.frames == []
    await hub.publish_ephemeral(["room:none"], object())


# Everyone


async def test_what_is_for_everyone_reaches_every_connection_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some at a time, so that others get their turn; who comes meanwhile does not hear it twice."""
    monkeypatch.setattr(guests, "AT_ONCE", 3)
    world = RealtimeWorld()
    people = [await connected(world, person()) for _ in range(8)]
    began = people[0][2].subs[EVERYONE]

    await world.hub.publish([EVERYONE], "one")
    late = await connected(world, person())
    await world.hub.publish([EVERYONE], "two")
    await turns()

    assert [offsets(wire) for _, wire, _ in people] == [[1, 2]] * 8
    assert late[2].subs[EVERYONE].offset == 1
    assert offsets(late[1]) == [2]

    session, wire = world.session()
    sub = f'"{EVERYONE}":{{"recover":true,"offset":{began.offset},"epoch":"{began.epoch}"}}'
    await say(session, f'{{"id":1,"connect":{{"token":"{world.token(person())}","subs":{{{sub}}}}}}}')
    reply = wire.take()[0].connect
    assert reply is not None
    assert [one.offset for one in reply.subs[EVERYONE].publications] == [1, 2]


def test_very_many_streams_are_checked_in_a_longer_span() -> None:
    """A million idle channels must not keep the broker busy: a process checks a hundred a second at most."""
    assert checking.span_of(50, 30) == 30
    assert checking.span_of(17_000, 30) == 170
