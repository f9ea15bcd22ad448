"""Realtime in memory: what streams remember, for how long, and that recovery is complete or says that it is not."""

import asyncio
from datetime import timedelta
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.kit.actors import Actor
from tenfold.platform.realtime import Channel, user_channel
from tenfold.platform.realtime.codes import SLOW
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence
from tenfold.platform.realtime.protocol import Publication, StreamPosition, SubscribeResult, decode_replies, encode_data
from tenfold.platform.realtime.session import Session
from tenfold.platform.realtime.streams import Stream, Streams
from tests.platform.realtime_world import Ear, RealtimeWorld, RecordingWire, Stopwatch, metric, person, say

SIZE, TTL = 5, 60.0


async def test_a_channel_without_listeners_costs_nothing() -> None:
    """The data is not even encoded: this object could not be."""
    hub = Hub(MemoryBroker(), MemoryPresence())
    before = metric("tenfold_realtime_publications_total")

    await hub.publish(["room:1"], object())

    assert hub.listening(["room:1"]) == []
    assert metric("tenfold_realtime_publications_total") == before


async def test_every_listener_of_a_channel_gets_the_same_bytes() -> None:
    """One frame is built per channel, not per socket."""
    hub, ears = Hub(MemoryBroker(), MemoryPresence()), [Ear(), Ear(), Ear()]
    for ear in ears:
        await hub.join(ear, "room:1")
    before = metric("tenfold_realtime_deliveries_total")

    await hub.publish(["room:1", "room:2"], {"n": 1})

    assert ears[0].frames == [b'{"push":{"channel":"room:1","pub":{"data":{"n":1},"offset":1}}}']
    assert ears[0].frames[0] is ears[1].frames[0] is ears[2].frames[0]
    assert metric("tenfold_realtime_deliveries_total") == before + 3


async def test_a_stream_outlives_its_last_listener_for_a_while() -> None:
    """Long enough to come back from a tunnel; then its memory is free and no position in it fits any more."""
    watch, ear = Stopwatch(), Ear()
    hub = Hub(MemoryBroker(history_ttl=timedelta(seconds=TTL), monotonic=watch), MemoryPresence())
    began = await hub.join(ear, "room:1")
    hub.leave(ear, "room:1")

    watch.seconds += TTL - 1
    await hub.publish(["room:1"], 1)
    assert hub.listening(["room:1", "room:2"]) == ["room:1"]
    back = await hub.join(ear, "room:1", StreamPosition(offset=0, epoch=began.epoch))
    assert (back.recovered, len(back.missed)) == (True, 1)

    hub.leave(ear, "room:1")
    watch.seconds += TTL
    assert hub.listening(["room:1"]) == []
    late = await hub.join(ear, "room:1", StreamPosition(offset=1, epoch=began.epoch))
    assert (late.recovered, late.missed) == (False, ())


async def test_old_publications_are_forgotten_while_the_channel_is_open() -> None:
    """By number and by age; who needs none of them still recovers."""
    watch = Stopwatch()
    broker = MemoryBroker(history_size=SIZE, history_ttl=timedelta(seconds=TTL), monotonic=watch)
    (began,) = await broker.positions(["room:1"])

    async def kept() -> list[int]:
        _, publications = await broker.history("room:1")
        return [publication.offset for publication in publications or ()]

    for n in range(7):
        watch.seconds += 10
        await broker.publish(["room:1"], encode_data(n))
    assert await kept() == [3, 4, 5, 6, 7]
    watch.seconds += 35
    assert await kept() == [5, 6, 7]
    watch.seconds += 200
    assert await kept() == []

    for offset, known in ((7, []), (6, None)):
        found = await broker.history("room:1", StreamPosition(offset=offset, epoch=began.epoch))
        assert found.publications == known


async def test_sweeping_forgets_without_anybody_asking() -> None:
    """A timer's call is enough to free what a quiet channel remembers."""
    watch, streams = Stopwatch(), Streams(SIZE, TTL)
    streams.begin("room:1", watch())
    streams.append("room:1", encode_data("old"), watch())
    watch.seconds += 50
    streams.append("room:1", encode_data("new"), watch())

    watch.seconds += 20
    streams.sweep(watch())
    assert [len(stream.kept) for stream in streams] == [1]
    watch.seconds += 200
    streams.sweep(watch())
    assert [len(stream.kept) for stream in streams] == [0]


