"""The session of one connection: it understands the client protocol and knows no transport, no task and no timer.

Give it each frame that arrives (`receive`), call `wake` when it said it was due, and `lost` once when the connection is
gone; it writes to a `Wire`. It holds no database connection and asks a module once per subscription. What a client can
ask for is in `commands.py`.
"""

import math
from collections.abc import Coroutine, Iterator
from typing import Any, Protocol

from tenfold.kit.actors import Actor
from tenfold.platform.observe import metrics
from tenfold.platform.realtime import EVERYONE, codes, commands, user_channel
from tenfold.platform.realtime.codes import Disconnect, ErrorReply, Unsubscribed
from tenfold.platform.realtime.lobby import Lobby
from tenfold.platform.realtime.protocol import PING, Command, FrameError, Push, Reply, decode_commands, encode


class Wire(Protocol):
    """What a transport does for a session. No call waits."""

    @property
    def address(self) -> str:
        """Who is at the other end, past trusted proxies."""
        ...

    @property
    def backlog(self) -> int:
        """How many bytes wait because the other end has not taken those before them."""
        ...

    def send(self, frame: bytes) -> None:
        """Write a message, now or soon, after those before it."""
        ...

    def close(self, disconnect: Disconnect) -> None:
        """Close the connection with this code and reason, after what was sent before."""
        ...


