"""Streams: what was published to one channel lately, numbered without a gap.

Streams are plain state: they know no transport and take the time from their caller.
"""

import secrets
from collections import deque
from collections.abc import Iterator, Sequence

from msgspec import Raw

from tenfold.platform.realtime.protocol import Publication, StreamPosition


def new_epoch() -> str:
    """A word that no position elsewhere or earlier carries."""
    return secrets.token_urlsafe(6)


class Stream:
    """One channel's newest publications, oldest first, each with the moment at which it came.

    `is_in_line` is its keeper's note that it will be asked to forget.
    """

    __slots__ = ("_kept", "epoch", "is_in_line", "offset")

    def __init__(self, offset: int, epoch: str) -> None:
        self.epoch = epoch
        self.offset = offset
        self.is_in_line = False
        self._kept: list[tuple[float, Publication]] | None = None

    def append(self, data: Raw, now: float, size: int) -> Publication:
        """Number a publication and remember it."""
        self.offset += 1
        publication = Publication(data=data, offset=self.offset)
        kept = self._kept = self._kept or []
        kept.append((now, publication))
        if len(kept) > size:
            del kept[0]
        return publication

    def forget_before(self, moment: float) -> bool:
        """Forget what is older than a moment; says whether anything is left."""
        kept, old = self._kept or [], 0
        while old < len(kept) and kept[old][0] <= moment:
            old += 1
        if old:
            self._kept = kept[old:] or None
        return bool(self._kept)

    def since(self, position: StreamPosition) -> Sequence[Publication] | None:
        """Everything after a position, or None when that is not known completely."""
        missed, kept = self.offset - position.offset, self.kept
        if position.epoch != self.epoch or not 0 <= missed <= len(kept):
            return None
        return kept[len(kept) - missed :]

    def before(self, position: StreamPosition) -> Sequence[Publication] | None:
        """What is kept from before a position, or None for a position of another stream."""
        if position.epoch != self.epoch:
            return None
        return [publication for publication in self.kept if publication.offset < position.offset]

    @property
    def kept(self) -> Sequence[Publication]:
        """What is remembered, oldest first."""
        return [publication for _, publication in self._kept or ()]

    @property
    def position(self) -> StreamPosition:
        """Where the stream stands."""
        return StreamPosition(offset=self.offset, epoch=self.epoch)


class Streams:
    """Streams by channel; each remembers its newest `size` publications for `ttl` seconds.

    All have one epoch. A stream that is begun after others were dropped begins beyond the last number of any of them,
    so a position in a dropped stream never fits its successor.
    """

    def __init__(self, size: int, ttl: float) -> None:
        self._size = size
        self._ttl = ttl
        self._streams: dict[str, Stream] = {}
        self._first = 0
        self._epoch = new_epoch()
        # Both in the order of their moments, as the span is the same for all: only their fronts are ever looked at.
        self._abandoned: dict[str, float] = {}
        self._remembering: deque[tuple[float, Stream]] = deque()

    def __contains__(self, channel: str) -> bool:
        return channel in self._streams

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._streams.values())

    def find(self, channel: str, now: float) -> Stream | None:
        """A channel's stream, without what is too old."""
        stream = self._streams.get(channel)
        if stream is not None and stream.is_in_line:
            stream.forget_before(now - self._ttl)
        return stream

    def get(self, channel: str) -> Stream | None:
        """A channel's stream as it is."""
        return self._streams.get(channel)

    def begin(self, channel: str, now: float) -> Stream:
        """A channel's stream, from now on if there was none."""
        stream = self.find(channel, now)
        if stream is None:
            stream = self._streams[channel] = Stream(self._first, self._epoch)
        self._abandoned.pop(channel, None)
        return stream

    def append(self, channel: str, data: Raw, now: float) -> tuple[Stream, Publication] | None:
        """Number and remember a publication, if the channel has a stream."""
        stream = self._streams.get(channel)
        if stream is None:
            return None
        if not stream.is_in_line:
            stream.is_in_line = True
            self._remembering.append((now, stream))
        return stream, stream.append(data, now, self._size)

    def abandon(self, channel: str, now: float) -> None:
        """Nobody listens any more: drop the stream after a while, unless it is begun again."""
        if channel in self._streams:
            self._abandoned[channel] = now

    def renew(self, channel: str) -> None:
        """Give a stream an epoch of its own and forget what it knew."""
        if channel in self._streams:
            self._streams[channel] = Stream(0, new_epoch())

    def clear(self) -> None:
        """Drop every stream; no position from before fits any more."""
        self._streams.clear()
        self._abandoned.clear()
        self._remembering.clear()
        self._first, self._epoch = 0, new_epoch()

    def sweep(self, now: float) -> None:
        """Drop what is too old."""
        limit = now - self._ttl
        while self._abandoned:
            name, moment = next(iter(self._abandoned.items()))
            if moment > limit:
                break
            del self._abandoned[name]
            self._first = max(self._first, self._streams.pop(name).offset + 1)
        while self._remembering and self._remembering[0][0] <= limit:
            _, stream = self._remembering.popleft()
            if stream.forget_before(limit):
                self._remembering.append((now, stream))
            else:
                stream.is_in_line = False
