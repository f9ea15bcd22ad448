"""The frames of the Centrifugo client protocol (version 2) in JSON: commands, replies and pushes.

A frame holds one message or several, one a line. `{}` is a ping when the server says it, a pong when the client does.
Values that belong to the application (`data`) pass through as the JSON they are, unread.
Schema: centrifugal/protocol, `definitions/client.proto`.
"""

from collections.abc import Iterable
from itertools import compress
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from tenfold.platform.realtime.codes import Disconnect, ErrorReply, Unsubscribed

SUBPROTOCOL = "centrifuge-json"
PING = b"{}"
REJECT_UNRECOVERED = 2
"""The bit of a subscription's `flag` that asks for error 112 instead of `recovered: false`."""

NOTHING = Raw()
"""No data: what a message is written without."""

_Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Id = Annotated[int, Meta(ge=0, le=2**32 - 1)]
_Text = Annotated[str, Meta(max_length=255)]


class FrameError(ValueError):
    """A frame is not a list of messages of the protocol."""


class _Frame(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """A message or a part of one: read leniently (unknown fields are skipped), written without what is default."""


class _Bearing(_Frame, frozen=True):
    """A part that may carry a token, so its repr is its name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


# What clients ask


class StreamPosition(_Frame, frozen=True):
    """A place in a channel's stream: after the publication with this offset."""

    offset: _Offset = 0
    epoch: _Text = ""


class SubscribeRequest(_Bearing, frozen=True):
    """Listen to a channel; with `recover`, from a known position on."""

    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: _Text = ""
    offset: _Offset = 0
    data: Raw = NOTHING
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    flag: int = 0


class ConnectRequest(_Bearing, frozen=True):
    """The first command: who I am, and where I was in the channels the server subscribed me to."""

    token: str = ""
    data: Raw = NOTHING
    subs: dict[str, SubscribeRequest] = {}
    name: str = ""
    version: str = ""
    headers: dict[str, str] = {}
    flag: int = 0


class ChannelRequest(_Frame, frozen=True):
    """A command about one channel: unsubscribe, presence, presence stats."""

    channel: str = ""


class PublishRequest(_Frame, frozen=True):
    """Publish into a channel."""

    channel: str = ""
    data: Raw = NOTHING


class HistoryRequest(_Frame, frozen=True):
    """Read a channel's stream. Limit 0: only where it stands; below 0: all that is kept."""

    channel: str = ""
    limit: int = 0
    since: StreamPosition | None = None
    reverse: bool = False


class DataRequest(_Frame, frozen=True):
    """A call of a method (`rpc`), or a message without an answer (`send`)."""

    method: str = ""
    data: Raw = NOTHING


class TokenRequest(_Bearing, frozen=True):
    """A new token, for the connection (`refresh`) or for a subscription (`sub_refresh`)."""

    channel: str = ""
    token: str = ""


class Empty(_Frame, frozen=True):
    """A message that says all by its name."""


DONE = Empty()


class Command(_Frame, frozen=True):
    """What a client says: exactly one request and the number its reply will carry, or nothing at all (a pong)."""

    id: _Id = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: ChannelRequest | None = None
    publish: PublishRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    history: HistoryRequest | None = None
    ping: Empty | None = None
    send: DataRequest | None = None
    rpc: DataRequest | None = None
    refresh: TokenRequest | None = None
    sub_refresh: TokenRequest | None = None

    @property
    def methods(self) -> list[str]:
        """The names of the requests in it: one, if the client is sane; none for a pong."""
        return list(compress(METHODS, msgspec.structs.astuple(self)[1:]))


METHODS = tuple(name for name in Command.__struct_fields__ if name != "id")


# What the server answers


class ClientInfo(_Frame, frozen=True):
    """Who a connection belongs to."""

    user: str = ""
    client: str = ""
    conn_info: Raw = NOTHING
    chan_info: Raw = NOTHING


class Publication(_Frame, frozen=True):
    """One message of a channel."""

    data: Raw = NOTHING
    info: ClientInfo | None = None
    offset: int = 0
    tags: dict[str, str] = {}


class SubscribeResult(_Frame, frozen=True):
    """A subscription as it begins: where the stream stands, and what was missed, complete if `recovered` says so."""

    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: list[Publication] = []
    recovered: bool = False
    offset: int = 0
    positioned: bool = False
    data: Raw = NOTHING
    was_recovering: bool = False


class ConnectResult(_Frame, frozen=True):
    """A connection as it begins. `ttl` and `ping` are seconds; `pong` says that pings must be answered."""

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0
    data: Raw = NOTHING
    subs: dict[str, SubscribeResult] = {}
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""


class PresenceResult(_Frame, frozen=True):
    """Who listens to a channel, by connection."""

    presence: dict[str, ClientInfo] = {}


class PresenceStatsResult(_Frame, frozen=True):
    """How many listen to a channel."""

    num_clients: int = 0
    num_users: int = 0


class HistoryResult(_Frame, frozen=True):
    """A piece of a channel's stream, and where the stream stands."""

    publications: list[Publication] = []
    epoch: str = ""
    offset: int = 0


class DataResult(_Frame, frozen=True):
    """What a method answered."""

    data: Raw = NOTHING


class RefreshResult(_Frame, frozen=True):
    """A connection or subscription that goes on with its new token."""

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0


# What the server says unasked


class Membership(_Frame, frozen=True):
    """Somebody came to a channel (`join`) or left it (`leave`)."""

    info: ClientInfo


class Push(_Frame, frozen=True):
    """Something that happened: exactly one of the fields after `channel`."""

    channel: str = ""
    pub: Publication | None = None
    join: Membership | None = None
    leave: Membership | None = None
    unsubscribe: Unsubscribed | None = None
    message: DataResult | None = None
    subscribe: SubscribeResult | None = None
    connect: ConnectResult | None = None
    disconnect: Disconnect | None = None
    refresh: RefreshResult | None = None


class Reply(_Frame, frozen=True):
    """What the server says: the answer to the command of this number, a push (no number), or nothing (a ping)."""

    id: int = 0
    error: ErrorReply | None = None
    push: Push | None = None
    connect: ConnectResult | None = None
    subscribe: SubscribeResult | None = None
    unsubscribe: Empty | None = None
    publish: Empty | None = None
    presence: PresenceResult | None = None
    presence_stats: PresenceStatsResult | None = None
    history: HistoryResult | None = None
    ping: Empty | None = None
    rpc: DataResult | None = None
    refresh: RefreshResult | None = None
    sub_refresh: RefreshResult | None = None


_encoder = msgspec.json.Encoder()
_commands = msgspec.json.Decoder(Command)
_replies = msgspec.json.Decoder(Reply)
_several = msgspec.json.Decoder(list[Raw])


def encode(message: Reply | Command | Push) -> bytes:
    """One message as a line of JSON, without the line's end."""
    return _encoder.encode(message)


def encode_data(value: object) -> Raw:
    """Any msgspec value as JSON on one line, ready to be put into as many messages as wanted."""
    text = _encoder.encode(value)
    if b"\n" in text or b"\r" in text:
        # Only JSON that somebody else laid out (a Raw) has line ends; they would cut the frame in two.
        text = _encoder.encode(msgspec.json.decode(text))
    return Raw(text)


def encode_push(channel: str, publication: Publication) -> bytes:
    """The frame that brings a publication to every listener of a channel."""
    return _encoder.encode(Reply(push=Push(channel=channel, pub=publication)))


def news_of(data: Raw, publisher: ClientInfo | None = None) -> Raw:
    """The push that brings a publication without an offset, without its channel."""
    info = b"" if publisher is None else b',"info":' + _encoder.encode(publisher)
    return Raw(b'{"pub":{"data":' + bytes(data) + info + b"}}")


def encode_news(channel: str, news: Raw) -> bytes:
    """The frame that brings pushes without an offset: `news` is JSON without the channel, `{"pub":{…}}`, or a list."""
    if bytes(news).startswith(b"["):
        return join_frames(encode_news(channel, one) for one in _several.decode(news))
    return b'{"push":{"channel":' + _encoder.encode(channel) + b"," + bytes(news)[1:] + b"}"


def join_frames(frames: Iterable[bytes]) -> bytes:
    """Several messages as one frame."""
    return b"\n".join(frames)


def decode_commands(frame: bytes | str) -> list[Command]:
    """The commands of a client's frame, at least one; raises `FrameError`."""
    try:
        commands = _commands.decode_lines(frame)
    except (ValueError, RecursionError) as error:
        raise FrameError(str(error)) from None
    if not commands:
        raise FrameError("an empty frame")
    return commands


def decode_replies(frame: bytes | str) -> list[Reply]:
    """The replies and pushes of a server's frame; raises `FrameError`."""
    try:
        return _replies.decode_lines(frame)
    except (ValueError, RecursionError) as error:
        raise FrameError(str(error)) from None