class Session:
    """One connection, from its first frame to its last; `actor` is who connected, None until then.

    `subscriptions` are the channels that the client asked for, each with the moment at which its token expires (None
    when it has none); no dict is kept for the many that never ask.
    """

    __slots__ = (
        "_debt",
        "_held",
        "_is_busy",
        "_ping_at",
        "_pong_by",
        "_wire",
        "actor",
        "expires_at",
        "id",
        "is_over",
        "lobby",
        "subscriptions",
    )

    def __init__(self, lobby: Lobby, wire: Wire) -> None:
        now = lobby.monotonic()
        self.id = ""
        self.actor: Actor | None = None
        self.lobby = lobby
        self.subscriptions: dict[str, float | None] | None = None
        self.expires_at: float | None = None
        self.is_over = False
        self._wire = wire
        self._debt = now
        self._held: list[bytes] | None = None
        self._is_busy = False
        self._ping_at = now + lobby.rules.stale_after
        self._pong_by: float | None = None
        metrics.sockets.inc()

    @property
    def address(self) -> str:
        """Who is at the other end, past trusted proxies."""
        return self._wire.address

    @property
    def since(self) -> float:
        """When it was connected, in Unix seconds: its id begins with that."""
        return int(self.id[:12], 16) / 1000

    @property
    def is_ready(self) -> bool:
        """Whether the client has taken what was sent, and every command has been answered."""
        return not (self._is_busy or self._wire.backlog)

    # What the transport calls

    def receive(self, frame: bytes | str) -> Coroutine[Any, Any, None] | None:
        """Take a frame. What is returned, if anything, must be awaited before the next frame is given."""
        if self.is_over:
            return None
        if isinstance(frame, str):
            frame = frame.encode()
        if frame == PING:
            self._take_pong()
            return None
        if len(frame) > self.lobby.rules.frame_size:
            self.end(codes.BAD_REQUEST)
            return None
        try:
            asked = decode_commands(frame)
        except FrameError:
            self.end(codes.BAD_REQUEST)
            return None
        return self._obey(asked)

    def wake(self, now: float) -> float | None:
        """Do what is due: ping, or close for a reason of time. Says when to call again, or None when it is over."""
        if self.is_over:
            return None
        if self.actor is None:
            if now >= self._ping_at and not self._is_busy:
                self.end(codes.STALE)
            return None if self.is_over else now + 1
        if self.expires_at is not None and now >= self.expires_at:
            self.end(codes.CONNECTION_EXPIRED)
            return None
        if self._pong_by is not None and now >= self._pong_by and not self._is_busy:
            self.end(codes.NO_PONG)
            return None
        due = math.inf if self.subscriptions is None else self._drop_expired(now)
        if now >= self._ping_at:
            self._ping_at = self.lobby.ping_time(now + self.lobby.rules.ping_interval)
            if self._pong_by is None:
                self._pong_by = now + self.lobby.rules.pong_timeout
            self.deliver(PING)
        if self.is_over:
            return None
        if self._ping_at < due:
            due = self._ping_at
        if self._pong_by is not None and now < self._pong_by < due:
            due = self._pong_by
        return due if self.expires_at is None or due < self.expires_at else self.expires_at

    def is_within_limit(self) -> bool:
        """Count a command (GCRA, in seconds of debt): past the burst it is refused, past two bursts it is the end."""
        lobby = self.lobby
        now = lobby.monotonic()
        debt = self._debt = (self._debt if self._debt > now else now) + lobby.debt_each
        if debt - now > 2 * lobby.burst:
            self.end(codes.TOO_MANY_REQUESTS)
        return debt - now <= lobby.burst

    def lost(self) -> None:
        """The connection is gone, whoever closed it. Call it exactly once."""
        self._leave()
        metrics.sockets.dec()

    # What the hub calls

    def deliver(self, frame: bytes) -> None:
        """Pass a publication on."""
        if self.is_over:
            return
        held = self._held
        if held is None:
            self._wire.send(frame)
        else:
            held.append(frame)

    def lose(self, channel: str) -> None:
        """Publications were lost: have the client come back to the channel, and recover or be told that it cannot."""
        if self.subscriptions is not None and channel in self.subscriptions:
            self.unsubscribe(channel, codes.LOST)
        else:
            self.end(codes.INSUFFICIENT_STATE)

    def expel(self, channel: str) -> None:
        """End the subscription to a channel for good."""
        self.unsubscribe(channel, codes.SERVER_UNSUBSCRIBED)

    def has_permit(self, channel: str) -> bool:
        """Whether it listens to a channel by a subscription token."""
        return self.subscriptions is not None and self.subscriptions.get(channel) is not None

    def end(self, disconnect: Disconnect) -> None:
        """Close the connection; nothing more is taken from it or sent to it."""
        if self.is_over:
            return
        self._leave()
        metrics.disconnects.labels(disconnect.reason).inc()
        self._wire.close(disconnect)

    # What commands call

    @property
    def channels(self) -> Iterator[str]:
        """Every channel that it listens to."""
        if self.actor is not None:
            yield user_channel(self.actor.id)
            yield EVERYONE
        yield from self.subscriptions or ()

    def listens(self, channel: str) -> bool:
        """Whether it listens to a channel."""
        if self.subscriptions is not None and channel in self.subscriptions:
            return True
        return self.actor is not None and channel in (EVERYONE, user_channel(self.actor.id))

    def subscribe(self, channel: str, expires_at: float | None) -> None:
        """Note that the client listens to a channel."""
        if self.subscriptions is None:
            self.subscriptions = {}
        self.subscriptions[channel] = expires_at

    def unsubscribe(self, channel: str, reason: Unsubscribed | None = None) -> None:
        """Listen to a channel no more; with a reason, the client is told."""
        if self.subscriptions is None or channel not in self.subscriptions:
            return
        del self.subscriptions[channel]
        self.subscriptions = self.subscriptions or None
        self.lobby.hub.leave(self, channel)
        if reason is not None:
            self._wire.send(encode(Reply(push=Push(channel=channel, unsubscribe=reason))))

    def begin(self, id_: str) -> None:
        """The client is let in: what is delivered is held until it has been told so.

        Its first ping comes somewhere in the last tenth of the interval: so crowds are spread, and whoever has just
        been heard is not asked yet.
        """
        self.id = id_
        self._held = []
        part = 0.95 + int(id_[-4:], 16) / 0x140000
        self._ping_at = self.lobby.ping_time(self.lobby.monotonic() + self.lobby.rules.ping_interval * part)

    def withdraw(self) -> None:
        """Nobody is connected here any more; the connection may still be open."""
        self._held = None
        if self.actor is None:
            return
        hub = self.lobby.hub
        for channel in self.channels:
            hub.leave(self, channel)
        hub.guests.detach(self, self.actor.session_id)
        self.subscriptions = self.actor = None

    # What they share

    async def _obey(self, asked: list[Command]) -> None:
        self._is_busy = True
        try:
            for command in asked:
                if self.is_over:
                    break
                await self._take(command)
        finally:
            self._is_busy = False

    async def _take(self, command: Command) -> None:
        methods = command.methods
        if not methods and not command.id:
            self._take_pong()
            return
        is_sane = len(methods) == 1 and (command.id > 0 or methods[0] == "send")
        if not is_sane or (methods[0] == "connect") is not (self.actor is None):
            self.end(codes.BAD_REQUEST)
            return
        answer, heard = codes.TOO_MANY_COMMANDS, ()
        if self.is_within_limit() and self._user_is_within_limit():
            answer = await commands.do(self, methods[0], getattr(command, methods[0]))
        if isinstance(answer, commands.Opened):
            answer, heard = answer
        # No pause between a deed and its answer: a listener that joined must read so before its first publication.
        if not self.is_over and answer is not None and command.id:
            outcome: dict[str, Any] = {"error" if isinstance(answer, ErrorReply) else methods[0]: answer}
            self._wire.send(encode(Reply(id=command.id, **outcome)))
        if heard or self._held:
            held, self._held = self._held, None
            for frame in (*heard, *(held or ())):
                self.deliver(frame)
        self._held = None

    def _leave(self) -> None:
        self.is_over = True
        self.withdraw()

    def _drop_expired(self, now: float) -> float:
        """End the subscriptions whose tokens have ended, and say when the next does."""
        due = math.inf
        for channel, expires_at in tuple((self.subscriptions or {}).items()):
            if expires_at is not None and expires_at <= now:
                self.unsubscribe(channel, codes.SUBSCRIPTION_OVER)
            elif expires_at is not None and expires_at < due:
                due = expires_at
        return due

    def _take_pong(self) -> None:
        self._pong_by = None
        self.is_within_limit()

    def _user_is_within_limit(self) -> bool:
        """Count a command of whoever is connected, over all connections to this process."""
        return self.actor is None or self.lobby.pace.allows(self.actor.id, self.lobby.monotonic())
