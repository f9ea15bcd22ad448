"""Where a Redis is, and how to sign in there: read from `redis://`, `rediss://` and `unix://` addresses."""

import ssl
from dataclasses import dataclass, field, replace
from typing import Any

_KNOWN = frozenset({"host", "port", "path", "username", "password", "db", "connection_class"})


@dataclass(frozen=True, slots=True)
class Address:
    """One server: a host and port, or the path of a socket. The password is never shown."""

    host: str = "127.0.0.1"
    port: int = 6379
    path: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    tls: bool = False

    @classmethod
    def read(cls, url: str) -> "Address":
        """Raises `ValueError` when the address cannot be read, without saying what it holds."""
        # Not above: it brings OpenTelemetry along, and whoever has no Redis needs neither.
        from redis.connection import SSLConnection, parse_url

        try:
            found: dict[str, Any] = dict(parse_url(url))
        except ValueError:
            raise ValueError("a Redis address looks like redis://user:password@host:6379/0") from None
        if unknown := sorted(found.keys() - _KNOWN):
            raise ValueError(f"a Redis address takes no {', '.join(unknown)}")
        kind = found.pop("connection_class", None)
        return cls(**found, tls=kind is SSLConnection)

    def beside(self, host: str, port: int) -> "Address":
        """Another node of the same cluster: the same way to sign in."""
        return replace(self, host=host or self.host, port=port, path=None)

    def tls_context(self) -> ssl.SSLContext | None:
        """How to check the server's certificate: by what the machine trusts."""
        return ssl.create_default_context() if self.tls else None

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"
