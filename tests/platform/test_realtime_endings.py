"""Lost rights: a subscription token from before the loss is not taken at its word, in any process."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tenfold.kit.actors import Actor
from tenfold.kit.clock import Clock
from tenfold.platform.bus.memory import MemoryBus
from tenfold.platform.realtime import codes, endings
from tenfold.platform.realtime.endings import CLOCKS_DIFFER, Endings
from tenfold.platform.realtime.lobby import Permit
from tenfold.platform.realtime.memory import MemoryBroker
from tenfold.platform.realtime.protocol import SubscribeResult
from tenfold.platform.realtime.relay import RelayedBroker
from tests.platform.realtime_world import RealtimeWorld, connected, person, say, subscribed
from tests.waiting import until

ROOM = UUID(int=1)
CHANNEL = f"room:{ROOM}"


class Watch(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_by(self) -> None:
        """Longer than clocks differ."""
        self.at += CLOCKS_DIFFER + timedelta(seconds=1)


class Membership:
    """Who may listen, how often that was asked, and tokens: `ana@time` is Ana's from that moment."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.members: set[UUID] = set()
        self.asked = 0
        self.permits: dict[str, Permit] = {}

    async def may_listen(self, actor: Actor, room_id: UUID) -> bool:
        self.asked += 1
        return actor.id in self.members

    def token(self, user: Actor) -> str:
        self.permits[name := f"token-{len(self.permits)}"] = Permit(user.id, CHANNEL, self.watch.now())
        return name

    async def read(self, token: str) -> Permit:
        return self.permits[token]

    def process(self, bus: MemoryBus) -> RealtimeWorld:
        return RealtimeWorld(
            broker=RelayedBroker(bus),
            may_listen=self.may_listen,
            hub={"clock": self.watch},
            lobby={"subscription_of": self.read},
        )


async def comes_back(world: RealtimeWorld, user: Actor, token: str) -> object:
    """What a client is answered that connects with a subscription token which it had kept."""
    session, wire, _ = await connected(world, user)
    answer = await subscribed(session, wire, CHANNEL, f',"token":"{token}"')
    session.lost()
    return answer


async def test_a_token_from_before_a_lost_membership_opens_nothing_in_any_process() -> None:
    """A client of somebody's own making keeps its token; others are not asked about, and who returns is let in."""
    watch, bus, ana, bob = Watch(), MemoryBus(), person(), person()
    rights = Membership(watch)
    rights.members |= {ana.id, bob.id}
    await bus.open()
    here, there = rights.process(bus), rights.process(bus)
    watch.pass_by()
    kept, bobs = rights.token(ana), rights.token(bob)
    session, wire, _ = await connected(there, ana)
    assert isinstance(await subscribed(session, wire, CHANNEL, f',"token":"{kept}"'), SubscribeResult)

    watch.pass_by()
    rights.members.discard(ana.id)
    await here.hub.unsubscribe(ana.id, CHANNEL)
    await until(lambda: not there.hub.listens(CHANNEL))

    for world in (here, there):
        assert await comes_back(world, ana, kept) == codes.PERMISSION_DENIED
    assert rights.asked == 2
    assert isinstance(await comes_back(there, bob, bobs), SubscribeResult)
    assert rights.asked == 2
    watch.pass_by()
    rights.members.add(ana.id)
    assert isinstance(await comes_back(there, ana, rights.token(ana)), SubscribeResult)
    assert rights.asked == 2
    session.lost()
    await bus.close()


async def test_a_token_is_not_renewed_by_one_from_before_the_loss() -> None:
    """Neither does a refresh take it at its word."""
    watch, bus, ana = Watch(), MemoryBus(), person()
    rights = Membership(watch)
    world = rights.process(bus)
    watch.pass_by()
    kept = rights.token(ana)
    watch.pass_by()
    await world.hub.unsubscribe(ana.id, CHANNEL)
    watch.pass_by()
    session, wire, _ = await connected(world, ana)
    assert isinstance(await subscribed(session, wire, CHANNEL, f',"token":"{rights.token(ana)}"'), SubscribeResult)

    await say(session, f'{{"id":3,"sub_refresh":{{"channel":"{CHANNEL}","token":"{kept}"}}}}')

    assert wire.take()[0].error == codes.PERMISSION_DENIED


