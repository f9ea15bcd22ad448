"""Readers of a channel that come, go and recover as official clients do, and what may happen to them."""

import asyncio
from typing import Any

import msgspec
from hypothesis import strategies as st

from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.protocol import StreamPosition
from tenfold.platform.realtime.topics import Joined
from tests.platform.realtime_faults import ShakyBroker
from tests.platform.realtime_world import Ear, person

Deed = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 4)),
    st.tuples(st.just("arrive"), st.lists(st.integers(0, 5), max_size=8)),
    st.tuples(st.just("check"), st.just(0)),
    st.tuples(st.just("leave"), st.just(0)),
    st.tuples(st.just("come"), st.just(0)),
    st.tuples(st.just("turn"), st.integers(1, 3)),
)


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
            things = [msgspec.json.decode(one.data)["thing"] for one in joined.missed if b'"thing"' in bytes(one.data)]
            assert len(things) == len(set(things)), "what was replaced is given as if it were so"
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
            reader.hub.checker.check_all()
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
            reader.hub.checker.check_all()
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
