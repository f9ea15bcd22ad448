"""The error and disconnect codes of the Centrifugo client protocol, with their standard numbers and words.

A reply's error is temporary when the client should try the same again. A disconnect code says by its range whether the
client comes back: 3000–3499 and 4000–4499 reconnect, 3500–3999 and 4500–4999 do not; from 4000 on they belong to
applications.
Numbers and words are those of centrifugal/centrifuge (`errors.go`, `disconnect.go`).
"""

import msgspec


class ErrorReply(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a command was refused."""

    code: int
    message: str = ""
    temporary: bool = False


class Disconnect(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why the server closes a connection."""

    code: int
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the client stays away until its application asks for a new connection."""
        return 3500 <= self.code < 4000 or 4500 <= self.code < 5000


class Unsubscribed(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why the server ends a subscription; from code 2500 on the client subscribes again."""

    code: int = 0
    reason: str = ""


INTERNAL = ErrorReply(100, "internal server error", temporary=True)
UNAUTHORIZED = ErrorReply(101, "unauthorized")
UNKNOWN_CHANNEL = ErrorReply(102, "unknown channel")
PERMISSION_DENIED = ErrorReply(103, "permission denied")
METHOD_NOT_FOUND = ErrorReply(104, "method not found")
ALREADY_SUBSCRIBED = ErrorReply(105, "already subscribed")
LIMIT_EXCEEDED = ErrorReply(106, "limit exceeded")
BAD_COMMAND = ErrorReply(107, "bad request")
NOT_AVAILABLE = ErrorReply(108, "not available")
TOKEN_EXPIRED = ErrorReply(109, "token expired")
EXPIRED = ErrorReply(110, "expired")
TOO_MANY_COMMANDS = ErrorReply(111, "too many requests", temporary=True)
UNRECOVERABLE_POSITION = ErrorReply(112, "unrecoverable position")
TOKEN_REVOKED = ErrorReply(113, "token revoked")

CONNECTION_CLOSED = Disconnect(3000, "connection closed")
SHUTDOWN = Disconnect(3001, "shutdown")
SERVER_ERROR = Disconnect(3004, "internal server error")
CONNECTION_EXPIRED = Disconnect(3005, "connection expired")
SUBSCRIPTION_EXPIRED = Disconnect(3006, "subscription expired")
SLOW = Disconnect(3008, "slow")
WRITE_ERROR = Disconnect(3009, "write error")
INSUFFICIENT_STATE = Disconnect(3010, "insufficient state")
FORCE_RECONNECT = Disconnect(3011, "force reconnect")
NO_PONG = Disconnect(3012, "no pong")
TOO_MANY_REQUESTS = Disconnect(3013, "too many requests")
STATE_INVALIDATED = Disconnect(3014, "state invalidated")
INVALID_TOKEN = Disconnect(3500, "invalid token")
BAD_REQUEST = Disconnect(3501, "bad request")
STALE = Disconnect(3502, "stale")
FORCE_DISCONNECT = Disconnect(3503, "force disconnect")
CONNECTION_LIMIT = Disconnect(3504, "connection limit")
CHANNEL_LIMIT = Disconnect(3505, "channel limit")
INAPPROPRIATE_PROTOCOL = Disconnect(3506, "inappropriate protocol")
NO_PERMISSION = Disconnect(3507, "permission denied")
NO_SUCH_SERVICE = Disconnect(3508, "not available")
TOO_MANY_ERRORS = Disconnect(3509, "too many errors")

SERVER_UNSUBSCRIBED = Unsubscribed(2000, "server unsubscribe")
LOST = Unsubscribed(2500, "insufficient state")
SUBSCRIPTION_OVER = Unsubscribed(2501, "subscription expired")
