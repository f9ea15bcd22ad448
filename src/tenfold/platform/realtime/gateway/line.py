"""The line of a connection: uvloop's transport, as picows is to see it: without a socket that it would question.

picows asks the socket of each connection for six things, to log them, and uvloop makes a socket object for each
question: 40 µs that nobody needs. (It also sets TCP_QUICKACK, which the kernel takes back by itself after a while.)
"""

import socket
from typing import Any

_STREAM = int(socket.SOCK_STREAM)


class Line:
    """A transport of uvloop's; what is not asked for here is the transport's own."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """The descriptor, as a socket that can be asked for nothing else; nothing is known besides."""
        if name != "socket":
            return default
        return _Descriptor(self._transport.get_extra_info("socket").fileno())

    def peer_address(self, family: int) -> str:
        """The address at the other end; empty for one that is gone already, or has none.

        Asked of the transport, it would cost twice as much, and the answer would be kept with the port in it.
        """
        descriptor = self._transport.get_extra_info("socket").fileno()
        try:
            bare = socket.SocketType(family, _STREAM, 0, descriptor)
        except OSError:
            return ""
        try:
            peer = bare.getpeername()
        except OSError:
            return ""
        finally:
            bare.detach()
        return peer[0] if isinstance(peer, tuple) else ""


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
