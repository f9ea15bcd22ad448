"""What the generator understands of the client protocol, and the frames that it says."""

import msgspec

from bench.million.people import channel_of
from bench.sockets.frames import frame, upgrade

EVERYONE = "everyone"
PATH = "/connection/websocket"
UPGRADE = upgrade("127.0.0.1", PATH)
PING = b"\x81\x02{}"
PONG = frame(b"{}")
HELLO = frame(b"hello")


class Message(msgspec.Struct, gc=False):
    """What the publisher says: a number, when it was due (monotonic clock, ns), and for whom (-1: everyone)."""

    number: int = -1
    due: int = 0
    to: int = -2


class Publication(msgspec.Struct, gc=False):
    """One message of a channel."""

    data: Message
    offset: int = 0


class Push(msgspec.Struct):
    """Something that happened in a channel."""

    channel: str = ""
    pub: Publication | None = None


class Subscription(msgspec.Struct):
    """Where a channel stands, and what was missed."""

    epoch: str = ""
    offset: int = 0
    recovered: bool = False
    publications: list[Publication] = []


class Connected(msgspec.Struct):
    """A connection as it begins."""

    subs: dict[str, Subscription] = {}


class Reply(msgspec.Struct):
    """What the server says."""

    id: int = 0
    push: Push | None = None
    connect: Connected | None = None


decode = msgspec.json.Decoder(Reply).decode_lines


def connect(token: bytes) -> bytes:
    """Sign in."""
    return frame(b'{"id":1,"connect":{"token":"' + token + b'"}}')


def reconnect(token: bytes, user: int, own: tuple[str, int], everyone: tuple[str, int]) -> bytes:
    """Sign in again, and ask for what was missed of both channels since these positions (epoch, offset)."""
    since = '"%s":{"recover":true,"epoch":"%s","offset":%d}'
    subs = ",".join((since % (channel_of(user), *own), since % (EVERYONE, *everyone)))
    return frame(b'{"id":1,"connect":{"token":"%s","subs":{%s}}}' % (token, subs.encode()))
