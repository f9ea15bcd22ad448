"""The socket: uvicorn's WebSocket, with a bound on what waits for a client that pings and does not read."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class Socket(WebSocketsSansIOProtocol):
    """Answers a ping while its client reads; with others unread it may stay without an answer (RFC 6455, 5.5.3)."""

    def handle_ping(self) -> None:
        """Write the answer, which is made already, or drop it."""
        answer = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(answer)
