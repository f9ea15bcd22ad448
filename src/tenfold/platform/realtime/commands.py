"""The commands of the client protocol: what a connected client can ask for, and what it is answered.

A deed answers a result, an error, or nothing when the connection was ended. What a server behind it refuses or fails to
do is an error reply; it never ends the connection.
"""

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog
from msgspec import Raw

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_hex
from tenfold.kit.refusals import Forbidden, NotFound, NotSignedIn, Refusal, TokenIsExpired
from tenfold.platform.realtime import EVERYONE, USER_CHANNELS, codes, user_channel
from tenfold.platform.realtime.codes import Disconnect, ErrorReply
from tenfold.platform.realtime.guests import Arrival
from tenfold.platform.realtime.lobby import Authenticated, Permit
from tenfold.platform.realtime.protocol import (
    DONE,
    NOTHING,
    REJECT_UNRECOVERED,
    ChannelRequest,
    ClientInfo,
    ConnectRequest,
    ConnectResult,
    DataRequest,
    DataResult,
    Empty,
    HistoryRequest,
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    PublishRequest,
    RefreshResult,
    StreamPosition,
    SubscribeRequest,
    SubscribeResult,
    TokenRequest,
    encode_data,
    news_of,
)
from tenfold.platform.realtime.topics import Joined

if TYPE_CHECKING:
    from tenfold.platform.realtime.session import Session

log = structlog.get_logger(__name__)

LONGEST_CHANNEL = 255
APPLICATION = 1000
"""A refusal of the application is an error of this plus its HTTP status."""


class Opened(NamedTuple):
    """The answer to a subscription, and the ephemeral frames that belong after it."""

    result: SubscribeResult
    heard: Sequence[bytes]


Answer = msgspec.Struct | Opened | None


async def do(session: "Session", method: str, request: Any) -> Answer:
    """Do what a client asks. Whatever goes wrong behind it is a temporary error."""
    try:
        return await _DEEDS[method](session, request)
    except Refusal as refusal:
        if method == "rpc":
            return _error_of(refusal)
        return codes.PERMISSION_DENIED if isinstance(refusal, (NotFound, Forbidden)) else codes.INTERNAL
    except Exception:
        log.exception("realtime.command_failed", method=method)
        return codes.INTERNAL


async def connect(session: "Session", request: ConnectRequest) -> ConnectResult | ErrorReply | None:
    """Let a client in and subscribe it to its own channel and to everyone's."""
    lobby, asked = session.lobby, request.subs
    with lobby.hub.guests.arriving() as arrival:
        signed_in = await _sign_in(session, request.token, arrival, when_expired=None)
        if not isinstance(signed_in, Authenticated):
            return signed_in
        session.begin(new_hex())
        everyone = await _join(session, EVERYONE, asked.get(EVERYONE))
        if refusal := arrival.refuses(signed_in.actor):
            session.end(refusal)
        if session.is_over:
            return None
        # No pause between what was read of everyone's channel and being one of them.
        token, own = _admit(session, signed_in), user_channel(signed_in.actor.id)
        try:
            subs = {own: await _join(session, own, asked.get(own)), EVERYONE: everyone}
        except BaseException:
            session.withdraw()
            raise
        # Only from here on is it found by its user.
        if refusal := arrival.refuses(signed_in.actor):
            session.end(refusal)
    if 0 < lobby.rules.sockets_per_user < len(lobby.hub.topics.get(own, ())):
        session.end(codes.CONNECTION_LIMIT)
    if session.is_over:
        return _undone(session, own)
    return ConnectResult(
        client=session.id,
        version=token.version,
        expires=token.expires,
        ttl=token.ttl,
        subs={channel: _result_of(joined, asked.get(channel)) for channel, joined in subs.items()},
        ping=max(1, round(lobby.rules.ping_interval)),
        pong=True,
    )


async def refresh(session: "Session", request: TokenRequest) -> RefreshResult | ErrorReply | None:
    """Go on with a newer token of the same user."""
    with session.lobby.hub.guests.arriving() as arrival:
        signed_in = await _sign_in(session, request.token, arrival, when_expired=codes.CONNECTION_EXPIRED)
    if not isinstance(signed_in, Authenticated):
        return signed_in
    if session.actor is None or signed_in.actor.id != session.actor.id:
        session.end(codes.INVALID_TOKEN)
        return None
    return _admit(session, signed_in)


