"""The two kinds of connection of the generator, as lean as they get: HTTP/1.1 kept alive, and a WebSocket.

Neither knows what is measured; they hand over what came in. The WebSocket speaks the client protocol in JSON, offers
no compression, and masks with zeros, which RFC 6455 permits a client that is no browser and costs nothing.
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

_PING = b"{}"
_TEXT, _CLOSE, _PING_FRAME, _PONG_FRAME = 0x1, 0x8, 0x9, 0xA
_UPGRADE = (
    b"GET /connection/websocket HTTP/1.1\r\nhost: bench\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-protocol: centrifuge-json\r\n\r\n"
)


class Said(msgspec.Struct, frozen=True, gc=False):
    """A message of a conversation, as far as the generator looks at it."""

    seq: int = 0
    client_msg_id: str = ""


class Change(msgspec.Struct, frozen=True, gc=False):
    """What a publication tells; those on other channels than a conversation's have no messages."""

    messages: list[Said] = []


class Publication(msgspec.Struct, frozen=True, gc=False):
    """A publication with its number."""

    data: Change = Change()
    offset: int = 0


class Push(msgspec.Struct, frozen=True, gc=False):
    """Something said unasked; `unsubscribe` and `disconnect` end what should go on."""

    channel: str = ""
    pub: Publication | None = None
    unsubscribe: msgspec.Raw | None = None
    disconnect: msgspec.Raw | None = None


class CallError(msgspec.Struct, frozen=True, gc=False):
    """Why a command was refused; a door's status is `code - 1000`."""

    code: int
    message: str = ""


class Called(msgspec.Struct, frozen=True, gc=False):
    """What a door answered to a call over the socket."""

    data: Said = Said()


class Reply(msgspec.Struct, frozen=True, gc=False):
    """One message of the server."""

    id: int = 0
    push: Push | None = None
    rpc: Called | None = None
    error: CallError | None = None


read_said = msgspec.json.Decoder(Said).decode
_read_replies = msgspec.json.Decoder(Reply).decode_lines


class KeepAlive(asyncio.Protocol):
    """One HTTP connection with at most one request under way: `answered` gets it back with status and body."""

    def __init__(self, answered: Callable[["KeepAlive", int, int, bytes], None], lost: Callable[[int], None]) -> None:
        self.number = -1
        self.is_gone = False
        self._answered = answered
        self._lost = lost
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, number: int, request: bytes) -> None:
        """Send the request of a send."""
        self.number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head = buffer.find(b"\r\n\r\n")
        if head < 0 or len(buffer) < (end := head + 4 + _body_length(buffer[:head].lower())):
            self._buffer = buffer
            return
        self._buffer = b""
        number, self.number = self.number, -1
        self._answered(self, number, int(buffer[9:12]), buffer[head + 4 : end])

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_gone = True
        self._lost(self.number)

    def close(self) -> None:
        """Be gone, without a word to anybody."""
        self._lost = _ignored
        self._transport.abort()


def _ignored(_: int) -> None: ...


def _body_length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = head.find(b"\r\n", at + 2)
    return int(head[at + 17 : end if end >= 0 else None])


class Socket(asyncio.Protocol):
    """One WebSocket: hands every reply and push to `heard`, answers pings, and tells `lost` when it is gone."""

    def __init__(self, heard: Callable[[Reply], None], lost: Callable[[str], None]) -> None:
        self.is_open = asyncio.get_running_loop().create_future()
        self._heard = heard
        self._lost = lost
        self._asked: asyncio.Future[None] | None = None
        self._buffer = b""
        self._transport: Any = None
        self._why = "no reason"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(_UPGRADE)

    def say(self, text: bytes) -> None:
        """Send a message."""
        self._transport.write(_frame(_TEXT, text))

    async def ask(self, command: bytes) -> None:
        """Send a command and wait for its reply, with no other under way. Raises RuntimeError when it is refused."""
        self._asked = asyncio.get_running_loop().create_future()
        self.say(command)
        async with asyncio.timeout(30):
            await self._asked

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self.is_open.done():
            head = buffer.find(b"\r\n\r\n")
            if head < 0:
                self._buffer = buffer
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                self.is_open.set_exception(ConnectionError(buffer[:300].decode(errors="replace")))
                return
            self.is_open.set_result(None)
            buffer = buffer[head + 4 :]
        at = 0
        for opcode, payload, at in _frames(buffer):  # noqa: B007 - where the last whole frame ended
            self._take(opcode, payload)
        self._buffer = buffer[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT:
            for reply in _read_replies(payload):
                if reply.push is None and not reply.id:  # a ping, alone or among others in a frame
                    self.say(_PING)
                elif self._asked is not None and reply.push is None:
                    self._settle(reply)
                else:
                    self._heard(reply)
        elif opcode == _PING_FRAME:
            self._transport.write(_frame(_PONG_FRAME, payload))
        elif opcode == _CLOSE:
            self._why = f"{int.from_bytes(payload[:2], 'big')} {payload[2:].decode(errors='replace')}"

    def _settle(self, reply: Reply) -> None:
        asked, self._asked = self._asked, None
        if asked is None or asked.done():
            return
        if reply.error is not None:
            asked.set_exception(RuntimeError(f"refused: {reply.error.code} {reply.error.message}"))
        else:
            asked.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(ConnectionError(f"closed: {self._why}"))
        if not self.is_open.done():
            self.is_open.set_exception(ConnectionError("closed in the handshake"))
        self._lost(self._why)

    def close(self) -> None:
        """Be gone, without a word to anybody."""
        self._lost = lambda _: None
        self._transport.abort()


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, 0x80 | size)) + b"\0\0\0\0" + payload
    return struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size) + b"\0\0\0\0" + payload


def _frames(buffer: bytes) -> Iterator[tuple[int, bytes, int]]:
    """The whole frames in a buffer, and where each ends."""
    at, have = 0, len(buffer)
    while have - at >= 2:
        size, begin = buffer[at + 1], at + 2
        if size == 126:
            size, begin = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, begin = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
        if begin > have or begin + size > have:
            return
        if not buffer[at] & 0x80:
            raise ValueError("the server sends fragments")
        yield buffer[at] & 0xF, buffer[begin : begin + size], begin + size
        at = begin + size