async def test_a_position_in_a_dropped_stream_never_fits_its_successor() -> None:
    """All streams share an epoch, so a new one begins beyond the last number of any that was dropped."""
    watch, streams = Stopwatch(), Streams(SIZE, TTL)
    for name, publications in (("room:1", 3), ("room:2", 5)):
        streams.begin(name, watch())
        for n in range(publications):
            streams.append(name, encode_data(n), watch())
    positions = [stream.position for stream in streams]
    for name in ("room:1", "room:2"):
        streams.abandon(name, watch())
    watch.seconds += TTL
    streams.sweep(watch())

    successor = streams.begin("room:1", watch())

    assert [successor.since(position) for position in positions] == [None, None]
    assert successor.since(successor.position) == []


async def test_a_listener_that_leaves_while_a_message_is_delivered_disturbs_nobody() -> None:
    """A slow reader is thrown out from inside its own delivery."""
    hub = Hub(MemoryBroker(), MemoryPresence())

    class Leaver(Ear):
        def deliver(self, frame: bytes) -> None:
            hub.leave(self, "room:1")
            self.end(SLOW)

    ears = [Ear(), Ear(), Ear()]
    for ear in [ears[0], Leaver(), ears[1], Leaver(), ears[2]]:
        await hub.join(ear, "room:1")

    await hub.publish(["room:1"], 1)
    await hub.publish(["room:1"], 2)

    assert [len(ear.frames) for ear in ears] == [2, 2, 2]


def test_channel_names_are_canonical() -> None:
    """A second spelling of an id would be a second channel that nobody publishes to."""
    kind, id_ = Channel("conversation:{conversation_id}", lambda **_: asyncio.sleep(0, True)), person().id

    assert kind.match(f"conversation:{id_}") == {"conversation_id": id_}
    for name in (
        str(id_),
        id_.hex,
        f"conversation:{str(id_).upper()}",
        f"conversation:{id_.hex}",
        f"conversation:{id_}x",
    ):
        assert kind.match(name) is None
    assert kind.match(f"conversation:{id_.hex[:8]}----{id_.hex[8:]}") is None


# Recovery, against a brute-force model


class Device:
    """A client as the official ones behave: it keeps a position, and applies what it hears to what it knows.

    `behind` of the frames written to it are still under way when it is cut off, and are lost.
    """

    def __init__(self, world: RealtimeWorld, actor: Actor) -> None:
        self.world, self.actor, self.channel = world, actor, user_channel(actor.id)
        self.session: Session | None = None
        self.wire = RecordingWire()
        self.seen: list[int] = []
        self.offset, self.epoch = 0, ""
        self.stream: Stream | None = None
        self.connecting: asyncio.Task[None] | None = None
        self.outcomes: list[tuple[bool, bool]] = []

    async def begin(self) -> None:
        """Start to connect; the token is still being checked when this returns."""
        if self.session is not None:
            return
        self.session, self.wire = self.world.session()
        sub = f'"{self.channel}":{{"recover":true,"offset":{self.offset},"epoch":"{self.epoch}"}}' if self.epoch else ""
        frame = f'{{"id":1,"connect":{{"token":"{self.world.token(self.actor)}","subs":{{{sub}}}}}}}'
        self.connecting = asyncio.create_task(say(self.session, frame))
        await asyncio.sleep(0)

    async def finish(self, published: list[int], gate: asyncio.Event) -> None:
        """Let the check of the token end."""
        if self.connecting is None:
            return
        gate.set()
        await self.connecting
        gate.clear()
        self.connecting = None
        self.read(published)

    def read(self, published: list[int]) -> None:
        """Apply every frame that arrived."""
        for reply in [reply for frame in self.wire.frames for reply in decode_replies(frame)]:
            if reply.connect is not None:
                self.begin_stream(reply.connect.subs[self.channel], published)
            elif reply.push is not None and reply.push.pub is not None:
                self.apply(reply.push.pub)
        self.wire.frames.clear()

    def begin_stream(self, own: SubscribeResult, published: list[int]) -> None:
        self.outcomes.append((own.was_recovering, own.recovered))
        if own.recovered:
            for publication in own.publications:
                self.apply(publication)
            assert self.offset == own.offset
        else:
            # What `recovered: false` asks for: load the whole anew. The frames that follow in the same batch came
            # after the reply, so the load is of the moment at which the reply was written.
            later = sum(reply.push is not None for frame in self.wire.frames for reply in decode_replies(frame))
            self.seen = published[: len(published) - later]
        self.offset, self.epoch = own.offset, own.epoch
        self.stream = stream_of(self.world, self.channel)

    def apply(self, publication: Publication) -> None:
        assert publication.offset == self.offset + 1
        self.offset = publication.offset
        self.seen.append(msgspec.json.decode(publication.data))

    def cut(self, behind: int, published: list[int]) -> None:
        """Lose the connection, and with it the last frames on their way."""
        if self.session is None or self.connecting is not None:
            return
        if behind:
            del self.wire.frames[-behind:]
        self.read(published)
        self.session.lost()
        self.session = None