async def subscribe(session: "Session", request: SubscribeRequest) -> Opened | ErrorReply | None:
    """Listen to a channel, by a token or because its module says so; from a position on if the client has one."""
    channel, actor = request.channel, session.actor
    if actor is None or not channel or len(channel) > LONGEST_CHANNEL:
        return codes.BAD_COMMAND
    if session.listens(channel):
        return codes.ALREADY_SUBSCRIBED
    if len(session.subscriptions or ()) >= session.lobby.rules.channels:
        return codes.LIMIT_EXCEEDED
    with session.lobby.hub.guests.opening(actor.id, channel) as door:
        expires_at = None
        if request.token:
            permit = await _permit(session, actor, request)
            if isinstance(permit, ErrorReply):
                return permit
            expires_at = _deadline(session, permit)
        elif refusal := await session.lobby.kinds.refuses_to_listen(actor, channel):
            return refusal
        if session.is_over or door.is_closed:
            return codes.PERMISSION_DENIED
        joined = await _join(session, channel, request)
        if session.is_over or door.is_closed:
            _undone(session, channel)
            return codes.PERMISSION_DENIED
    if request.recover and not joined.recovered and request.flag & REJECT_UNRECOVERED:
        _undone(session, channel)
        return codes.UNRECOVERABLE_POSITION
    session.subscribe(channel, expires_at)
    return Opened(_result_of(joined, request, _seconds_left(session, expires_at)), joined.heard)


async def unsubscribe(session: "Session", request: ChannelRequest) -> Empty | ErrorReply:
    """Listen to a channel no more."""
    if session.actor is not None and request.channel in (EVERYONE, user_channel(session.actor.id)):
        return codes.PERMISSION_DENIED
    session.unsubscribe(request.channel)
    return DONE


async def publish(session: "Session", request: PublishRequest) -> Empty | ErrorReply:
    """Publish ephemerally what the channel's module lets one who listens there publish."""
    actor, found = session.actor, None
    if session.listens(request.channel):
        found = session.lobby.kinds.find(request.channel)
    if actor is None or found is None or found.kind.may_publish is None:
        return codes.PERMISSION_DENIED
    try:
        data = await found.kind.may_publish(
            actor=actor, data=Raw(b"null") if request.data is NOTHING else request.data, **found.values
        )
    except Refusal as refusal:
        return _error_of(refusal)
    if data is None:
        return codes.PERMISSION_DENIED
    news = news_of(encode_data(data), ClientInfo(user=str(actor.id), client=session.id))
    await session.lobby.hub.say((request.channel,), news)
    return DONE


async def history(session: "Session", request: HistoryRequest) -> HistoryResult | ErrorReply:
    """What a channel that the client listens to remembers."""
    if not session.listens(request.channel):
        return codes.PERMISSION_DENIED
    found = await session.lobby.hub.mender.history(
        request.channel, request.since, actor=session.actor, limit=request.limit, reverse=request.reverse
    )
    if found is None:
        return codes.NOT_AVAILABLE
    if found.publications is None:
        return codes.UNRECOVERABLE_POSITION
    return HistoryResult(
        publications=list(found.publications), epoch=found.position.epoch, offset=found.position.offset
    )


async def presence(session: "Session", request: ChannelRequest) -> PresenceResult | ErrorReply:
    """Who else listens to a channel."""
    refusal = _hides_presence(session, request.channel)
    if refusal:
        return refusal
    (present,) = await session.lobby.hub.present([request.channel])
    return PresenceResult(
        presence={entry.client: ClientInfo(user=str(entry.user_id), client=entry.client) for entry in present}
    )


async def presence_stats(session: "Session", request: ChannelRequest) -> PresenceStatsResult | ErrorReply:
    """How many listen to a channel."""
    refusal = _hides_presence(session, request.channel)
    if refusal:
        return refusal
    counts = await session.lobby.hub.roll.attendance(request.channel)
    return PresenceStatsResult(num_clients=counts.clients, num_users=counts.users)


async def ping(session: "Session", request: Empty) -> Empty:
    """Answer."""
    return request


async def send(session: "Session", _: DataRequest) -> None:
    """A message without an answer: nothing here takes any, as in a Centrifugo without a handler for them."""
    session.end(codes.NO_SUCH_SERVICE)


async def rpc(session: "Session", request: DataRequest) -> DataResult | ErrorReply:
    """Call a method of the application."""
    answer = await session.lobby.call(session, request.method, request.data)
    return answer if isinstance(answer, ErrorReply) else DataResult(data=answer)


async def sub_refresh(session: "Session", request: TokenRequest) -> RefreshResult | ErrorReply:
    """Go on listening to a channel with a newer subscription token."""
    if session.actor is None or not session.has_permit(request.channel):
        return codes.PERMISSION_DENIED
    permit = await _permit(session, session.actor, request)
    if isinstance(permit, ErrorReply):
        return permit
    if session.is_over or not session.has_permit(request.channel):
        return codes.PERMISSION_DENIED
    expires_at = _deadline(session, permit)
    session.subscribe(request.channel, expires_at)
    left = _seconds_left(session, expires_at)
    return RefreshResult(expires=left > 0, ttl=left)


# What they share


