"""The realtime engine of one process: its channels, who listens to them, and their history in memory.

All is done in one step of the event loop, so a listener that joins gets what it missed and then everything after it:
nothing twice, nothing left out, in order.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from tenfold.platform.observe import metrics
from tenfold.platform.realtime import Realtime, user_channel
from tenfold.platform.realtime.codes import FORCE_DISCONNECT, INSUFFICIENT_STATE
from tenfold.platform.realtime.presence import Present
from tenfold.platform.realtime.protocol import Publication, StreamPosition, encode_data, encode_push
from tenfold.platform.realtime.streams import Joined, Listener, Stream


class MemoryRealtime(Realtime):
    """Keeps a stream for every channel that is listened to, and for `history_ttl` after its last listener has left.

    A stream remembers its newest `history_size` publications for `history_ttl`.
    """

    def __init__(
        self,
        *,
        history_size: int = 100,
        history_ttl: timedelta = timedelta(minutes=5),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = history_size
        self._ttl = history_ttl.total_seconds()
        self._now = monotonic
        self._streams: dict[str, Stream] = {}
        self._sessions: dict[UUID, list[Listener]] = {}
        self._arriving: dict[int, set[UUID]] = {}
        # Both in the order of their moments, as the span is the same for all: only their fronts are ever looked at.
        self._abandoned: dict[str, float] = {}
        self._remembering: deque[tuple[float, Stream]] = deque()

    async def publish(self, channels: Iterable[str], data: object) -> None:
        """Publish one message to each channel; it is encoded only when one of them has a stream."""
        self.sweep()
        streams = [stream for name in channels if (stream := self._streams.get(name)) is not None]
        if not streams:
            return
        now, encoded, delivered = self._now(), encode_data(data), 0
        for stream in streams:
            if not stream.is_in_line:
                stream.is_in_line = True
                self._remembering.append((now, stream))
            publication = stream.append(encoded, now, self._size)
            if stream.listeners:
                frame = encode_push(stream.name, publication)
                delivered += len(stream.listeners)
                for listener in tuple(stream.listeners):
                    listener.deliver(frame)
        metrics.publications.inc(len(streams))
        metrics.deliveries.inc(delivered)

    async def publish_durable(self, channel: str, data: object, *, offset: int) -> None:
        """Publish what the database has numbered; this engine numbers it again."""
        await self.publish([channel], data)

    async def publish_ephemeral(self, channels: Iterable[str], data: object) -> None:
        """Tell those who listen right now."""
        frames = [
            (stream, encode_push(name, Publication(data=encode_data(data))))
            for name in channels
            if (stream := self._streams.get(name))
        ]
        for stream, frame in frames:
            for listener in tuple(stream.listeners):
                listener.deliver(frame)

    async def unsubscribe(self, user_id: UUID, channel: str) -> None:
        """End a user's subscriptions to a channel."""
        stream = self._streams.get(channel)
        for listener in tuple(stream.listeners) if stream else ():
            if listener.actor is not None and listener.actor.id == user_id:
                listener.end(INSUFFICIENT_STATE)

    async def present(self, channels: Sequence[str]) -> list[list[Present]]:
        """Nobody that this engine knows of."""
        return [[] for _ in channels]

    async def last_active(self, user_ids: Sequence[UUID]) -> list[float | None]:
        """Not known to this engine."""
        return [None for _ in user_ids]

    def listening(self, channels: Iterable[str]) -> list[str]:
        """Those of the channels that have a stream in this process."""
        self.sweep()
        return [name for name in channels if name in self._streams]

    async def disconnect(self, *, session_ids: Iterable[UUID] = (), user_ids: Iterable[UUID] = ()) -> None:
        """Close these connections with a final code, and those that are just being signed in with such a token."""
        sessions, users = set(session_ids), set(user_ids)
        for cut in self._arriving.values():
            cut |= sessions | users
        found = [listener for id_ in sessions for listener in self._sessions.get(id_, ())]
        for id_ in users:
            stream = self._streams.get(user_channel(id_))
            found += stream.listeners if stream else ()
        for listener in found:
            listener.end(FORCE_DISCONNECT)

    def begin_anew(self) -> None:
        """Forget every stream, because publications may be missing in them, and send all listeners away to come back.

        They are told `recovered: false` then, and reload.
        """
        streams = list(self._streams.values())
        self._streams.clear()
        self._abandoned.clear()
        self._remembering.clear()
        for listener in {listener for stream in streams for listener in stream.listeners}:
            listener.end(INSUFFICIENT_STATE)

    @contextmanager
    def arriving(self) -> Iterator[set[UUID]]:
        """While a token is being checked: the sessions and users that were disconnected since the check began.

        Without it a connection could be found valid, its session be revoked, and the connection be opened after all.
        """
        cut: set[UUID] = set()
        self._arriving[id(cut)] = cut
        try:
            yield cut
        finally:
            del self._arriving[id(cut)]

    def attach(self, listener: Listener, session_id: UUID) -> None:
        """Know a listener by its session, so that it can be disconnected."""
        self._sessions.setdefault(session_id, []).append(listener)

    def detach(self, listener: Listener, session_id: UUID) -> None:
        """Forget a listener's session."""
        others = [other for other in self._sessions.pop(session_id, ()) if other is not listener]
        if others:
            self._sessions[session_id] = others

    def join(self, listener: Listener, channel: str, since: StreamPosition | None = None) -> Joined:
        """Let a listener have everything from now on, and with `since` all that came after it, if that is known.

        The caller must tell the listener the outcome before it gives control back to the event loop.
        """
        stream = self._find(channel)
        if stream is None:
            stream = self._streams[channel] = Stream(channel)
        self._abandoned.pop(channel, None)
        stream.listeners.add(listener)
        missed = stream.since(since) if since else None
        return Joined(stream.epoch, stream.offset, missed is not None, missed or ())

    def leave(self, listener: Listener, channel: str) -> None:
        """Deliver nothing more of a channel to a listener."""
        stream = self._streams.get(channel)
        if stream is None or listener not in stream.listeners:
            return
        stream.listeners.remove(listener)
        if not stream.listeners:
            self._abandoned[channel] = self._now()

    def recovers(self, channel: str, since: StreamPosition) -> bool:
        """Whether all that came to a channel after a position is known."""
        stream = self._find(channel)
        return stream is not None and stream.since(since) is not None

    def history(
        self, channel: str, since: StreamPosition | None = None, *, reverse: bool = False
    ) -> tuple[StreamPosition, list[Publication] | None]:
        """Where a channel stands, and what is kept of it (after `since`, or before it in reverse), or None if unknown.

        Only for channels that somebody listens to.
        """
        stream = self._find(channel)
        if stream is None:
            raise LookupError(f"nobody listens to {channel}")
        wanted = stream.before if reverse else stream.since
        found = wanted(since) if since else stream.kept
        position = StreamPosition(offset=stream.offset, epoch=stream.epoch)
        if found is None:
            return position, None
        return position, list(reversed(found)) if reverse else list(found)

    def sweep(self) -> None:
        """Drop what is too old. Called on every deed; when nothing happens, let a timer call it now and then."""
        limit = self._now() - self._ttl
        while self._abandoned:
            name, moment = next(iter(self._abandoned.items()))
            if moment > limit:
                break
            del self._abandoned[name], self._streams[name]
        while self._remembering and self._remembering[0][0] <= limit:
            _, stream = self._remembering.popleft()
            if stream.forget_before(limit):
                self._remembering.append((self._now(), stream))
            else:
                stream.is_in_line = False

    def _find(self, channel: str) -> Stream | None:
        self.sweep()
        stream = self._streams.get(channel)
        if stream is not None:
            stream.forget_before(self._now() - self._ttl)
        return stream
