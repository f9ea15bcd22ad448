"""The engines of realtime in memory: a broker and presence for one process, or for several hubs in it.

Their calls never wait, so a hub on them does everything in one step of the event loop.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from msgspec import Raw

from tenfold.platform.realtime.broker import Broker, History, Receiver
from tenfold.platform.realtime.presence import KEPT_AFTER, LEASE, Attendance, Presence, Present
from tenfold.platform.realtime.protocol import StreamPosition
from tenfold.platform.realtime.streams import Streams


class MemoryBroker(Broker):
    """Keeps a stream for every channel that is listened to, and for `history_ttl` after its last listener has left.

    A stream remembers its newest `history_size` publications for `history_ttl`. Hubs that share it hear each other.
    """

    loses_nothing: ClassVar[bool] = True

    def __init__(
        self,
        *,
        history_size: int = 100,
        history_ttl: timedelta = timedelta(minutes=5),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.streams = Streams(history_size, history_ttl.total_seconds())
        self._now = monotonic
        self.receivers: list[Receiver] = []

    def attach(self, receiver: Receiver) -> None:
        """Have a hub receive, beside those that do already."""
        self.receivers.append(receiver)

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """Deliver nothing more."""
        self.receivers.clear()

    async def publish(self, channels: Sequence[str], data: Raw) -> None:
        """Number and keep a publication where there is a stream, and deliver it at once."""
        now = self._now()
        self.streams.sweep(now)
        for channel in channels:
            appended = self.streams.append(channel, data, now)
            if appended is not None:
                stream, publication = appended
                for receiver in self.receivers:
                    receiver.received(channel, publication.offset, stream.epoch, data)

    async def route(self, channels: Sequence[str], data: Raw, *, offset: int = 0) -> None:
        """Deliver at once; keep nothing."""
        for channel in channels:
            for receiver in self.receivers:
                receiver.received(channel, offset, "", data)

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Every receiver hears everything and drops what it does not want, so there is nothing to note."""

    def unsubscribe(self, channels: Sequence[str]) -> None:
        """Drop streams that nobody listens to any more after a while."""
        now = self._now()
        for channel in channels:
            if not any(receiver.listens(channel) for receiver in self.receivers):
                self.streams.abandon(channel, now)

    async def positions(self, channels: Sequence[str]) -> list[StreamPosition]:
        """Where these streams stand; they are begun now if they were not there."""
        now = self._now()
        self.streams.sweep(now)
        return [self.streams.begin(channel, now).position for channel in channels]

    async def history(
        self, channel: str, since: StreamPosition | None = None, *, limit: int = -1, reverse: bool = False
    ) -> History:
        """What is kept of a stream."""
        stream = self.streams.begin(channel, self._now())
        wanted = stream.before if reverse else stream.since
        found = wanted(since) if since else stream.kept
        if found is not None:
            found = list(reversed(found)) if reverse else list(found)
            found = found if limit < 0 else found[:limit]
        return History(stream.position, found)

    async def begin_anew(self, channels: Sequence[str] | None) -> None:
        """Forget streams, so that no position in them fits any more."""
        if channels is None:
            self.streams.clear()
        for channel in channels or ():
            self.streams.renew(channel)

    async def signal(self, data: Raw) -> None:
        """Say something to every hub; the one that says it hears it too, and has done it already."""
        for receiver in self.receivers:
            receiver.signalled(data)

    def listening(self, channels: Iterable[str]) -> list[str]:
        """Those of the channels that have a stream, or a listener in one of the hubs."""
        self.streams.sweep(self._now())
        return [
            channel
            for channel in channels
            if channel in self.streams or any(receiver.listens(channel) for receiver in self.receivers)
        ]

    def sweep(self) -> None:
        """Drop what is too old."""
        self.streams.sweep(self._now())


