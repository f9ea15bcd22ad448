"""One connection of the gateway: picows' listener and the session's wire in one object, since a million of it are kept.

It holds no task while nothing waits, no timer, and nothing of the handshake but the client's address.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSProtocolError, WSTransport, WSUpgradeRequest

from tenfold.platform.realtime.codes import SLOW, Disconnect
from tenfold.platform.realtime.protocol import PING, join_frames
from tenfold.platform.realtime.session import Session

if TYPE_CHECKING:
    from tenfold.platform.realtime.gateway.server import Gateway

HEADER = 14
"""Room before a message for the frame's header, which picows writes there."""

_TEXT, _CONTINUATION, _CLOSE = WSMsgType.TEXT, WSMsgType.CONTINUATION, WSMsgType.CLOSE
_PING, _PONG = WSMsgType.PING, WSMsgType.PONG
_MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY)
_MOST_WAITING = 64


class Connection(WSListener):
    """It is made when a client connects, asked what to answer to the handshake, and then carries a session."""

    __slots__ = (
        "_frames",
        "_gateway",
        "_inbox",
        "_is_at_work",
        "_is_choked",
        "_parts",
        "_transport",
        "address",
        "has_entered",
        "session",
    )

    def __init__(self, gateway: "Gateway") -> None:
        self.address = ""
        self.has_entered = False
        self.session: Session | None = None
        self._gateway = gateway
        self._transport: WSTransport | None = None
        self._frames: bytes | list[bytes] | None = None
        self._inbox: deque[bytes] | None = None
        self._parts: bytearray | None = None
        self._is_choked = False
        self._is_at_work = False

    # What picows calls

    def __call__(self, request: WSUpgradeRequest) -> Any:
        """Say what to answer to a request: a session on this connection, or why not."""
        return self._gateway.answer(self, request)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done: the session begins. What was read of the request goes."""
        request: Any = transport.request
        request.method = request.path = request.version = request.headers = None
        self._transport = transport
        self.session = self._gateway.begin(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame: a message, a piece of one, or the end."""
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "no extension was agreed on")
        if kind == _CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif kind in _MESSAGES and frame.fin and self._parts is None:
            self._take(frame.get_payload_as_bytes())
        elif kind in _MESSAGES or kind == _CONTINUATION:
            self._take_part(frame)
        elif kind in (_PING, _PONG):
            self._take_sign_of_life(transport, frame)

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        self._is_choked = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_choked = False

    # What the session calls

    @property
    def backlog(self) -> int:
        """How many bytes wait for the client to take those before them."""
        return 0 if self._transport is None else waiting(self._transport)

    def send(self, frame: bytes) -> None:
        """Write a message at the end of this turn of the loop, in one piece with what else there is by then."""
        frames, gateway = self._frames, self._gateway
        if frames is None:
            self._frames = frame
            if gateway.unwritten:  # then its writing is due already
                gateway.unwritten.append(self)
            else:
                gateway.write_soon(self)
        elif isinstance(frames, list):
            frames.append(frame)
        else:
            self._frames = gateway.joined(frames, frame)

    def close(self, disconnect: Disconnect) -> None:
        """Close after what waits to be written, or without it if the other side does not read in time."""
        transport, frames = self._transport, self._frames
        if transport is None:
            return
        self._frames = None
        if frames is not None:
            transport.send_reuse_external_bytearray(_TEXT, self._gateway.packed(frames), HEADER)
        transport.send_close(disconnect.code, disconnect.reason)  # type: ignore[arg-type] - any code of the protocol
        self._gateway.loop.call_later(self._gateway.rules.close_timeout, self.cut)

    # What the gateway calls

    def flush(self) -> None:
        """Write what waits. A reader that let too much pile up is closed instead; it recovers when it is back.

        What counts is what waited before, so one message of any size passes: else a long recovery could never end.
        """
        transport, frames = self._transport, self._frames
        if transport is None or frames is None:
            return
        self._frames = None
        if self.session is not None and self._is_slow(transport):
            self.session.end(SLOW)
        else:
            transport.send_reuse_external_bytearray(_TEXT, self._gateway.packed(frames), HEADER)

    def cut(self) -> None:
        """End the connection without another word, if it is still there."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def lost(self) -> None:
        """The connection is gone."""
        session, self.session, self._transport, self._frames, self._inbox = self.session, None, None, None, None
        if session is not None:
            session.lost()

    def _is_slow(self, transport: WSTransport) -> bool:
        return self._is_choked and waiting(transport) > self._gateway.rules.queue_size

    def _take_sign_of_life(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count a ping or pong as a command, and answer the ping, unless its client does not read the answers."""
        session = self.session
        if session is None or session.is_over or not session.is_within_limit():
            return
        if self._is_slow(transport):
            session.end(SLOW)
        elif frame.msg_type == _PING:
            transport.send_pong(frame.get_payload_as_bytes())

    def _take_part(self, frame: WSFrame) -> None:
        is_first = frame.msg_type != _CONTINUATION
        if is_first is (self._parts is not None):
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "pieces of messages out of order")
        parts = self._parts = bytearray() if self._parts is None else self._parts
        if len(parts) + frame.payload_size > self._gateway.rules.largest_message:
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, "a message that is too large")
        parts += frame.get_payload_as_bytes()
        if frame.fin:
            self._parts = None
            self._take(bytes(parts))

    def _take(self, message: bytes) -> None:
        """Give the session a message; one that comes while another is worked on waits its turn."""
        session = self.session
        if session is None:
            return
        if self._is_at_work and message != PING:
            self._wait_in_line(message)
            return
        work = session.receive(message)
        if work is not None:
            self._is_at_work = True
            self._gateway.works.do(work, self._go_on)

    def _wait_in_line(self, message: bytes) -> None:
        inbox = self._inbox
        if inbox is None:
            inbox = self._inbox = deque()
        inbox.append(message)
        if len(inbox) == _MOST_WAITING and self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def _go_on(self) -> None:
        """A message is done: take the next in line."""
        self._is_at_work = False
        if self._inbox is None:
            return
        try:
            while self._inbox and not self._is_at_work:
                self._take(self._inbox.popleft())
        finally:
            if not self._is_at_work:
                self._inbox = None
                if self._transport is not None:
                    self._transport.underlying_transport.resume_reading()


def pack(frames: bytes | list[bytes]) -> bytearray:
    """One or several messages as the payload of one frame, with room for its header."""
    return bytearray(HEADER) + (frames if isinstance(frames, bytes) else join_frames(frames))


def waiting(transport: WSTransport) -> int:
    """How many bytes wait to be written."""
    return transport.underlying_transport.get_write_buffer_size()