async def _sign_in(
    session: "Session", token: str, arrival: Arrival, *, when_expired: Disconnect | None
) -> Authenticated | ErrorReply | None:
    lobby = session.lobby
    try:
        signed_in = await lobby.authenticate(token)
    except TokenIsExpired:
        signed_in = when_expired or codes.TOKEN_EXPIRED
    except NotSignedIn:
        signed_in = codes.INVALID_TOKEN
    if isinstance(signed_in, Authenticated):
        if refusal := arrival.refuses(signed_in.actor):
            signed_in = refusal
        elif lobby.seconds_left(signed_in.expires_at) <= 0:
            signed_in = when_expired or codes.TOKEN_EXPIRED
    if isinstance(signed_in, Disconnect):
        session.end(signed_in)
    return None if session.is_over or isinstance(signed_in, Disconnect) else signed_in


def _admit(session: "Session", signed_in: Authenticated) -> RefreshResult:
    lobby, actor, left = session.lobby, signed_in.actor, session.lobby.seconds_left(signed_in.expires_at)
    if session.actor is None or session.actor.session_id != actor.session_id:
        if session.actor is not None:
            lobby.hub.guests.detach(session, session.actor.session_id)
        lobby.hub.guests.attach(session, actor.session_id)
    session.actor = actor
    session.expires_at = None
    if left == float("inf"):
        return RefreshResult(client=session.id, version=lobby.version)
    session.expires_at = lobby.monotonic() + left + lobby.rules.expired_grace
    return RefreshResult(client=session.id, version=lobby.version, expires=True, ttl=max(1, int(left)))


async def _permit(session: "Session", actor: Actor, request: SubscribeRequest | TokenRequest) -> Permit | ErrorReply:
    """What a subscription token allows, if it is this user's and this channel's.

    If the user may have lost the right since it was issued, the module is asked as if there were none.
    """
    try:
        permit = await session.lobby.subscription_of(request.token)
    except TokenIsExpired:
        return codes.TOKEN_EXPIRED
    except NotSignedIn:
        return codes.PERMISSION_DENIED
    if permit.user_id != actor.id or permit.channel != request.channel:
        return codes.PERMISSION_DENIED
    if session.lobby.seconds_left(permit.expires_at) <= 0:
        return codes.TOKEN_EXPIRED
    if session.lobby.hub.guests.endings.may_outdate(permit.issued_at, actor.id, permit.channel):
        return await session.lobby.kinds.refuses_to_listen(actor, permit.channel) or permit
    return permit


def _deadline(session: "Session", permit: Permit) -> float:
    return session.lobby.monotonic() + session.lobby.seconds_left(permit.expires_at) + session.lobby.rules.expired_grace


def _seconds_left(session: "Session", deadline: float | None) -> int:
    """How long a subscription token is good; 0 for no token, or one for good."""
    if deadline is None or deadline == float("inf"):
        return 0
    return max(1, int(deadline - session.lobby.monotonic() - session.lobby.rules.expired_grace))


async def _join(session: "Session", channel: str, asked: SubscribeRequest | None) -> Joined:
    since = StreamPosition(offset=asked.offset, epoch=asked.epoch) if asked is not None and asked.recover else None
    found = None if channel == EVERYONE or channel.startswith(USER_CHANNELS) else session.lobby.kinds.find(channel)
    welcome: Callable[[], Awaitable[object]] | None = None
    if found is not None and found.kind.welcome is not None:
        welcome = functools.partial(found.kind.welcome, actor=session.actor, **found.values)
    return await session.lobby.hub.join(session, channel, since, welcome)


def _result_of(joined: Joined, asked: SubscribeRequest | None, ttl: int = 0) -> SubscribeResult:
    return SubscribeResult(
        expires=ttl > 0,
        ttl=ttl,
        recoverable=True,
        positioned=True,
        epoch=joined.epoch,
        offset=joined.offset,
        publications=list(joined.missed),
        recovered=joined.recovered,
        was_recovering=asked is not None and asked.recover,
        data=NOTHING if joined.data is None else encode_data(joined.data),
    )


def _undone(session: "Session", channel: str) -> None:
    """The connection was lost, or refused after all, while it began to listen."""
    session.lobby.hub.leave(session, channel)


def _hides_presence(session: "Session", channel: str) -> ErrorReply | None:
    if not session.listens(channel):
        return codes.PERMISSION_DENIED
    return None if session.lobby.kinds.has_presence(channel) else codes.NOT_AVAILABLE


def _error_of(refusal: Refusal) -> ErrorReply:
    sentence = refusal.detail or refusal.title()
    return ErrorReply(APPLICATION + refusal.status, f"{refusal.code()}: {sentence}", refusal.status in (429, 503))


_DEEDS: dict[str, Callable[["Session", Any], Awaitable[Answer]]] = {
    "connect": connect,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "publish": publish,
    "presence": presence,
    "presence_stats": presence_stats,
    "history": history,
    "ping": ping,
    "send": send,
    "rpc": rpc,
    "refresh": refresh,
    "sub_refresh": sub_refresh,
}
