"""Answers: a response as an ASGI callable, with entity tags and compression. Who may see it was decided before."""

import hashlib
import zlib
from typing import Any

import msgspec

HeaderList = list[tuple[bytes, bytes]]
JSON = (b"content-type", b"application/json")
_COMPRESS_FROM = 1024

encoder = msgspec.json.Encoder()


class Answer:
    """A status, headers and a body, ready to send."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: HeaderList, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it; without the body when only the head was asked for."""
        if self.status not in (204, 304):
            self.headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


def entity_tag(body: bytes) -> bytes:
    """A weak entity tag: equal bodies have equal tags, on every process and after every restart."""
    return b'W/"%s"' % hashlib.blake2b(body, digest_size=9).hexdigest().encode()


def has_same(if_none_match: bytes, tag: bytes) -> bool:
    """Whether the client's If-None-Match names this tag (weak comparison, RFC 9110, section 13.1.2)."""
    if if_none_match.strip() == b"*":
        return True
    wanted = tag.removeprefix(b"W/")
    return any(candidate.strip().removeprefix(b"W/") == wanted for candidate in if_none_match.split(b","))


def compress(answer: Answer, accept_encoding: bytes) -> None:
    """Compress a body that is worth it with gzip, when the client takes it."""
    if len(answer.body) < _COMPRESS_FROM or not _takes_gzip(accept_encoding):
        return
    packer = zlib.compressobj(level=4, wbits=31)
    answer.body = packer.compress(answer.body) + packer.flush()
    answer.headers.append((b"content-encoding", b"gzip"))


def _takes_gzip(accept_encoding: bytes) -> bool:
    """Whether gzip is named with any weight but nought (RFC 9110, section 12.5.3)."""
    for choice in accept_encoding.lower().split(b","):
        name, _, weight = choice.partition(b";")
        if name.strip() in (b"gzip", b"*"):
            return weight.strip().rstrip(b".0") != b"q="
    return False
