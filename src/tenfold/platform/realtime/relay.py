"""The broker of an installation of several processes without a broker's server: each numbers by itself, and relays.

What is published in one process goes over the bus to the others, and each numbers it in streams of its own, with an
epoch of its own. So a client that comes back to another process than the one it left is told `recovered: false` and
reloads; one that comes back to the same process recovers. Durable channels do not mind: the database numbers them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus import Bus
from tenfold.platform.realtime.company import Company
from tenfold.platform.realtime.errand import Errand
from tenfold.platform.realtime.memory import MemoryBroker
from tenfold.platform.realtime.outlet import Message, Outlet
from tenfold.platform.realtime.protocol import encode_data

TOPIC = "realtime"
NAMES_PER_SIGNAL = 128
"""A bus carries little in one signal at ease (Postgres: 8000 bytes), and a channel's name takes about 45 of them."""


class _Relayed(Message, frozen=True, omit_defaults=True, kw_only=True):
    """What one process tells the others; `said` is a hub's signal."""

    origin: str
    channels: list[str] = msgspec.field(default_factory=list)
    offset: int | None = None
    data: Any = None
    said: Any = None


class RelayedBroker(MemoryBroker):
    """Does every deed in this process and in all others; what it says itself it does not hear again.

    The bus delivers at most once. When something may have been lost, all streams begin anew and their listeners come
    back and reload, so that nobody believes to be complete who is not. They are told of it as soon as the bus takes
    anything, not with the next publication: by then many may listen who missed nothing.
    """

    def __init__(self, bus: Bus, company: Company | None = None, **memory: Any) -> None:
        """Listens to the bus, so build it before the bus is opened. Publications are relayed while there is company."""
        super().__init__(**memory)
        self._bus = bus
        self._outlet = Outlet(bus, TOPIC)
        self._confessing = Errand(self._confess)
        self._company = company or Company()
        self._origin = new_id().hex
        bus.listen(TOPIC, self._hear)
        bus.on_gap(self._start_over)
        self._company.on_return(self._welcome)

    async def open(self) -> None:
        """Take a name and an epoch of one's own: what was built before a fork is another in each process."""
        self._origin = new_id().hex
        self.streams.clear()

    async def close(self) -> None:
        """Deliver nothing more, and tell nobody."""
        await self._confessing.close()
        await super().close()

    async def publish(self, channels: Sequence[str], data: Raw) -> None:
        """Publish here and elsewhere; only here while the bus is away."""
        await super().publish(channels, data)
        if self._company.is_here:
            await self._relay(channels, data)

    async def route(self, channels: Sequence[str], data: Raw, *, offset: int = 0) -> None:
        """Deliver here and elsewhere; only here while the bus is away."""
        await super().route(channels, data, offset=offset)
        if self._company.is_here:
            await self._relay(channels, data, offset)

    async def signal(self, data: Raw) -> None:
        """Say something to every hub here, and in all other processes, whether any is known or not: it is rare.

        Raises `Unavailable` when they could not be told: the hub owes it to them.
        """
        await self._bus.send(TOPIC, msgspec.to_builtins(_Relayed(origin=self._origin, said=msgspec.json.decode(data))))
        await super().signal(data)

    def listening(self, channels: Iterable[str]) -> list[str]:
        """All of them while there is company: this process does not know who listens elsewhere."""
        return list(channels) if self._company.is_here else super().listening(channels)

    async def _relay(self, channels: Sequence[str], data: Raw, offset: int | None = None) -> None:
        plain = msgspec.json.decode(data)
        for start in range(0, len(channels), NAMES_PER_SIGNAL):
            await self._send(channels=list(channels[start : start + NAMES_PER_SIGNAL]), data=plain, offset=offset)

    async def _send(self, **content: Any) -> None:
        is_sent = False
        try:
            is_sent = await self._outlet.send(_Relayed(origin=self._origin, **content))
        finally:
            if not is_sent:
                self._confessing.do_soon()

    async def _hear(self, payload: Any) -> None:
        heard = msgspec.convert(payload, _Relayed)
        if heard.origin == self._origin:
            return
        await self._company.note()
        if heard.missed:
            await self._start_over()
        if heard.said is not None:
            await super().signal(encode_data(heard.said))
        elif heard.offset is None:
            await super().publish(heard.channels, encode_data(heard.data))
        else:
            await super().route(heard.channels, encode_data(heard.data), offset=heard.offset)

    async def _welcome(self) -> None:
        """Somebody has come who was not told what was said before."""
        self._outlet.lose()
        await self._send()

    async def _confess(self) -> None:
        if not await self._outlet.send(_Relayed(origin=self._origin)):
            raise Unavailable

    async def _start_over(self) -> None:
        await self.begin_anew(None)
        for receiver in self.receivers:
            receiver.gap()
