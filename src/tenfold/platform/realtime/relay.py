"""Realtime for an installation of several processes without a broker: each publishes to its own, and over the bus.

Every process numbers its streams by itself, with epochs of its own. So a client that comes back to another process than
the one it left is told `recovered: false` and reloads; one that comes back to the same process recovers.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from tenfold.kit.ids import new_id
from tenfold.platform.bus import Bus
from tenfold.platform.realtime import Realtime

TOPIC = "realtime"
CHANNELS_PER_SIGNAL = 64
"""A bus may carry little in one signal (Postgres: 8000 bytes), and a channel's name takes about 45 of them."""


class _Signal(msgspec.Struct, frozen=True, omit_defaults=True):
    origin: str
    channels: list[str] = []
    data: Any = None
    session_ids: list[UUID] = []
    user_ids: list[UUID] = []


class RelayedRealtime(Realtime):
    """Does every deed in this process, through `local`, and in all others; its own signals it does not hear again."""

    def __init__(self, local: Realtime, bus: Bus) -> None:
        """Listens to the bus, so build it before the bus is opened."""
        self._local = local
        self._bus = bus
        self._origin = new_id().hex
        bus.listen(TOPIC, self._hear)

    async def publish(self, channels: Iterable[str], data: object) -> None:
        """Publish one message to each channel, here and elsewhere."""
        names = list(channels)
        await self._local.publish(names, data)
        plain = msgspec.to_builtins(data, str_keys=True) if names else None
        for start in range(0, len(names), CHANNELS_PER_SIGNAL):
            chunk = names[start : start + CHANNELS_PER_SIGNAL]
            await self._send(_Signal(self._origin, channels=chunk, data=plain))

    def listening(self, channels: Iterable[str]) -> list[str]:
        """All of them: this process does not know who listens in the others."""
        return list(channels)

    async def disconnect(self, *, session_ids: Iterable[UUID] = (), user_ids: Iterable[UUID] = ()) -> None:
        """Close the connections of these sessions and users in every process."""
        sessions, users = list(session_ids), list(user_ids)
        await self._local.disconnect(session_ids=sessions, user_ids=users)
        for start in range(0, max(len(sessions), len(users)), CHANNELS_PER_SIGNAL):
            part = slice(start, start + CHANNELS_PER_SIGNAL)
            await self._send(_Signal(self._origin, session_ids=sessions[part], user_ids=users[part]))

    async def _send(self, signal: _Signal) -> None:
        await self._bus.send(TOPIC, msgspec.to_builtins(signal))

    async def _hear(self, payload: Any) -> None:
        signal = msgspec.convert(payload, _Signal)
        if signal.origin == self._origin:
            return
        if signal.channels:
            await self._local.publish(signal.channels, signal.data)
        if signal.session_ids or signal.user_ids:
            await self._local.disconnect(session_ids=signal.session_ids, user_ids=signal.user_ids)
