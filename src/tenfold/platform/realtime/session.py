"""The session of one connection: it understands the client protocol and knows no transport, no task and no timer.

Give it each frame that arrives (`receive`), call `wake` when it said it was due, and `lost` once when the connection is
gone; it writes to a `Wire`. It holds no database connection and asks a module once per subscription.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import msgspec
import structlog

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import NotSignedIn, Refusal, TokenIsExpired
from tenfold.platform.observe import metrics
from tenfold.platform.realtime import codes, user_channel
from tenfold.platform.realtime.codes import Disconnect, ErrorReply
from tenfold.platform.realtime.lobby import Authenticated, Lobby
from tenfold.platform.realtime.protocol import (
    PING,
    REJECT_UNRECOVERED,
    ChannelRequest,
    Command,
    ConnectRequest,
    ConnectResult,
    DataRequest,
    Empty,
    FrameError,
    HistoryRequest,
    HistoryResult,
    RefreshResult,
    Reply,
    StreamPosition,
    SubscribeRequest,
    SubscribeResult,
    TokenRequest,
    decode_commands,
    encode,
)

log = structlog.get_logger(__name__)

LONGEST_CHANNEL = 255


class Wire(Protocol):
    """What a transport does for a session. No call waits."""

    @property
    def address(self) -> str:
        """Who is at the other end, past trusted proxies."""
        ...

    def send(self, frame: bytes) -> None:
        """Write a message, now or soon, after those before it."""
        ...

    def close(self, disconnect: Disconnect) -> None:
        """Close the connection with this code and reason, after what was sent before."""
        ...


class Session:
    """One connection, from its first frame to its last; `actor` is who connected, None until then."""

    __slots__ = (
        "__weakref__",
        "_channels",
        "_debt",
        "_ended",
        "_expires_at",
        "_is_busy",
        "_lobby",
        "_ping_at",
        "_pong_by",
        "_wire",
        "actor",
        "id",
    )

    def __init__(self, lobby: Lobby, wire: Wire) -> None:
        now = lobby.monotonic()
        self.id = ""
        self.actor: Actor | None = None
        self._lobby = lobby
        self._wire = wire
        self._channels: frozenset[str] = frozenset()
        self._debt = now
        self._ended = False
        self._is_busy = False
        self._expires_at: float | None = None
        self._ping_at = now + lobby.rules.stale_after
        self._pong_by: float | None = None
        metrics.sockets.inc()

    @property
    def address(self) -> str:
        """Who is at the other end, past trusted proxies."""
        return self._wire.address

    # What the transport calls

    def receive(self, frame: bytes | str) -> Coroutine[Any, Any, None] | None:
        """Take a frame. What is returned, if anything, must be awaited before the next frame is given."""
        if self._ended:
            return None
        if frame in (PING, "{}"):
            self._take_pong()
            return None
        if len(frame) > self._lobby.rules.frame_size:
            self.end(codes.BAD_REQUEST)
            return None
        try:
            commands = decode_commands(frame)
        except FrameError:
            self.end(codes.BAD_REQUEST)
            return None
        return self._obey(commands)

    def wake(self, now: float) -> float | None:
        """Do what is due: ping, or close for a reason of time. Says when to call again, or None when it is over."""
        if self._ended:
            return None
        if self.actor is None:
            if now >= self._ping_at and not self._is_busy:
                self.end(codes.STALE)
            return None if self._ended else now + 1
        if self._expires_at is not None and now >= self._expires_at:
            self.end(codes.CONNECTION_EXPIRED)
        elif self._pong_by is not None and now >= self._pong_by and not self._is_busy:
            self.end(codes.NO_PONG)
        if self._ended:
            return None
        if now >= self._ping_at:
            self._ping_at = now + self._lobby.rules.ping_interval
            self._pong_by = self._pong_by or now + self._lobby.rules.pong_timeout
            self._wire.send(PING)
        return min(at for at in (self._ping_at, self._pong_by, self._expires_at) if at is not None and at > now)

    def lost(self) -> None:
        """The connection is gone, whoever closed it. Call it exactly once."""
        self._leave()
        metrics.sockets.dec()

    # What the hub calls

    def deliver(self, frame: bytes) -> None:
        """Pass a publication on."""
        if not self._ended:
            self._wire.send(frame)

    def end(self, disconnect: Disconnect) -> None:
        """Close the connection; nothing more is taken from it or sent to it."""
        if self._ended:
            return
        self._leave()
        metrics.disconnects.labels(disconnect.reason).inc()
        self._wire.close(disconnect)

    # What the client asks

    async def _obey(self, commands: list[Command]) -> None:
        self._is_busy = True
        try:
            for command in commands:
                if self._ended:
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
        answer = codes.TOO_MANY_COMMANDS
        if self._is_within_limit():
            answer = await _DEEDS[methods[0]](self, getattr(command, methods[0]))
        # No pause between a deed and its answer: a listener that joined must read so before its first publication.
        if not self._ended and answer is not None and command.id:
            outcome: dict[str, Any] = {"error" if isinstance(answer, ErrorReply) else methods[0]: answer}
            self._wire.send(encode(Reply(id=command.id, **outcome)))

    async def _connect(self, request: ConnectRequest) -> ConnectResult | ErrorReply | None:
        signed_in = await self._sign_in(request.token, when_expired=None)
        if not isinstance(signed_in, Authenticated):
            return signed_in
        rules, token, identity = self._lobby.rules, self._admit(signed_in), new_id()
        own = user_channel(signed_in.actor.id)
        self.id = identity.hex
        # The first ping comes at a random part of the interval, so that a crowd that came at once is pinged in turn.
        self._ping_at = self._lobby.monotonic() + rules.ping_interval * (identity.int & 0xFFFF) / 0x10000
        return ConnectResult(
            client=self.id,
            version=token.version,
            expires=token.expires,
            ttl=token.ttl,
            subs={own: self._join(own, request.subs.get(own))},
            ping=max(1, round(rules.ping_interval)),
            pong=True,
        )

    async def _refresh(self, request: TokenRequest) -> RefreshResult | ErrorReply | None:
        signed_in = await self._sign_in(request.token, when_expired=codes.CONNECTION_EXPIRED)
        if not isinstance(signed_in, Authenticated):
            return signed_in
        if self.actor is None or signed_in.actor.id != self.actor.id:
            self.end(codes.INVALID_TOKEN)
            return None
        return self._admit(signed_in)

    async def _subscribe(self, request: SubscribeRequest) -> SubscribeResult | ErrorReply | None:
        channel, actor = request.channel, self.actor
        if actor is None or not channel or len(channel) > LONGEST_CHANNEL:
            return codes.BAD_COMMAND
        if channel in self._channels:
            return codes.ALREADY_SUBSCRIBED
        if len(self._channels) > self._lobby.rules.channels:
            return codes.LIMIT_EXCEEDED
        refusal = await self._lobby.refuses_to_listen(actor, channel)
        if refusal or self._ended:
            return refusal
        since = StreamPosition(offset=request.offset, epoch=request.epoch)
        must_recover = request.recover and request.flag & REJECT_UNRECOVERED
        if must_recover and not self._lobby.hub.recovers(channel, since):
            return codes.UNRECOVERABLE_POSITION
        return self._join(channel, request)

    async def _unsubscribe(self, request: ChannelRequest) -> Empty | ErrorReply:
        if self.actor is not None and request.channel == user_channel(self.actor.id):
            return codes.PERMISSION_DENIED
        if request.channel in self._channels:
            self._channels -= {request.channel}
            self._lobby.hub.leave(self, request.channel)
        return Empty()

    async def _history(self, request: HistoryRequest) -> HistoryResult | ErrorReply:
        if request.channel not in self._channels:
            return codes.PERMISSION_DENIED
        position, found = self._lobby.hub.history(request.channel, request.since, reverse=request.reverse)
        if found is None:
            return codes.UNRECOVERABLE_POSITION
        publications = found if request.limit < 0 else found[: request.limit]
        return HistoryResult(publications=publications, epoch=position.epoch, offset=position.offset)

    async def _ping(self, request: Empty) -> Empty:
        return request

    async def _send(self, _: DataRequest) -> None:
        self.end(codes.NO_SUCH_SERVICE)

    async def _publish(self, _: object) -> ErrorReply:
        return codes.PERMISSION_DENIED

    async def _rpc(self, _: object) -> ErrorReply:
        return codes.METHOD_NOT_FOUND

    async def _offer_nothing(self, _: object) -> ErrorReply:
        return codes.NOT_AVAILABLE

    # What they share

    async def _sign_in(self, token: str, *, when_expired: Disconnect | None) -> Authenticated | ErrorReply | None:
        with self._lobby.hub.arriving() as cut:
            try:
                signed_in = await self._lobby.authenticate(token)
            except TokenIsExpired:
                signed_in = when_expired or codes.TOKEN_EXPIRED
            except NotSignedIn:
                signed_in = codes.INVALID_TOKEN
            except Refusal:
                return codes.INTERNAL
            except Exception:
                log.exception("realtime.sign_in_failed")
                return codes.INTERNAL
        if isinstance(signed_in, Authenticated):
            if cut & {signed_in.actor.id, signed_in.actor.session_id}:
                signed_in = codes.FORCE_DISCONNECT
            elif self._lobby.seconds_left(signed_in) <= 0:
                signed_in = when_expired or codes.TOKEN_EXPIRED
        if isinstance(signed_in, Disconnect):
            self.end(signed_in)
        return None if self._ended or isinstance(signed_in, Disconnect) else signed_in

    def _admit(self, signed_in: Authenticated) -> RefreshResult:
        hub, actor, left = self._lobby.hub, signed_in.actor, self._lobby.seconds_left(signed_in)
        if self.actor is not None:
            hub.detach(self, self.actor.session_id)
        hub.attach(self, actor.session_id)
        self.actor = actor
        self._expires_at = None
        if left != float("inf"):
            self._expires_at = self._lobby.monotonic() + left + self._lobby.rules.expired_grace
            return RefreshResult(client=self.id, version=self._lobby.version, expires=True, ttl=max(1, int(left)))
        return RefreshResult(client=self.id, version=self._lobby.version)

    def _join(self, channel: str, asked: SubscribeRequest | None) -> SubscribeResult:
        is_back = asked is not None and asked.recover
        since = StreamPosition(offset=asked.offset, epoch=asked.epoch) if asked and is_back else None
        joined = self._lobby.hub.join(self, channel, since)
        self._channels |= {channel}
        return SubscribeResult(
            recoverable=True,
            positioned=True,
            epoch=joined.epoch,
            offset=joined.offset,
            publications=list(joined.missed),
            recovered=joined.recovered,
            was_recovering=is_back,
        )

    def _leave(self) -> None:
        self._ended = True
        for channel in self._channels:
            self._lobby.hub.leave(self, channel)
        self._channels = frozenset()
        if self.actor is not None:
            self._lobby.hub.detach(self, self.actor.session_id)

    def _take_pong(self) -> None:
        self._pong_by = None
        self._is_within_limit()

    def _is_within_limit(self) -> bool:
        """Count a command (GCRA, in seconds of debt): past the burst it is refused, past two bursts it is the end."""
        rules, now = self._lobby.rules, self._lobby.monotonic()
        burst = rules.command_burst / rules.commands_per_second
        self._debt = max(self._debt, now) + 1 / rules.commands_per_second
        if self._debt - now > 2 * burst:
            self.end(codes.TOO_MANY_REQUESTS)
        return self._debt - now <= burst


_DEEDS: dict[str, Callable[[Session, Any], Awaitable[msgspec.Struct | None]]] = {
    "connect": Session._connect,
    "subscribe": Session._subscribe,
    "unsubscribe": Session._unsubscribe,
    "publish": Session._publish,
    "presence": Session._offer_nothing,
    "presence_stats": Session._offer_nothing,
    "history": Session._history,
    "ping": Session._ping,
    "send": Session._send,
    "rpc": Session._rpc,
    "refresh": Session._refresh,
    "sub_refresh": Session._offer_nothing,
}
