"""Guests: who is connected to this process, by session, and who is just at the door."""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.clock import Clock
from tenfold.platform.observe import metrics
from tenfold.platform.realtime.codes import CONNECTION_EXPIRED, FORCE_DISCONNECT, Disconnect
from tenfold.platform.realtime.endings import Endings
from tenfold.platform.realtime.topics import Listener

_NOBODY: frozenset[UUID] = frozenset()
AT_ONCE = 2000
"""How many connections hear what is for everyone in one step of the event loop; others get their turn between."""


class Signal(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one process tells the others: close these connections, or with a channel, end these users' subscriptions.

    `begun` are streams that have begun anew; `is_gap` says that anything before it may have been lost.
    """

    session_ids: list[UUID] = []
    user_ids: list[UUID] = []
    channel: str = ""
    review: "Review | None" = None
    begun: list[str] = []
    is_gap: bool = False


class Review(msgspec.Struct, frozen=True):
    """What one process has all of them find out: whether these users may still listen to these channels."""

    user_ids: list[UUID]
    channels: list[str]


class Door:
    """A subscription that is being opened: closed before it was, when its user lost the right meanwhile."""

    __slots__ = ("_passed", "channel", "is_closed", "user_id")

    def __init__(self, user_id: UUID, channel: str) -> None:
        self.user_id = user_id
        self.channel = channel
        self.is_closed = False
        self._passed: asyncio.Event | None = None

    def when_passed(self) -> asyncio.Event:
        """What is set once the subscription is open, or will not be."""
        self._passed = self._passed or asyncio.Event()
        return self._passed

    def passed(self) -> None:
        """The subscription is open, or will not be."""
        if self._passed is not None:
            self._passed.set()


class Arrival:
    """A connection that is being opened: which sessions and users were cut off since, and whose claims changed."""

    __slots__ = ("_arriving", "cut", "outdated")

    def __init__(self, arriving: "set[Arrival]") -> None:
        self.cut = self.outdated = _NOBODY
        self._arriving = arriving

    def __enter__(self) -> "Arrival":
        self._arriving.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._arriving.discard(self)

    def refuses(self, actor: Actor) -> Disconnect | None:
        """Why it may not be opened after all."""
        if self.cut and (actor.id in self.cut or actor.session_id in self.cut):
            return FORCE_DISCONNECT
        return CONNECTION_EXPIRED if self.outdated and actor.id in self.outdated else None


class Guests:
    """Every signed-in connection. Most sessions have one, which is held without a tuple."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.endings = Endings(clock or Clock())
        self._sessions: dict[UUID, Listener | tuple[Listener, ...]] = {}
        self._arriving: set[Arrival] = set()
        self._doors: dict[int, Door] = {}

    def __iter__(self) -> Iterator[Listener]:
        """Every connection, as of now."""
        for there in tuple(self._sessions.values()):
            if isinstance(there, tuple):
                yield from there
            else:
                yield there

    def __len__(self) -> int:
        return len(self._sessions)

    def arriving(self) -> Arrival:
        """A block from the check of a token until the connection can be found by its user: what became of them since.

        Without it a connection could be found valid, its session be revoked, and the connection be opened after all.
        """
        return Arrival(self._arriving)

    @contextmanager
    def opening(self, user_id: UUID, channel: str) -> Iterator[Door]:
        """While a subscription is being opened: whether its user has lost the right to it since."""
        door = Door(user_id, channel)
        self._doors[id(door)] = door
        try:
            yield door
        finally:
            del self._doors[id(door)]
            door.passed()

    def attach(self, listener: Listener, session_id: UUID) -> None:
        """Know a listener by its session, so that it can be disconnected and hears what is for everyone."""
        there = self._sessions.get(session_id)
        if there is None:
            self._sessions[session_id] = listener
        else:
            self._sessions[session_id] = (*(there if isinstance(there, tuple) else (there,)), listener)

    def detach(self, listener: Listener, session_id: UUID) -> None:
        """Forget a listener's session."""
        there = self._sessions.get(session_id)
        if there is listener:
            del self._sessions[session_id]
        elif isinstance(there, tuple):
            others = tuple(other for other in there if other is not listener)
            self._sessions[session_id] = others[0] if len(others) == 1 else others

    def cut(self, session_ids: Iterable[UUID], user_ids: Iterable[UUID]) -> list[Listener]:
        """The connections of these sessions; who arrives with such a session, or as such a user, is not let in."""
        sessions = set(session_ids)
        gone = sessions.union(user_ids)
        for arrival in self._arriving:
            arrival.cut |= gone
        return [listener for session_id in sessions for listener in self._of(session_id)]

    def outdate(self, user_ids: Collection[UUID]) -> None:
        """Who arrives as one of these users must come back with a new token."""
        for arrival in self._arriving:
            arrival.outdated |= set(user_ids)

    def close_doors(self, user_ids: Collection[UUID], channel: str) -> None:
        """Whoever of these users is just subscribing to this channel may not, nor with a token from before."""
        self.endings.note(user_ids, channel)
        for door in self._doors.values():
            if door.channel == channel and door.user_id in user_ids:
                door.is_closed = True

    async def outlast(self, user_ids: Collection[UUID], channels: Collection[str]) -> None:
        """Wait until those of these users who are just subscribing to one of these channels listen, or do not."""
        doors = (door for door in self._doors.values() if door.channel in channels and door.user_id in user_ids)
        for passed in [door.when_passed() for door in doors]:
            await passed.wait()

    def _of(self, session_id: UUID) -> tuple[Listener, ...]:
        there = self._sessions.get(session_id, ())
        return there if isinstance(there, tuple) else (there,)


class Spreader:
    """Tells every guest something, one message after the other and some connections at a time."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests
        self._spreading: deque[tuple[bytes, Iterator[Listener]]] = deque()

    def tell(self, frame: bytes) -> None:
        """Have everybody who is here now hear a frame, after those before it."""
        self._spreading.append((frame, iter(list(self._guests))))
        if len(self._spreading) == 1:
            self._spread()

    def _spread(self) -> None:
        left = AT_ONCE
        while self._spreading and left:
            frame, listeners = self._spreading[0]
            for listener in listeners:
                listener.deliver(frame)
                left -= 1
                if not left:
                    break
            else:
                self._spreading.popleft()
        metrics.deliveries.inc(AT_ONCE - left)
        if self._spreading:
            asyncio.get_running_loop().call_soon(self._spread)
