"""A lobby with people in it, a wire that records what a session sends, and a clock that a test moves."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import NotSignedIn, TokenIsExpired
from tenfold.platform.observe.metrics import registry
from tenfold.platform.realtime import Channel
from tenfold.platform.realtime.broker import Broker
from tenfold.platform.realtime.codes import Disconnect, ErrorReply
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.lobby import Authenticated, Lobby, SessionRules
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence
from tenfold.platform.realtime.presence import Presence
from tenfold.platform.realtime.protocol import ConnectResult, Reply, SubscribeResult, decode_replies
from tenfold.platform.realtime.session import Session


class Stopwatch:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class RecordingWire:
    """A transport that keeps what it is given."""

    address = "192.0.2.7"
    backlog = 0

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed: Disconnect | None = None

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)

    def close(self, disconnect: Disconnect) -> None:
        assert self.closed is None
        self.closed = disconnect

    def take(self) -> list[Reply]:
        """What came since the last look."""
        replies = [reply for frame in self.frames for reply in decode_replies(frame)]
        self.frames.clear()
        return replies


@dataclass(eq=False)
class Ear:
    """A listener that keeps what it hears."""

    actor: Actor | None = None
    id: str = field(default_factory=lambda: new_id().hex)
    frames: list[bytes] = field(default_factory=list)
    ended: Disconnect | None = None
    lost: list[str] = field(default_factory=list)
    expelled: list[str] = field(default_factory=list)
    since: float = 0.0
    permits: tuple[str, ...] = ()
    is_ready: bool = True

    def deliver(self, frame: bytes) -> None:
        self.frames.append(frame)

    def end(self, disconnect: Disconnect) -> None:
        self.ended = disconnect

    def lose(self, channel: str) -> None:
        self.lost.append(channel)

    def expel(self, channel: str) -> None:
        self.expelled.append(channel)

    def has_permit(self, channel: str) -> bool:
        return channel in self.permits

    def heard(self) -> list[tuple[int, Any]]:
        """Offset and data of every publication so far."""
        pushes = [reply.push for frame in self.frames for reply in decode_replies(frame)]
        return [(push.pub.offset, msgspec.json.decode(push.pub.data)) for push in pushes if push and push.pub]


class RealtimeWorld:
    """A hub, its lobby, and tokens: a token is known, expired, or forged."""

    def __init__(
        self,
        *,
        rules: SessionRules | None = None,
        may_listen: Callable[..., Awaitable[bool]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        broker: Broker | None = None,
        presence: Presence | None = None,
        channels: Sequence[Channel] = (),
        hub: Mapping[str, Any] = MappingProxyType({}),
        lobby: Mapping[str, Any] = MappingProxyType({}),
        **history: Any,
    ) -> None:
        self.tokens: dict[str, Authenticated] = {}
        self.broker = broker or MemoryBroker(monotonic=monotonic, **history)
        self.hub = Hub(self.broker, presence or MemoryPresence(), **hub)
        rooms = [Channel("room:{room_id}", may_listen)] if may_listen else []
        self.lobby = Lobby(
            self.hub, self.authenticate, channels=[*rooms, *channels], rules=rules, monotonic=monotonic, **lobby
        )

    def token(self, actor: Actor, *, lives: timedelta | None = None) -> str:
        """A new access token for an actor."""
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = Authenticated(actor, datetime.now(UTC) + lives if lives is not None else None)
        return token

    async def authenticate(self, token: str) -> Authenticated:
        """What the house does with an access token."""
        signed_in = self.tokens.get(token)
        if signed_in is None:
            raise NotSignedIn
        if signed_in.expires_at is not None and signed_in.expires_at <= datetime.now(UTC):
            raise TokenIsExpired
        return signed_in

    def session(self) -> tuple[Session, RecordingWire]:
        """A connection that has said nothing yet."""
        wire = RecordingWire()
        return Session(self.lobby, wire), wire


def person() -> Actor:
    """Somebody, signed in."""
    return Actor(id=new_id(), session_id=new_id())


async def say(session: Session, frame: str | bytes) -> None:
    """Give a session a frame and let it finish."""
    work = session.receive(frame)
    if work is not None:
        await work


async def everybody(actor: Actor, room_id: UUID) -> bool:
    return True


async def connected(
    world: RealtimeWorld, actor: Actor, **token: timedelta
) -> tuple[Session, RecordingWire, ConnectResult]:
    session, wire = world.session()
    await say(session, f'{{"id":1,"connect":{{"token":"{world.token(actor, **token)}"}}}}')
    reply = wire.take()[0]
    assert reply.connect is not None
    return session, wire, reply.connect


async def subscribed(
    session: Session, wire: RecordingWire, channel: str, more: str = ""
) -> SubscribeResult | ErrorReply:
    await say(session, f'{{"id":2,"subscribe":{{"channel":"{channel}"{more}}}}}')
    reply = wire.take()[0]
    return reply.subscribe or reply.error or ErrorReply(0)


def metric(name: str, **labels: str) -> float:
    """The present value of one of the house's metrics."""
    return registry.get_sample_value(name, labels) or 0.0
