"""The line of a connection: uvloop's transport, as picows is to see it: without a socket that it would question.

picows asks the socket of each connection for nine things, to log them. uvloop makes a socket object for each question,
and remembers both addresses for as long as the connection lives: 40 µs and 300 bytes that nobody needs.
"""

import socket
from typing import Any


class Line:
    """A transport of uvloop's; what is not asked for here is the transport's own."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """The descriptor, as a socket that can be asked for nothing else; nothing is known besides."""
        return _Descriptor(self._fileno()) if name == "socket" else default

    def peer_address(self) -> str:
        """The address at the other end; empty for one that is gone already, or has none."""
        asked = socket.SocketType(fileno=self._fileno())
        try:
            peer = asked.getpeername()
        except OSError:
            return ""
        finally:
            asked.detach()
        return peer[0] if isinstance(peer, tuple) else ""

    def _fileno(self) -> int:
        return self._transport.get_extra_info("socket").fileno()


class _Descriptor:
    """Answers picows' questions without asking the system. uvloop has set TCP_NODELAY when it took the connection."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def setsockopt(self, level: int, option: int, value: int) -> None:
        return

    def getsockopt(self, level: int, option: int) -> int:
        return 0
