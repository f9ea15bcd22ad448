"""How one joins a room and publishes to it at each server; the generator is the same for all."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from bench.sockets.frames import frame, upgrade

_ROOM = 0x01970000_0000_7000_A000_000000000000


class Dialect(ABC):
    """What a client says: the upgrade, the steps until it has joined (each after an answer), and publications."""

    path: str
    speaks_first = False  # whether the server says something before the first step
    ping = b"\0"
    pong = b""

    @property
    def upgrade(self) -> bytes:
        """The request for a WebSocket."""
        return upgrade("127.0.0.1", self.path)

    @abstractmethod
    def steps(self, listener: int, room: int) -> Sequence[bytes]:
        """What a listener says until it hears a room."""

    @abstractmethod
    def publication(self, room: int, message: dict[str, Any]) -> bytes:
        """What one who listens there says to publish."""

    def refuses(self, answer: bytes) -> bool:
        """Whether this answer to a step is a refusal."""
        return b'"error"' in answer


class Ours(Dialect):
    """The Centrifugo client protocol, as JSON."""

    path = "/connection/websocket"
    ping = b"{}"
    pong = frame(b"{}")

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._tokens = tokens

    def steps(self, listener: int, room: int) -> Sequence[bytes]:
        """Sign in, subscribe."""
        connect = frame(b'{"id":1,"connect":{"token":"%s"}}' % self._tokens[listener])
        subscribe = frame(b'{"id":2,"subscribe":{"channel":"%s"}}' % self._room(room).encode())
        return [connect, subscribe]

    def publication(self, room: int, message: dict[str, Any]) -> bytes:
        """A publication of a client."""
        return frame(_json({"id": 3, "publish": {"channel": self._room(room), "data": message}}))

    def _room(self, room: int) -> str:
        return f"room:{UUID(int=_ROOM + room)}"


class SocketIo(Dialect):
    """Engine.IO 4 and Socket.IO 5."""

    path = "/socket.io/?EIO=4&transport=websocket"
    speaks_first = True
    ping = b"2"
    pong = frame(b"3")

    def steps(self, listener: int, room: int) -> Sequence[bytes]:
        """Enter the namespace, join."""
        join = frame(b'420["join","room-%d"]' % room)
        return [frame(b"40"), join]

    def publication(self, room: int, message: dict[str, Any]) -> bytes:
        """An event to the server."""
        return frame(b"42" + _json(["publish", f"room-{room}", message]))

    def refuses(self, answer: bytes) -> bool:
        """Only `44` is a refusal."""
        return answer.startswith(b"44")


class Websockets(Dialect):
    """The few words of the peer on `websockets`."""

    path = "/"

    def steps(self, listener: int, room: int) -> Sequence[bytes]:
        """Join."""
        return [frame(_json({"join": f"room-{room}"}))]

    def publication(self, room: int, message: dict[str, Any]) -> bytes:
        """A message for a room."""
        return frame(_json({"room": f"room-{room}", "message": message}))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
