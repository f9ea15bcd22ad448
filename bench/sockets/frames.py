"""WebSocket frames as a client writes and reads them (RFC 6455). Masked with a zero key: as valid as any, and free."""

from typing import NamedTuple

TEXT, CLOSE, PING = 0x1, 0x8, 0x9
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # what RFC 6455, 1.3 says must come back for that key
_MASK = b"\0\0\0\0"


class Frame(NamedTuple):
    """One whole frame of the server."""

    opcode: int
    payload: bytes


def upgrade(host: str, path: str, *, subprotocol: str | None = None) -> bytes:
    """The request that turns a connection into a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {_KEY}",
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return "\r\n".join([*lines, "", ""]).encode()


def upgraded(answer: bytes) -> int:
    """Where the frames begin after the server's consent; 0 while that is incomplete. A refusal is a ConnectionError."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return 0
    if not answer.startswith(b"HTTP/1.1 101 ") or _ACCEPT not in answer[:end]:
        raise ConnectionError(f"the server refuses the upgrade: {answer[:80]!r}")
    return end + 4


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole frame of the client."""
    length = len(payload)
    if length < 126:
        head = bytes((0x80 | opcode, 0x80 | length))
    elif length < 65536:
        head = bytes((0x80 | opcode, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0xFF)) + length.to_bytes(8, "big")
    return head + _MASK + payload


def split(stream: bytes) -> tuple[list[Frame], bytes]:
    """The whole frames at the beginning of a stream, and the rest. Servers send no masks; fragments are refused."""
    frames: list[Frame] = []
    at, end = 0, len(stream)
    while end - at >= 2:
        first, length = stream[at], stream[at + 1]
        begin = at + 2
        if length >= 126:
            begin += 2 if length == 126 else 8
            if begin > end:
                break
            length = int.from_bytes(stream[at + 2 : begin], "big")
        if begin + length > end:
            break
        if not first & 0x80:
            raise ConnectionError("a fragmented message")
        frames.append(Frame(first & 0x0F, stream[begin : begin + length]))
        at = begin + length
    return frames, stream[at:]
