"""The WebSocket of the web process: a plain ASGI callable that carries realtime sessions, to be mounted at `PATH`.

It costs one task per connection (the server's own) and one more while something waits to be written.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from tenfold.platform.observe import metrics
from tenfold.platform.realtime.admission import DRAINING, Admission, Denial
from tenfold.platform.realtime.codes import SHUTDOWN, SLOW, Disconnect
from tenfold.platform.realtime.lobby import Lobby
from tenfold.platform.realtime.protocol import SUBPROTOCOL, join_frames
from tenfold.platform.realtime.session import Session
from tenfold.platform.realtime.wheel import Wheel

PATH = "/connection/websocket"

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


class RealtimeEndpoint:
    """Answers WebSocket handshakes and carries one session on each that `admission` lets in.

    `queue_size` is how many bytes may wait for a reader: who is slower than that is disconnected, and recovers when it
    comes back. Who does not even read that within `close_timeout` is cut off.
    """

    def __init__(
        self,
        lobby: Lobby,
        admission: Admission | None = None,
        *,
        queue_size: int = 1024 * 1024,
        close_timeout: timedelta = timedelta(seconds=5),
    ) -> None:
        self._lobby = lobby
        self._admission = admission or Admission()
        self._close_timeout = close_timeout.total_seconds()
        self._queue_size = queue_size
        self._open: set[_Connection] = set()
        self._wheel = Wheel(lobby.monotonic, each_second=lobby.sweep, phase=random.random())  # noqa: S311 - no secret
        self._is_draining = False

    @property
    def connections(self) -> int:
        """How many connections carry a session."""
        return len(self._open)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Carry one connection until it is closed."""
        await receive()
        headers = _headers_of(scope)
        peer = scope.get("client")
        address = self._admission.address_of(peer[0] if peer else "127.0.0.1", headers.get(b"x-forwarded-for", ""))
        denial = self._refuses(scope, headers, address)
        if denial is not None:
            metrics.handshakes_refused.labels(str(denial.status)).inc()
            await _refuse(scope, send, denial)
            return
        try:
            await self._carry(scope, receive, send, address=address)
        finally:
            self._admission.leave(address)

    async def drain(self, spread: timedelta = timedelta(seconds=2)) -> None:
        """Accept nobody any more and tell all to reconnect, evenly over a span, so that they do not come back at once.

        Returns when all are gone, or have had five more seconds to go.
        """
        self._is_draining = True
        connections = list(self._open)
        ticks = max(1, int(spread / timedelta(milliseconds=50)))
        for tick in range(ticks):
            for connection in connections[tick::ticks]:
                connection.session.end(SHUTDOWN)
            if tick + 1 < ticks and tick + 1 < len(connections):
                await asyncio.sleep(0.05)
        for _ in range(100):
            if not self._open:
                break
            await asyncio.sleep(0.05)
        self._wheel.stop()

    async def _carry(self, scope: Any, receive: Receive, send: Send, *, address: str) -> None:
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        connection = _Connection(self._lobby, send, address, limit=self._queue_size, close_timeout=self._close_timeout)
        self._open.add(connection)
        self._wheel.add(connection.session, self._lobby.monotonic())
        if self._is_draining:
            connection.session.end(SHUTDOWN)
        try:
            await connection.read(receive)
        finally:
            self._open.discard(connection)
            connection.lost()

    def _refuses(self, scope: Any, headers: dict[bytes, str], address: str) -> Denial | None:
        if self._is_draining:
            return DRAINING
        denial = self._admission.refuses(
            origin=headers.get(b"origin"),
            host=headers.get(b"host", ""),
            subprotocols=scope.get("subprotocols", ()),
        )
        return denial or self._admission.enter(address, self._lobby.monotonic())


class _Connection:
    """The wire of one session: what waits to be written, and the task that writes it while there is something."""

    __slots__ = (
        "_close_timeout",
        "_closing",
        "_frames",
        "_limit",
        "_reader",
        "_send",
        "_waiting",
        "_was_cut",
        "_writer",
        "_writing",
        "address",
        "session",
    )

    def __init__(self, lobby: Lobby, send: Send, address: str, *, limit: int, close_timeout: float) -> None:
        self.address = address
        self._send = send
        self._limit = limit
        self._close_timeout = close_timeout
        self._frames: list[bytes] = []
        self._waiting = self._writing = 0
        self._closing: Disconnect | None = None
        self._reader: asyncio.Task[Any] | None = asyncio.current_task()
        self._writer: asyncio.Task[None] | None = None
        self._was_cut = False
        self.session = Session(lobby, self)

    @property
    def backlog(self) -> int:
        """How many bytes wait for the writer, or are with it while it waits for the client."""
        return self._waiting + self._writing

    async def read(self, receive: Receive) -> None:
        """Give the session every frame, in order, until the connection is closed."""
        try:
            while (event := await receive())["type"] != "websocket.disconnect":
                work = self.session.receive(event.get("text") or event.get("bytes") or b"")
                if work is not None:
                    await work
        except asyncio.CancelledError:
            if not self._was_cut or self._reader is None:
                raise
            self._reader.uncancel()

    def send(self, frame: bytes) -> None:
        """Write a frame when those before it are written; a reader that let too much pile up is closed instead.

        What counts is what waited before, so one frame of any size passes: else a long recovery could never end.
        """
        if self._waiting > self._limit:
            self._frames.clear()
            self._waiting = 0
            self.session.end(SLOW)
        elif self._closing is None:
            self._frames.append(frame)
            self._waiting += len(frame)
            self._write_soon()

    def close(self, disconnect: Disconnect) -> None:
        """Close after what waits to be written, or without it if the other side does not read in time."""
        self._closing = disconnect
        self._write_soon()
        asyncio.get_running_loop().call_later(self._close_timeout, self._cut)

    def lost(self) -> None:
        """The connection is gone."""
        self._reader = None
        if self._writer is not None:
            self._writer.cancel()
        self.session.lost()

    def _write_soon(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        # A server may answer a write to a connection that it is closing with either error; its reader hears of it too.
        with suppress(OSError, RuntimeError):
            while self._frames:
                text = join_frames(self._frames).decode()
                self._frames.clear()
                self._writing, self._waiting = self._waiting, 0
                await self._send({"type": "websocket.send", "text": text})
                self._writing = 0
            if self._closing is not None:
                code, reason = self._closing.code, self._closing.reason
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        self._writer = None

    def _cut(self) -> None:
        if self._reader is not None:
            self._was_cut = True
            self._reader.cancel()


def _headers_of(scope: Any) -> dict[bytes, str]:
    """The headers of a handshake; those that came several times are one list."""
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    return headers


async def _refuse(scope: Any, send: Send, denial: Denial) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    body = denial.reason.encode()
    headers: Iterable[tuple[bytes, bytes]] = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        *([(b"retry-after", b"%d" % denial.retry_after)] if denial.retry_after else []),
    ]
    await send({"type": "websocket.http.response.start", "status": denial.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
