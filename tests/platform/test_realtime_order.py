"""Order and completeness: whatever is lost, doubled or mixed up on the way, listeners hear every number once, in order.

Or they are told that they cannot be made complete; nobody believes to be complete who is not.
"""

import asyncio
import itertools
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.kit.actors import Actor
from tenfold.platform.realtime import EVERYONE, mending, user_channel
from tenfold.platform.realtime.hub import DURABLE_EPOCH, Hub
from tenfold.platform.realtime.kinds import Kinds
from tenfold.platform.realtime.memory import MemoryPresence
from tenfold.platform.realtime.protocol import StreamPosition
from tenfold.platform.realtime.topics import Joined
from tests.platform.realtime_faults import Ledger, ShakyBroker
from tests.platform.realtime_world import Ear, RealtimeWorld, connected, person, say

ROOM = UUID(int=1)
LEDGER = f"ledger:{ROOM}"
SIZE = 6

Deed = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 4)),
    st.tuples(st.just("arrive"), st.lists(st.integers(0, 5), max_size=8)),
    st.tuples(st.just("check"), st.just(0)),
    st.tuples(st.just("leave"), st.just(0)),
    st.tuples(st.just("come"), st.just(0)),
    st.tuples(st.just("turn"), st.integers(1, 3)),
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "PATIENCE", 0.0)


class Reader:
    """A client as the official ones behave: it recovers from its position, and reloads when it is told to."""

    def __init__(self, hub: Hub, channel: str) -> None:
        self.hub, self.channel = hub, channel
        self.ear: Ear | None = None
        self.offset, self.epoch = 0, ""
        self.seen: list[tuple[int, Any]] = []
        self.reloads = 0

    async def come(self) -> None:
        if self.ear is not None:
            return
        ear = Ear(actor=person())
        since = StreamPosition(offset=self.offset, epoch=self.epoch) if self.epoch else None
        joined = await self.hub.join(ear, self.channel, since)
        self.ear = ear
        self.begin(joined)

    def begin(self, joined: Joined) -> None:
        if joined.recovered:
            for publication in joined.missed:
                self.hear(publication.offset, publication.data)
            assert self.offset <= joined.offset
        else:
            self.reloads += 1
            self.seen.append((joined.offset, "reloaded"))
        self.offset, self.epoch = joined.offset, joined.epoch

    def hear(self, offset: int, data: Any) -> None:
        assert offset > self.offset, "twice, or out of order"
        self.offset = offset
        self.seen.append((offset, data))

    def read(self) -> None:
        """Take in what was delivered; if the server said that something is lost, begin again later."""
        if self.ear is None:
            return
        for offset, data in self.ear.heard():
            self.hear(offset, data)
        self.ear.frames.clear()
        if self.ear.lost:
            self.hub.leave(self.ear, self.channel)
            self.ear = None

    def leave(self) -> None:
        if self.ear is not None:
            self.read()
        if self.ear is not None:
            self.hub.leave(self.ear, self.channel)
            self.ear = None


async def settle(broker: ShakyBroker, *readers: Reader) -> None:
    """Let everything arrive, check every channel, and have those who were sent away come back."""
    for _ in range(3):
        broker.flow()
        for reader in readers:
            reader.hub.mender.check_all([])
        for _ in range(60):
            await asyncio.sleep(0)
        for reader in readers:
            reader.read()
            await reader.come()


async def play(
    broker: ShakyBroker, readers: list[Reader], steps: list[tuple[int, tuple[str, Any]]], publish: Any
) -> None:
    for index, (deed, amount) in steps:
        reader = readers[index]
        if deed == "publish":
            for _ in range(amount):
                await publish()
        elif deed == "arrive":
            broker.lines[index].arrive(amount)
        elif deed == "check":
            reader.hub.mender.check_all([])
        elif deed == "leave":
            reader.leave()
        elif deed == "come":
            reader.read()
            await reader.come()
        elif deed == "turn":
            for _ in range(amount):
                await asyncio.sleep(0)
    await settle(broker, *readers)


Steps = st.lists(st.tuples(st.sampled_from([0, 1]), Deed), min_size=5, max_size=50)


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


Things = st.sampled_from(["a", "b", "c", "d"])


@settings(deadline=None, max_examples=200)
@given(Steps, st.lists(Things, min_size=1, max_size=7))
def test_durable_channels_give_the_state_of_a_fresh_load(
    steps: list[tuple[int, tuple[str, Any]]], things: list[str]
) -> None:
    """With every publication lost, doubled or late: state from what was heard = state as the database has it."""

    async def run() -> None:
        broker, ledger = ShakyBroker(), Ledger()
        hubs = [Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()])) for _ in range(2)]
        readers = [Reader(hub, LEDGER) for hub in hubs]
        ledger.write(ROOM, "a", 0)
        for reader in readers:
            reader.epoch = DURABLE_EPOCH
            await reader.come()
        count = 0

        async def publish() -> None:
            nonlocal count
            count += 1
            thing = things[count % len(things)]
            offset = ledger.write(ROOM, thing, count)
            data = {"thing": thing, "value": count}
            await hubs[count % 2].publish_durable(LEDGER, data, offset=offset)

        await play(broker, readers, steps, publish)
        for reader in readers:
            assert reader.reloads == 0
            assert reader.offset == count + 1
            assert state_of(reader) == ledger.state(ROOM)
        for hub in hubs:
            await hub.mender.close()

    asyncio.run(run())


