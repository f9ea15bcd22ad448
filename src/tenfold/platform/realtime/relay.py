"""Realtime for an installation of several processes without a broker: each publishes to its own, and over the bus.

Every process numbers its streams by itself, with epochs of its own. So a client that comes back to another process than
the one it left is told `recovered: false` and reloads; one that comes back to the same process recovers.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog

from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus import Bus
from tenfold.platform.realtime import Realtime
from tenfold.platform.realtime.memory import MemoryRealtime
from tenfold.platform.realtime.presence import Present
from tenfold.platform.realtime.protocol import encode_data

TOPIC = "realtime"
NAMES_PER_SIGNAL = 128
"""A bus carries little in one signal at ease (Postgres: 8000 bytes), and a channel's name takes about 45 of them."""

log = structlog.get_logger(__name__)


class _Signal(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one process tells the others. `missed` says that signals before this one were lost."""

    origin: str
    missed: bool = False
    channels: list[str] = []
    data: Any = None
    session_ids: list[UUID] = []
    user_ids: list[UUID] = []


class RelayedRealtime(Realtime):
    """Does every deed in this process, through `hub`, and in all others; its own signals it does not hear again.

    The bus delivers at most once. When a signal may have been lost, the streams that lack it are begun anew and their
    listeners sent away to come back and reload, so that nobody believes to be complete who is not.
    """

    def __init__(self, hub: MemoryRealtime, bus: Bus) -> None:
        """Listens to the bus, so build it before the bus is opened."""
        self._hub = hub
        self._bus = bus
        self._origin = new_id().hex
        self._has_missed = False
        bus.listen(TOPIC, self._hear)
        bus.on_gap(hub.begin_anew)

    async def publish(self, channels: Iterable[str], data: object) -> None:
        """Publish one message to each channel, here and elsewhere; only here while the bus is away."""
        names = list(channels)
        await self._hub.publish(names, data)
        plain = msgspec.json.decode(encode_data(data)) if names else None
        for start in range(0, len(names), NAMES_PER_SIGNAL):
            await self._send(channels=names[start : start + NAMES_PER_SIGNAL], data=plain)

    async def publish_durable(self, channel: str, data: object, *, offset: int) -> None:
        """Publish what the database has numbered, here and elsewhere."""
        await self.publish([channel], data)

    async def publish_ephemeral(self, channels: Iterable[str], data: object) -> None:
        """Tell those who listen, here and elsewhere."""
        await self.publish(channels, data)

    async def unsubscribe(self, user_id: UUID, channel: str) -> None:
        """End a user's subscriptions to a channel in this process."""
        await self._hub.unsubscribe(user_id, channel)

    async def present(self, channels: Sequence[str]) -> list[list[Present]]:
        """Who listens in this process."""
        return await self._hub.present(channels)

    async def last_active(self, user_ids: Sequence[UUID]) -> list[float | None]:
        """Who was seen to leave this process."""
        return await self._hub.last_active(user_ids)

    def listening(self, channels: Iterable[str]) -> list[str]:
        """All of them: this process does not know who listens in the others."""
        return list(channels)

    async def disconnect(self, *, session_ids: Iterable[UUID] = (), user_ids: Iterable[UUID] = ()) -> None:
        """Close the connections of these sessions and users in every process."""
        sessions, users = list(session_ids), list(user_ids)
        await self._hub.disconnect(session_ids=sessions, user_ids=users)
        for start in range(0, max(len(sessions), len(users)), NAMES_PER_SIGNAL):
            part = slice(start, start + NAMES_PER_SIGNAL)
            await self._send(session_ids=sessions[part], user_ids=users[part])

    async def _send(self, **content: Any) -> None:
        signal = _Signal(self._origin, self._has_missed, **content)
        try:
            await self._bus.send(TOPIC, msgspec.to_builtins(signal))
        except (Unavailable, OSError) as error:
            self._has_missed = True
            log.warning("realtime.not_relayed", error=str(error))
        else:
            self._has_missed = False

    async def _hear(self, payload: Any) -> None:
        signal = msgspec.convert(payload, _Signal)
        if signal.origin == self._origin:
            return
        if signal.missed:
            self._hub.begin_anew()
        if signal.channels:
            await self._hub.publish(signal.channels, signal.data)
        if signal.session_ids or signal.user_ids:
            await self._hub.disconnect(session_ids=signal.session_ids, user_ids=signal.user_ids)
