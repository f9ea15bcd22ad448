"""Topics: one channel as a hub knows it: who listens here, how far it has come, and what waits for its turn.

Plain state without I/O. There is one for every user who is connected, so it is small: a single listener is held without
a set, and everything that is needed only at times is in `extra`.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.platform.realtime import Channel
from tenfold.platform.realtime.codes import Disconnect
from tenfold.platform.realtime.protocol import Publication, StreamPosition

RECENT = 16
"""How many publications a hub remembers of a durable channel, so that short gaps cost no query. Only such as replace
nothing: what was said before it was deleted or edited is had by nobody who asks later."""


class Listener(Protocol):
    """Whoever publications are delivered to: a session. No call waits."""

    @property
    def id(self) -> str:
        """The connection's name."""
        ...

    @property
    def actor(self) -> Actor | None:
        """Who is connected."""
        ...

    @property
    def since(self) -> float:
        """When it was connected, in Unix seconds."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether it takes more now: its client has taken what there was, and waits for no answer."""
        ...

    def has_permit(self, channel: str) -> bool:
        """Whether it listens to a channel by a subscription token, not by asking."""
        ...

    def deliver(self, frame: bytes) -> None:
        """Take a frame."""
        ...

    def lose(self, channel: str) -> None:
        """Publications of a channel were lost: have the client come back and recover, or be told that it cannot."""
        ...

    def expel(self, channel: str) -> None:
        """End the subscription to a channel for good."""
        ...

    def end(self, disconnect: Disconnect) -> None:
        """Close the connection."""
        ...


class Joined(NamedTuple):
    """Where a listener begins: at this place of the stream, after the publications it had missed.

    Of very many it is given the first ones here, and the rest as it reads (see `Mender.pursue`). `data` is the
    channel's welcome, and `heard` the ephemeral frames that came while it was written.
    """

    epoch: str
    offset: int
    recovered: bool
    missed: Sequence[Publication]
    data: object = None
    heard: Sequence[bytes] = ()


class Source(NamedTuple):
    """Where a durable channel's publications come from: its declaration, and which one it is."""

    kind: Channel
    name: str
    id: UUID


class Extra:
    """What a topic needs at times: while it is opened, while publications are missing, or because it is durable.

    `goal` is how far publications are known to reach, and `goals` how often that was found out. `behind` are the
    listeners who are still given what they missed, each with the pursuit that gives it.
    """

    __slots__ = ("behind", "floor", "goal", "goals", "heard", "held", "is_mending", "opening", "recent")

    def __init__(self) -> None:
        self.opening: asyncio.Future[None] | None = None
        self.held: dict[int, Publication] = {}
        self.goal = 0
        self.goals = 0
        self.is_mending = False
        self.heard: list[list[bytes]] = []
        self.recent: deque[Publication] | None = None
        self.floor = 0
        self.behind: dict[Listener, object] = {}


class Topic:
    """One channel: `offset` is the last publication delivered here, `joining` counts who is about to listen."""

    __slots__ = ("epoch", "extra", "joining", "listeners", "name", "offset", "source")

    def __init__(self, name: str, source: Source | None) -> None:
        self.name = name
        self.source = source
        self.epoch = ""
        self.offset = 0
        self.joining = 0
        self.listeners: Listener | set[Listener] | None = None
        self.extra: Extra | None = None

    def __iter__(self) -> Iterator[Listener]:
        """Everybody who listens, as of now."""
        if isinstance(self.listeners, set):
            return iter(tuple(self.listeners))
        return iter(()) if self.listeners is None else iter((self.listeners,))

    def __contains__(self, listener: Listener) -> bool:
        """Whether somebody listens."""
        return listener in self.listeners if isinstance(self.listeners, set) else self.listeners is listener

    def __len__(self) -> int:
        if isinstance(self.listeners, set):
            return len(self.listeners)
        return 0 if self.listeners is None else 1

    def __bool__(self) -> bool:
        return True

    @property
    def abreast(self) -> Iterator[Listener]:
        """Those who miss nothing: who is behind is given what comes now in its turn."""
        behind = self.extra.behind if self.extra is not None else None
        return (listener for listener in self if listener not in behind) if behind else iter(self)

    @property
    def is_opening(self) -> bool:
        """Whether it is not known yet where the channel stands."""
        return self.extra is not None and self.extra.opening is not None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is known to be missing."""
        return self.extra is None or not (self.extra.held or self.offset < self.extra.goal)

    def more(self) -> Extra:
        """The rarely needed part."""
        if self.extra is None:
            self.extra = Extra()
        return self.extra

    def add(self, listener: Listener) -> None:
        """Let somebody listen."""
        if self.listeners is None:
            self.listeners = listener
        elif isinstance(self.listeners, set):
            self.listeners.add(listener)
        elif self.listeners is not listener:
            self.listeners = {self.listeners, listener}

    def remove(self, listener: Listener) -> bool:
        """Let somebody go; says whether they listened."""
        if self.extra is not None:
            self.extra.behind.pop(listener, None)
        if self.listeners is listener:
            self.listeners = None
            return True
        if not isinstance(self.listeners, set) or listener not in self.listeners:
            return False
        self.listeners.discard(listener)
        if not self.listeners:
            self.listeners = None
        return True

    def stands_at(self, position: StreamPosition | None) -> bool:
        """Whether who knows this position (None: nothing, and asks for nothing) has missed nothing."""
        return position is None or (position.offset == self.offset and position.epoch == self.epoch)

    def stand_at(self, offset: int, epoch: str) -> None:
        """Begin here: what came before is not of interest any more."""
        self.offset, self.epoch = offset, epoch
        if self.source is not None:
            extra = self.more()
            extra.recent, extra.floor = deque(maxlen=RECENT), offset
        if self.extra is not None:
            self.extra.held = {number: one for number, one in self.extra.held.items() if number > offset}

    def advance(self, publication: Publication) -> None:
        """This one is delivered now."""
        self.offset = publication.offset
        if self.source is not None and self.extra is not None and self.extra.recent is not None:
            self._remember(publication, self.source.kind, self.extra, self.extra.recent)

    def hold(self, publication: Publication) -> None:
        """Keep one until those before it are there."""
        self.more().held[publication.offset] = publication

    def next_held(self) -> Publication | None:
        """The held publication whose turn has come, if any; those whose turn is over are dropped."""
        if self.extra is None or not self.extra.held:
            return None
        held = self.extra.held
        for number in [number for number in held if number <= self.offset]:
            del held[number]
        return held.pop(self.offset + 1, None)

    def recall(self, since: int) -> list[Publication] | None:
        """What was delivered after a number, if it is all remembered here."""
        extra = self.extra
        if extra is None or extra.recent is None or not extra.floor <= since <= self.offset:
            return None
        return [one for one in extra.recent if one.offset > since]

    def rest(self) -> None:
        """Give up the rarely needed part when nothing in it is needed."""
        extra = self.extra
        if extra is None or extra.recent is not None:
            return
        needed = extra.opening or extra.held or extra.is_mending or extra.heard or extra.behind
        if not (needed or extra.goal > self.offset):
            self.extra = None

    @staticmethod
    def _remember(publication: Publication, kind: Channel, extra: Extra, recent: deque[Publication]) -> None:
        if kind.is_addition is None or not kind.is_addition(publication.data):
            recent.clear()
            extra.floor = publication.offset
            return
        if len(recent) == RECENT:
            extra.floor = recent[0].offset
        recent.append(publication)
