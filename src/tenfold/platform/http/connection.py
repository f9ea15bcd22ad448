"""The connection: uvicorn's, with a bound on the head of each request, on its bytes and on the time it may take."""

import asyncio
import os
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tenfold.kit.refusals import Refusal
from tenfold.platform.http.problems import CONTENT_TYPE, HeadTooLarge, HeadTooSlow, document

LARGEST_HEAD = 64 * 1024
LONGEST_HEAD = 20.0
_REASONS = {408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class Connection(HttpToolsProtocol):
    """Answers 431 to a head of more than 64 KB, 408 to one that has not come within 20 s, and closes."""

    head_within = LONGEST_HEAD
    _in_head = False
    _head_size = 0
    _in_rest = False
    _rest_size = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client has connected; its first head is awaited."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and with it what was awaited."""
        self._no_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has become too large, or what comes after it and is no body (trailers) has."""
        began_before = self._in_head
        self._rest_size += len(data)
        super().data_received(data)
        if self._in_rest and self._rest_size > LARGEST_HEAD and not self.transport.is_closing():
            self.transport.close()
        if not self._in_head or self.transport.is_closing():
            return
        # The piece in which a head begins may hold a body before it, and is not counted.
        self._head_size = self._head_size + len(data) if began_before else 0
        if self._head_size > LARGEST_HEAD:
            self._refuse(HeadTooLarge())
        elif self._deadline is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """The first byte of a head has come."""
        self._in_head = True
        super().on_message_begin()
        # For answers that have no end: one whose reader takes nothing more can only be cut off.
        self.scope["extensions"] = {"abort": self.transport.abort}  # type: ignore[typeddict-item]

    def on_headers_complete(self) -> None:
        """The head is there: it is timed and counted no longer."""
        self._in_head = False
        self._in_rest = True
        self._rest_size = 0
        self._no_deadline()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body has come."""
        self._rest_size = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_rest = False
        super().on_message_complete()

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(self.head_within, self._too_slow)

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # an earlier request is still being answered on this connection
        elif not self.transport.is_closing():
            self._refuse(HeadTooSlow())

    def _refuse(self, refusal: Refusal) -> None:
        self._no_deadline()
        body = document(refusal, os.urandom(12).hex())
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (refusal.status, _REASONS[refusal.status], CONTENT_TYPE, len(body), body)
        )
        self.transport.close()