class MemoryPresence(Presence):
    """Keeps entries in a table: one is held without a dict, since most people have one connection."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._entries: dict[str, Present | dict[str, Present]] = {}
        self._leases: dict[str, float] = {}
        self._left: dict[UUID, float] = {}

    async def enter(self, entries: Sequence[tuple[str, Present]]) -> None:
        """Write entries."""
        for channel, entry in entries:
            self._left.pop(entry.user_id, None)
            there = self._entries.get(channel)
            if there is None or (isinstance(there, Present) and there.client == entry.client):
                self._entries[channel] = entry
            elif isinstance(there, Present):
                self._entries[channel] = {there.client: there, entry.client: entry}
            else:
                there[entry.client] = entry

    async def leave(self, entries: Sequence[tuple[str, Present]]) -> None:
        """Remove entries."""
        for channel, entry in entries:
            if self._remove(channel, entry.client):
                self._note(entry.user_id, self._now())

    async def present(self, channels: Sequence[str], *, limit: int = 1000) -> list[list[Present]]:
        """Who listens to each of these channels."""
        return [sorted(self._alive(channel), key=lambda entry: entry.since)[:limit] for channel in channels]

    async def attendance(self, channels: Sequence[str]) -> list[Attendance]:
        """How many listen to each of these channels."""
        there = [self._alive(channel) for channel in channels]
        return [Attendance(len(entries), len({entry.user_id for entry in entries})) for entries in there]

    async def last_active(self, user_ids: Sequence[UUID]) -> list[float | None]:
        """When each of these users last left."""
        return [self._left.get(user_id) for user_id in user_ids]

    async def renew(self, node: str) -> bool:
        """Hold a node's lease."""
        held = node in self._leases
        self._leases[node] = self._now() + LEASE.total_seconds()
        return held

    async def release(self, node: str) -> None:
        """Give up a node's lease and its entries."""
        self._leases.pop(node, None)
        self.drop(node)

    async def sweep(self) -> list[str]:
        """Remove the entries of nodes whose lease has run out a while ago."""
        limit = self._now() - KEPT_AFTER * LEASE.total_seconds()
        dead = {node: until for node, until in self._leases.items() if until <= limit}
        for node in dead:
            del self._leases[node]
        return [channel for node, until in dead.items() for channel in self.drop(node, until)]

    @property
    def nodes(self) -> list[str]:
        """Every node that holds a lease, or did lately."""
        return list(self._leases)

    def entries_of(self, node: str) -> list[tuple[str, Present]]:
        """The entries of a node, by channel."""
        return [(channel, entry) for channel in self._entries for entry in self._all(channel) if entry.node == node]

    def has(self, channel: str, client: str) -> bool:
        """Whether a client listens to a channel."""
        return any(entry.client == client for entry in self._all(channel))

    def drop(self, node: str, moment: float | None = None) -> list[str]:
        """Remove the entries of a node; its users were active until this moment (now). The channels they were in."""
        unwanted = self.entries_of(node)
        for channel, entry in unwanted:
            self._remove(channel, entry.client)
            self._note(entry.user_id, self._now() if moment is None else moment)
        return list(dict.fromkeys(channel for channel, _ in unwanted))

    def _alive(self, channel: str) -> list[Present]:
        return [entry for entry in self._all(channel) if self._leases.get(entry.node, 0.0) > self._now()]

    def _all(self, channel: str) -> list[Present]:
        there = self._entries.get(channel)
        if there is None:
            return []
        return [there] if isinstance(there, Present) else list(there.values())

    def _remove(self, channel: str, client: str) -> bool:
        there = self._entries.get(channel)
        if isinstance(there, Present) and there.client == client:
            del self._entries[channel]
            return True
        if not isinstance(there, dict) or there.pop(client, None) is None:
            return False
        if not there:
            del self._entries[channel]
        return True

    def _note(self, user_id: UUID, moment: float) -> None:
        self._left.pop(user_id, None)
        self._left[user_id] = moment
        if len(self._left) > REMEMBERED:
            del self._left[next(iter(self._left))]


REMEMBERED = 100_000
"""How many people's last moment is remembered in memory; a server remembers by time."""