Step = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 3)),
    st.tuples(st.just("cut"), st.integers(0, 3)),
    st.tuples(st.just("begin"), st.just(0)),
    st.tuples(st.just("finish"), st.just(0)),
    st.tuples(st.just("connect"), st.just(0)),
    st.tuples(st.just("read"), st.just(0)),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 61])),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.sampled_from([0, 0, 1]), Step), min_size=15, max_size=60))
def test_recovery_is_complete_or_says_that_it_is_not(steps: list[tuple[int, tuple[str, int]]]) -> None:
    """Two devices of one person: whatever is published, cut and reconnected, in whatever order, none misses, doubles or
    reorders a message unless it was told to reload; and it is told so only when history really did not reach."""
    asyncio.run(play(steps))


async def test_nothing_slips_between_recovery_and_what_is_live() -> None:
    """With a publication in every single step of the event loop while a client comes back, its numbers have no gap."""
    world, gate, published = RealtimeWorld(history_size=1000), asyncio.Event(), []
    device = Device(world, person())
    other, other_wire = world.session()
    await say(other, f'{{"id":1,"connect":{{"token":"{world.token(device.actor)}"}}}}')

    async def publish_always() -> None:
        while True:
            published.append(len(published))
            await world.hub.publish([device.channel], published[-1])
            await asyncio.sleep(0)

    publishing = asyncio.create_task(publish_always())
    for _ in range(20):
        await device.begin()
        await asyncio.sleep(0)
        await device.finish(published, gate)
        await asyncio.sleep(0)
        device.cut(1, published)
    publishing.cancel()

    assert device.outcomes == [(False, False)] + [(True, True)] * 19
    assert device.seen == published[: len(device.seen)]
    assert len(device.seen) > 20
    assert len(other_wire.take()) == len(published) + 1


def stream_of(world: RealtimeWorld, channel: str) -> Stream | None:
    """The stream that is alive now: one that was dropped and begun again is another."""
    assert isinstance(world.broker, MemoryBroker)
    world.broker.sweep()
    return world.broker.streams.get(channel)


async def play(steps: list[tuple[int, tuple[str, int]]]) -> None:
    watch = Stopwatch()
    world = RealtimeWorld(monotonic=watch, history_size=SIZE, history_ttl=timedelta(seconds=TTL))
    gates = [asyncio.Event(), asyncio.Event()]
    actor = person()
    devices = [Device(world, actor), Device(world, Actor(id=actor.id, session_id=UUID(int=7)))]
    sign_in = world.lobby.authenticate

    async def authenticate(token: str):
        signed_in = await sign_in(token)
        await gates[0 if signed_in.actor is actor else 1].wait()
        return signed_in

    world.lobby.authenticate = authenticate
    published: list[int] = []
    moments: list[float] = []
    for index, (deed, amount) in steps:
        device = devices[index]
        if deed == "publish":
            for _ in range(amount):
                heard = bool(world.hub.listening([device.channel]))
                published.append(len(published))
                moments.append(watch() if heard else float("-inf"))
                await world.hub.publish([device.channel], published[-1])
        elif deed == "cut":
            device.cut(amount, published)
        elif deed == "read":
            device.read(published)
        elif deed == "wait":
            watch.seconds += amount
        if deed in ("begin", "connect"):
            await device.begin()
        if deed in ("finish", "connect") and device.connecting is not None:
            missed = published[len(device.seen) :]
            reachable = len(missed) <= SIZE and all(moments[n] > watch() - TTL for n in missed)
            had_position, before = bool(device.epoch), len(device.outcomes)
            is_same_stream = stream_of(world, device.channel) is device.stream
            await device.finish(published, gates[index])
            was_recovering, recovered = device.outcomes[before]
            assert was_recovering == had_position
            assert recovered == (had_position and is_same_stream and reachable)
            assert device.seen == published
    for index, device in enumerate(devices):
        await device.begin()
        await device.finish(published, gates[index])
        device.read(published)
        assert device.seen == published
        device.cut(0, published)
