"""The gateway of one process: it takes connections on a socket, as many as it can hold, and lets go of them in turn."""

import asyncio
import random
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Protocol

import structlog
from multidict import CIMultiDict
from picows import (
    WSAutoPingStrategy,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined] - its stub leaves it out
from prometheus_client import generate_latest

from tenfold.platform.observe import metrics
from tenfold.platform.realtime import admission as denials
from tenfold.platform.realtime.admission import Admission, Denial
from tenfold.platform.realtime.codes import SHUTDOWN
from tenfold.platform.realtime.gateway import answers
from tenfold.platform.realtime.gateway.connection import Connection, pack
from tenfold.platform.realtime.gateway.line import Line
from tenfold.platform.realtime.gateway.works import Works
from tenfold.platform.realtime.lobby import Lobby
from tenfold.platform.realtime.protocol import SUBPROTOCOL, join_frames
from tenfold.platform.realtime.session import Session
from tenfold.platform.realtime.wheel import Wheel

log = structlog.get_logger("tenfold.gateway")
PATH = b"/connection/websocket"
# Few, since what others say meanwhile waits for it; reading between two of these costs some ten microseconds.
_WRITTEN_AT_ONCE = 250
_ACCEPTED_AT_ONCE = 32
# Bytes. Longer messages are kept apart until they are written: a copy for each who waits would fill the memory.
_JOINED_UP_TO = 4096
_TOLD_THAT_IT_IS_FULL = 128
_TICK = 0.05
AWAY = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRules:
    """The limits of one process: connections, bytes, and times in seconds.

    `queue_size` is how many bytes may wait for a reader: who is slower than that is disconnected, and recovers when it
    comes back. Who does not even read that within `close_timeout` is cut off. `read_buffer` is what each connection
    holds from its start (picows takes at least 2 KB); it grows with what a client sends at once.
    """

    capacity: int = 10_000
    queue_size: int = 1024 * 1024
    read_buffer: int = 2048
    largest_message: int = 256 * 1024
    backlog: int = 4096
    handshake_timeout: float = 10
    close_timeout: float = 5


class Seat(Protocol):
    """One number, at place 0: how many connections a process has. A list will do, or memory that processes share."""

    def __getitem__(self, place: int, /) -> int: ...

    def __setitem__(self, place: int, connections: int, /) -> None: ...