def state_of(reader: Reader) -> dict[str, int]:
    state: dict[str, int] = {}
    for _, data in reader.seen:
        change = msgspec.json.decode(data) if not isinstance(data, dict) else data
        state[change["thing"]] = change["value"]
    return state


async def test_a_number_that_comes_too_early_waits_for_those_before_it() -> None:
    """Two transactions that committed one after the other may tell in the other order: no query, no gap."""
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    ledger.write(ROOM, "a", 0)
    await hub.join(ear, LEDGER)
    reads = ledger.reads

    await hub.publish_durable(LEDGER, 3, offset=3)
    await hub.publish_durable(LEDGER, 2, offset=2)
    broker.flow()

    assert ear.heard() == [(2, 2), (3, 3)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert ledger.reads == reads


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


async def test_what_was_never_told_is_found_in_the_database() -> None:
    """The process that wrote it was killed between its commit and its word."""
    broker, ledger, ear = ShakyBroker(), Ledger(), Ear()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    ledger.write(ROOM, "a", 0)
    await hub.join(ear, LEDGER)

    ledger.write(ROOM, "a", 1)
    hub.mender.check_all([])
    async with asyncio.timeout(5):
        while not ear.frames:
            await asyncio.sleep(0.001)

    assert ear.heard() == [(2, {"thing": "a", "value": 1})]


async def test_a_crowd_that_comes_back_costs_one_statement() -> None:
    """Where many durable channels stand is asked once for all of an instant, and short gaps are remembered here."""
    broker, ledger = ShakyBroker(), Ledger()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    rooms = [UUID(int=n) for n in range(1, 51)]
    for room in rooms:
        ledger.write(room, "a", 0)
    await asyncio.gather(*(hub.join(Ear(), f"ledger:{room}") for room in rooms))
    assert ledger.asked == [50]

    for n in range(2, 6):
        await hub.publish_durable(LEDGER, n, offset=n)
    broker.flow()
    joined = await hub.join(Ear(), LEDGER, StreamPosition(offset=2, epoch=DURABLE_EPOCH))

    assert [publication.offset for publication in joined.missed] == [3, 4, 5]
    assert (joined.recovered, ledger.reads, ledger.asked) == (True, 0, [50])


async def test_a_durable_gap_of_any_length_is_recovered_page_by_page_unless_it_is_gone() -> None:
    """Beyond what the source keeps, the client is told to reload."""
    broker, ledger = ShakyBroker(), Ledger()
    hub = Hub(broker, MemoryPresence(), kinds=Kinds([ledger.channel()]))
    for n in range(1234):
        ledger.write(ROOM, f"thing {n}", n)

    joined = await hub.join(Ear(), LEDGER, StreamPosition(offset=1, epoch=DURABLE_EPOCH))
    assert [publication.offset for publication in joined.missed] == list(range(2, 1235))
    assert (joined.recovered, joined.offset) == (True, 1234)

    ledger.keeps = 10
    for offset, epoch in ((1, DURABLE_EPOCH), (9999, DURABLE_EPOCH), (1230, "another")):
        late = await hub.join(Ear(), LEDGER, StreamPosition(offset=offset, epoch=epoch))
        assert (late.recovered, late.missed, late.offset) == (False, (), 1234)


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

    hub.mender.check_all([])
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


async def test_nobody_reads_with_the_rights_of_somebody_else() -> None:
    """A recovery is read as the one who recovers; a repair for all, as nobody."""
    asked: list[Actor | None] = []
    broker, ledger = ShakyBroker(), Ledger()
    channel = ledger.channel()

    async def replay(actor: Actor | None, **rest: Any) -> Any:
        asked.append(actor)
        return await ledger.replay(actor=actor, **rest)

    object.__setattr__(channel, "replay", replay)
    hub, ana = Hub(broker, MemoryPresence(), kinds=Kinds([channel])), person()
    for n in range(40):
        ledger.write(ROOM, f"{n}", n)

    await hub.join(Ear(actor=ana), LEDGER, StreamPosition(offset=1, epoch=DURABLE_EPOCH))
    ledger.write(ROOM, "new", 1)
    hub.mender.check_all([])
    for _ in range(30):
        await asyncio.sleep(0)

    assert asked[0] == ana
    assert asked[-1] is None or len(asked) == 1


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