async def test_a_review_ends_only_what_somebody_may_hear_no_more() -> None:
    """One of several reasons has ended: who has another goes on undisturbed, in every process; nobody else is asked."""
    watch, bus, ana, bob, eve = Watch(), MemoryBus(), person(), person(), person()
    rights = Membership(watch)
    rights.members |= {ana.id, bob.id, eve.id}
    await bus.open()
    here, there = rights.process(bus), rights.process(bus)
    kept = rights.token(ana)
    watch.pass_by()
    sessions = [await connected(there, one) for one in (ana, bob, eve)]
    for session, wire, _ in sessions:
        assert isinstance(await subscribed(session, wire, CHANNEL), SubscribeResult)
    asked = rights.asked

    rights.members -= {ana.id, eve.id}
    await here.hub.review([ana.id, bob.id], [CHANNEL, "room:none"])
    await until(lambda: not sessions[0][0].listens(CHANNEL))

    pushes = [reply.push for reply in sessions[0][1].take() if reply.push is not None]
    assert [push.unsubscribe for push in pushes] == [codes.SERVER_UNSUBSCRIBED]
    assert [session.listens(CHANNEL) for session, _, _ in sessions] == [False, True, True]
    assert rights.asked == asked + 2
    assert await comes_back(there, ana, kept) == codes.PERMISSION_DENIED
    await bus.close()


async def test_who_is_just_subscribing_is_reviewed_once_they_listen() -> None:
    """They were let in before the right was lost, and listened after it was looked who does."""
    gate, answers, ana = asyncio.Event(), [True, False], person()

    async def slowly(actor: Actor, room_id: UUID) -> bool:
        answer = answers.pop(0)
        await gate.wait()
        return answer

    world = RealtimeWorld(may_listen=slowly)
    session, wire, _ = await connected(world, ana)
    opening = asyncio.create_task(subscribed(session, wire, CHANNEL))
    await until(lambda: len(answers) == 1)
    await world.hub.review([ana.id], [CHANNEL])
    gate.set()

    assert isinstance(await opening, SubscribeResult)
    await until(lambda: not session.listens(CHANNEL))


@pytest.mark.parametrize("why", ["a gap", "a new process"])
async def test_after_silence_older_tokens_are_asked_about(why: str) -> None:
    """Who lost a right meanwhile was perhaps not told of here."""
    watch, bus, ana, bob = Watch(), MemoryBus(), person(), person()
    rights = Membership(watch)
    world = rights.process(bus)
    watch.pass_by()
    tokens = {user: rights.token(user) for user in (ana, bob)}
    rights.members.add(bob.id)
    watch.pass_by()
    assert isinstance(await comes_back(world, ana, tokens[ana]), SubscribeResult)

    if why == "a gap":
        world.hub.gap()
    else:
        world = rights.process(bus)

    assert await comes_back(world, ana, tokens[ana]) == codes.PERMISSION_DENIED
    assert isinstance(await comes_back(world, bob, tokens[bob]), SubscribeResult)


def test_what_is_forgotten_is_known_to_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has a bound; beyond it more is asked, never less."""
    monkeypatch.setattr(endings, "REMEMBERED", 2)
    watch = Watch()
    known, users = Endings(watch), [UUID(int=n) for n in range(4)]
    watch.pass_by()
    before = watch.now()
    assert not known.may_outdate(before, users[0], CHANNEL)

    for user in users[:3]:
        watch.pass_by()
        known.note([user], CHANNEL)
    after_first = watch.now() - CLOCKS_DIFFER

    assert all(known.may_outdate(before, user, CHANNEL) for user in users)
    assert not known.may_outdate(after_first, users[3], CHANNEL)
    assert not known.may_outdate(after_first, users[2], "room:other")
    assert known.may_outdate(watch.now(), users[2], CHANNEL)


class SlowBroker(MemoryBroker):
    """A broker that takes its time to say where a stream stands."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = ""
        self.asked = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def subscribe(self, channels: object) -> None:
        if self.slow and self.slow in str(channels):
            self.asked.set()
            await self.goes_on.wait()


@pytest.mark.parametrize("channel", ["everyone", "user:"])
@pytest.mark.parametrize("what", ["expire", "disconnect"])
async def test_who_is_just_connecting_is_sent_away_like_the_others(channel: str, what: str) -> None:
    """Whose claims changed or who was disconnected while a channel of theirs was being opened, has no connection."""
    broker, ana = SlowBroker(), person()
    world = RealtimeWorld(broker=broker)
    session, wire = world.session()
    broker.slow = channel
    connecting = asyncio.create_task(say(session, f'{{"id":1,"connect":{{"token":"{world.token(ana)}"}}}}'))
    await broker.asked.wait()

    if what == "expire":
        world.hub.expire([ana.id])
    else:
        await world.hub.disconnect(user_ids=[ana.id])
    broker.goes_on.set()
    await connecting

    assert wire.closed == (codes.CONNECTION_EXPIRED if what == "expire" else codes.FORCE_DISCONNECT)
    assert wire.take() == []
    assert len(world.hub.guests) == 0
    assert not world.hub.listens(f"user:{ana.id}")