class Gateway:
    """Carries one session on each connection that is let in.

    `metrics_text` is what `/metrics` answers: this process's own, or, where several share a port, those of all.
    `seat` is where it keeps how many connections there are, for others to read: one number, `AWAY` while nobody should
    come.
    """

    loop: asyncio.AbstractEventLoop
    """The loop that it answers on, kept: to ask which one runs is a system call in Python 3.11."""
    works: Works
    """What is done for its connections."""
    family: int
    """The family of its socket's address."""

    def __init__(
        self,
        lobby: Lobby,
        admission: Admission | None = None,
        rules: GatewayRules | None = None,
        *,
        metrics_text: Callable[[], bytes] = lambda: generate_latest(metrics.registry),
        seat: Seat | None = None,
    ) -> None:
        self.rules = rules or GatewayRules()
        self._lobby = lobby
        self._admission = admission or Admission()
        self._metrics_text = metrics_text
        self._wheel = Wheel(lobby.monotonic, each_second=lobby.sweep, phase=random.random())  # noqa: S311 - no secret
        self._open: set[Connection] = set()
        self._seat: Seat = [0] if seat is None else seat
        self._is_draining = False
        self._servers: list[asyncio.Server] = []
        # Who has something to write at the end of this turn of the loop.
        self.unwritten: list[Connection] = []
        self._joined = (b"", b"", b"")
        self._packed: tuple[bytes | list[bytes], bytearray] = (b"", pack(b""))
        self._upgrades = {wanted: _Upgrade(with_subprotocol=wanted) for wanted in (False, True)}

    @property
    def connections(self) -> int:
        """How many connections carry a session."""
        return len(self._open)

    @property
    def accepted(self) -> int:
        """How many connections there are, those that have not said yet what they want included."""
        return self._seat[0]

    async def open(self, *listeners: socket.socket) -> None:
        """Answer on bound sockets of one address from now on.

        libuv takes one connection per descriptor and turn of the loop. With one descriptor, each of a crowd would pay
        for a whole turn, and what they all ask of Redis would go there one by one: so there are several.
        """
        self.loop = asyncio.get_running_loop()
        self.works = Works(self.loop)
        self.family = listeners[0].family
        self._seat[0] = 0
        for number in range(max(_ACCEPTED_AT_ONCE, len(listeners))):
            listener = listeners[number % len(listeners)]
            descriptor = listener if number < len(listeners) else listener.dup()
            server = await self.loop.create_server(self._accept, sock=descriptor, backlog=self.rules.backlog)
            self._servers.append(server)

    async def drain(self, spread: timedelta = timedelta(seconds=2)) -> None:
        """Accept nobody any more and tell all to reconnect, evenly over a span, so that they do not come back at once.

        Returns when all are gone, or have had as long again as a slow reader gets.
        """
        self._is_draining = True
        self._leave_seat()
        for server in self._servers:
            server.close()
        leaving = list(self._open)
        ticks = max(1, min(int(spread.total_seconds() / _TICK), len(leaving)))
        for tick in range(ticks):
            for connection in leaving[tick::ticks]:
                if connection.session is not None:
                    connection.session.end(SHUTDOWN)
            if tick + 1 < ticks:
                await asyncio.sleep(spread.total_seconds() / ticks)
        for _ in range(int(self.rules.close_timeout / _TICK) + 1):
            if not self.accepted:
                break
            await asyncio.sleep(_TICK)
        self._wheel.stop()
        for connection in list(self._open):
            connection.cut()

    # What connections call

    def answer(self, connection: Connection, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """What to answer to a request: a session, a page, or why not."""
        path = request.path.partition(b"?")[0]
        if path != PATH:
            return WSUpgradeResponseWithListener(self._page(path), None)
        denial = self._refuses(connection, request)
        if denial is not None:
            metrics.handshakes_refused.labels(str(denial.status)).inc()
            return WSUpgradeResponseWithListener(answers.refused(denial), None)
        headers = request.headers
        asked = headers.get("Connection", "").lower()
        # Firefox says `keep-alive, Upgrade`, which picows does not take.
        if asked != "upgrade" and "upgrade" in (word.strip() for word in asked.split(",")):
            headers["Connection"] = "upgrade"
        return WSUpgradeResponseWithListener(self._upgrades[SUBPROTOCOL in _subprotocols(request)], connection)

    def begin(self, connection: Connection) -> Session:
        """The session of a connection whose handshake is done."""
        session = Session(self._lobby, connection)
        self._open.add(connection)
        self._wheel.add(session, self._lobby.monotonic())
        return session

    def write_soon(self, connection: Connection) -> None:
        """Have a connection, the first one, write at the end of this turn of the loop."""
        self.loop.call_soon(self._write)
        self.unwritten.append(connection)

    def joined(self, first: bytes, second: bytes) -> bytes | list[bytes]:
        """Two messages for one connection in one turn. What a whole room hears one after the other is joined once."""
        if len(first) + len(second) > _JOINED_UP_TO:
            return [first, second]
        if first is not self._joined[0] or second is not self._joined[1]:
            self._joined = (first, second, join_frames((first, second)))
        return self._joined[2]

    def packed(self, frames: bytes | list[bytes]) -> bytearray:
        """Messages as picows writes them, once for all that they go to. What cannot be written at once it copies."""
        if frames is not self._packed[0]:
            self._packed = (frames, pack(frames))
        return self._packed[1]

    # The rest

    def _accept(self) -> asyncio.BufferedProtocol | asyncio.Protocol:
        accepted = self._seat[0] = self._seat[0] + 1
        if accepted > self.rules.capacity:
            metrics.handshakes_refused.labels("503").inc()
            return _Full(self, is_told=accepted <= self.rules.capacity + _TOLD_THAT_IT_IS_FULL)
        return _Protocol(self, Connection(self))

    def parted(self, connection: Connection | None) -> None:
        """A connection is gone, however far it had come."""
        self._seat[0] -= 1
        if connection is None:
            return
        if connection.has_entered:
            self._admission.leave(connection.address)
        self._open.discard(connection)
        connection.lost()

    def _leave_seat(self) -> None:
        seat, self._seat = self._seat, [self._seat[0]]
        seat[0] = AWAY

    def _refuses(self, connection: Connection, request: WSUpgradeRequest) -> Denial | None:
        if self._is_draining:
            return denials.DRAINING
        headers, admission = request.headers, self._admission
        denial = admission.refuses(
            origin=headers.get("Origin"), host=headers.get("Host", ""), subprotocols=_subprotocols(request)
        )
        if denial is None:
            forwarded_for = ",".join(headers.getall("X-Forwarded-For", ()))
            connection.address = admission.address_of(connection.address, forwarded_for)
            denial = admission.enter(connection.address, self._lobby.monotonic())
            connection.has_entered = denial is None
        return denial

    def _page(self, path: bytes) -> WSUpgradeResponse:
        if path == b"/health":
            return answers.alive()
        if path == b"/metrics":
            return answers.metrics(self._metrics_text())
        if path != b"/ready":
            return answers.refused(answers.NOTHING_HERE)
        if self._is_draining:
            return answers.refused(denials.DRAINING)
        return answers.ready() if self.accepted < self.rules.capacity else answers.refused(denials.FULL)

    def _write(self) -> None:
        """Write for whoever has something; for very many in turns, so that others are read in between."""
        connections = self.unwritten
        if len(connections) > _WRITTEN_AT_ONCE:
            connections, self.unwritten = connections[:_WRITTEN_AT_ONCE], connections[_WRITTEN_AT_ONCE:]
            self.loop.call_soon(self._write)
        else:
            self.unwritten = []
        for connection in connections:
            connection.flush()


class _Protocol(WSProtocol):
    """picows' protocol, which tells the gateway of a connection from its first moment to its last."""

    __slots__ = ("_connection", "_gateway")

    def __init__(self, gateway: Gateway, connection: Connection) -> None:
        rules = gateway.rules
        super().__init__(
            None,
            None,
            False,
            connection,
            _QUIET,
            True,
            rules.handshake_timeout,
            False,
            0,
            0,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,
            rules.largest_message,
            None,
            rules.read_buffer,
        )
        self._gateway = gateway
        self._connection = connection

    def connection_made(self, transport: Any) -> None:
        """A client has connected."""
        line = Line(transport)
        # Many come from one address, that of a proxy for one: they share its text.
        self._connection.address = sys.intern(line.peer_address(self._gateway.family))
        super().connection_made(line)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        super().connection_lost(exc)
        self._gateway.parted(self._connection)


class _Full(asyncio.Protocol):
    """Says that there is no room, to whoever connects beyond the capacity; beyond the margin it just closes."""

    def __init__(self, gateway: Gateway, *, is_told: bool) -> None:
        self._gateway = gateway
        self._is_told = is_told
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Wait a moment for the request: an answer before it would be lost with the connection."""
        self._transport = transport
        if self._is_told:
            self._timer = asyncio.get_running_loop().call_later(1, transport.abort)
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Answer, whatever was asked."""
        if not self._transport.is_closing():
            self._transport.write(answers.refused_raw(denials.FULL))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._gateway.parted(None)


class _Quiet:
    """Where picows logs to. What it has to say of one connection among thousands is for debugging."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the standard library's name
        return False

    def debug(self, message: str, *values: object, **_: object) -> None:
        return

    info = log = debug

    def warning(self, message: str, *values: object, **_: object) -> None:
        log.debug("picows", said=message % values if values else message)

    error = warning

    def exception(self, message: str, *values: object, **_: object) -> None:
        log.exception("gateway.connection_failed", said=message % values if values else message)


_QUIET = _Quiet()


class _Upgrade(WSUpgradeResponse):
    """The answer to a handshake. It is shared: picows writes the key into its headers and sends it in one go."""

    __slots__ = ("_head",)

    def __init__(self, *, with_subprotocol: bool) -> None:
        self.version = b"HTTP/1.1"
        self.status = HTTPStatus.SWITCHING_PROTOCOLS
        self.headers = CIMultiDict()
        self.body = None
        chosen = f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n" if with_subprotocol else ""
        self._head = (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"{chosen}Sec-WebSocket-Accept: "
        )

    def to_bytes(self) -> bytearray:
        """The answer as it is sent."""
        return bytearray(f"{self._head}{self.headers['Sec-WebSocket-Accept']}\r\n\r\n", "ascii")


def _subprotocols(request: WSUpgradeRequest) -> list[str]:
    offered = request.headers.get("Sec-WebSocket-Protocol")
    return [name.strip() for name in offered.split(",")] if offered else []
