"""What goes wrong between a hub and its neighbours, on purpose: a shaky line, a slow or absent broker, a ledger."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from msgspec import Raw

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import Unavailable
from tenfold.platform.realtime import Channel, Replayed
from tenfold.platform.realtime.broker import History, Receiver
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence
from tenfold.platform.realtime.protocol import StreamPosition
from tenfold.platform.realtime.topics import Joined
from tests.platform.realtime_world import Ear, everybody


class Line:
    """The way from a broker to one hub: what is under way arrives when a test says so, if at all."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.under_way: list[tuple[str, int, str, Raw]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.receiver, name)

    def received(self, channel: str, offset: int, epoch: str, data: Raw) -> None:
        self.under_way.append((channel, offset, epoch, data))

    def arrive(self, order: Sequence[int]) -> None:
        """Let those with these places arrive, in this order, perhaps twice; the others are lost."""
        arrived = [self.under_way[place % len(self.under_way)] for place in order if self.under_way]
        self.under_way.clear()
        for publication in arrived:
            self.receiver.received(*publication)


class ShakyBroker(MemoryBroker):
    """A broker whose publications are lost, doubled and mixed up on their way to each hub; its calls take turns."""

    loses_nothing: ClassVar[bool] = False

    def __init__(self, **memory: Any) -> None:
        super().__init__(**memory)
        self.lines: list[Line] = []
        self.is_away = False

    def attach(self, receiver: Receiver) -> None:
        self.lines.append(Line(receiver))
        super().attach(self.lines[-1])  # pyright: ignore[reportArgumentType]

    async def publish(self, channels: Sequence[str], data: Raw) -> None:
        await self._turn()
        await super().publish(channels, data)

    async def route(self, channels: Sequence[str], data: Raw, *, offset: int = 0) -> None:
        await self._turn()
        await super().route(channels, data, offset=offset)

    async def subscribe(self, channels: Sequence[str]) -> None:
        await self._turn()

    async def positions(self, channels: Sequence[str]) -> list[StreamPosition]:
        await self._turn()
        return await super().positions(channels)

    async def history(
        self, channel: str, since: StreamPosition | None = None, *, limit: int = -1, reverse: bool = False
    ) -> History:
        await self._turn()
        return await super().history(channel, since, limit=limit, reverse=reverse)

    async def begin_anew(self, channels: Sequence[str] | None) -> None:
        await self._turn()
        await super().begin_anew(channels)

    async def signal(self, data: Raw) -> None:
        await self._turn()
        await super().signal(data)

    def flow(self) -> None:
        """Let everything arrive, in order."""
        for line in self.lines:
            line.arrive(range(len(line.under_way)))

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable


class Sides(NamedTuple):
    """Two processes on one broker, with somebody in each who listens to a channel, and where that began."""

    here: Hub
    there: Hub
    near: Ear
    far: Ear
    began: StreamPosition

    async def comes_back(self, channel: str) -> Joined:
        """Who was there at the beginning, after they were away."""
        return await self.there.join(Ear(), channel, self.began)


async def sides(broker: ShakyBroker, channel: str) -> Sides:
    """Both processes, and their listeners."""
    here, there = Hub(broker, MemoryPresence()), Hub(broker, MemoryPresence())
    near, far = Ear(), Ear()
    joined = await here.join(near, channel)
    await there.join(far, channel)
    return Sides(here, there, near, far, StreamPosition(offset=joined.offset, epoch=joined.epoch))


@dataclass
class Ledger:
    """What a database knows of durable channels: changes of things, numbered; read as the newest state of each."""

    changes: dict[UUID, list[tuple[str, int]]] = field(default_factory=dict)
    reads: int = 0
    asked: list[int] = field(default_factory=list)
    keeps: int | None = None
    """How many of the newest changes can be replayed; None: all."""
    is_away: bool = False
    refused: int = 0
    after_reading: Callable[[], None] = lambda: None
    """What happens between a reading and its answer."""

    def write(self, room_id: UUID, thing: str, value: int) -> int:
        """Change a thing; the number of the change."""
        changes = self.changes.setdefault(room_id, [])
        changes.append((thing, value))
        return len(changes)

    def entry(self, room_id: UUID, number: int) -> dict[str, Any]:
        """What a change is told as; `new` only when nothing was known of the thing before."""
        changes = self.changes[room_id]
        thing, value = changes[number - 1]
        is_new = all(thing != earlier for earlier, _ in changes[: number - 1])
        return {"thing": thing, "value": value, **({"new": True} if is_new else {})}

    def state(self, room_id: UUID) -> dict[str, int]:
        return dict(self.changes.get(room_id, []))

    def channel(self, **more: Any) -> Channel:
        more = {"is_addition": lambda data: b'"new"' in bytes(data), **more}
        return Channel("ledger:{room_id}", everybody, replay=self.replay, positions=self.positions, **more)

    async def replay(self, actor: Actor | None, since: int, limit: int, room_id: UUID) -> Replayed | None:
        await asyncio.sleep(0)
        if self.is_away:
            self.refused += 1
            raise Unavailable
        self.reads += 1
        changes = list(self.changes.get(room_id, []))
        self.after_reading()
        if self.keeps is not None and since < len(changes) - self.keeps:
            return None
        newest = {thing: number for number, (thing, _) in enumerate(changes, 1)}
        numbers = sorted(number for number in newest.values() if number > since)
        return Replayed([(number, self.entry(room_id, number)) for number in numbers[:limit]], len(changes))

    async def positions(self, ids: Sequence[UUID]) -> dict[UUID, int]:
        await asyncio.sleep(0)
        self.asked.append(len(ids))
        return {id_: len(self.changes[id_]) for id_ in ids if id_ in self.changes}
