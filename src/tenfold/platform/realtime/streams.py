"""Streams: what was published to one channel lately, numbered without a gap, and what a listener has missed of it.

A stream is plain state: it knows no transport and takes the time from its caller.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from msgspec import Raw

from tenfold.kit.actors import Actor
from tenfold.platform.realtime.codes import Disconnect
from tenfold.platform.realtime.protocol import Publication, StreamPosition


class Listener(Protocol):
    """Whoever publications are delivered to: a session."""

    @property
    def actor(self) -> Actor | None:
        """Who is connected."""
        ...

    def deliver(self, frame: bytes) -> None:
        """Take a frame, at once and without waiting."""
        ...

    def end(self, disconnect: Disconnect) -> None:
        """Close the connection."""
        ...


class Joined(NamedTuple):
    """Where a listener begins: at this place of the stream, after the publications it had missed."""

    epoch: str
    offset: int
    recovered: bool
    missed: Sequence[Publication]


class Stream:
    """One channel: its listeners and its newest publications, at most `size` of them and none older than `ttl` seconds.

    Offsets count from 1; the epoch is random, so that a position in another stream of the same name never fits.
    `is_in_line` is its keeper's note that it will be asked to forget.
    """

    __slots__ = ("_kept", "_moments", "epoch", "is_in_line", "listeners", "name", "offset")

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = secrets.token_urlsafe(6)
        self.offset = 0
        self.listeners: set[Listener] = set()
        self.is_in_line = False
        self._kept: list[Publication] = []
        self._moments: list[float] = []

    def append(self, data: Raw, now: float, size: int) -> Publication:
        """Number a publication and remember it."""
        self.offset += 1
        publication = Publication(data=data, offset=self.offset)
        self._kept.append(publication)
        self._moments.append(now)
        if len(self._kept) > size:
            del self._kept[0], self._moments[0]
        return publication

    def forget_before(self, moment: float) -> bool:
        """Forget what is older than a moment; says whether anything is left."""
        old = 0
        while old < len(self._moments) and self._moments[old] <= moment:
            old += 1
        if old:
            del self._kept[:old], self._moments[:old]
        return bool(self._kept)

    def since(self, position: StreamPosition) -> Sequence[Publication] | None:
        """Everything after a position, or None when that is not known completely."""
        missed = self.offset - position.offset
        if position.epoch != self.epoch or not 0 <= missed <= len(self._kept):
            return None
        return self._kept[len(self._kept) - missed :]

    def before(self, position: StreamPosition) -> Sequence[Publication] | None:
        """What is kept from before a position, or None for a position of another stream."""
        if position.epoch != self.epoch:
            return None
        return [publication for publication in self._kept if publication.offset < position.offset]

    @property
    def kept(self) -> Sequence[Publication]:
        """What is remembered, oldest first."""
        return tuple(self._kept)
