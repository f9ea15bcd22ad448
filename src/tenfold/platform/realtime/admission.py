"""Admission: which handshakes are answered with a connection, whatever transport brings them, and how many per address.

It counts in one process. What a user may ask, once the session knows who it is, is counted by `Pace`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from tenfold.platform.limits.address import Network, client_address, client_key
from tenfold.platform.realtime.protocol import SUBPROTOCOL

UNLIMITED = 0


class Denial(NamedTuple):
    """Why a handshake is refused: an HTTP status, a sentence, and after how many seconds to try again (0: never)."""

    status: int
    reason: str
    retry_after: int = 0


DRAINING = Denial(503, "This process is stopping; connect again.", 1)
FULL = Denial(503, "This process holds as many connections as it may; connect again.", 2)
FOREIGN_PAGE = Denial(403, "Pages of this origin may not connect.")
UNKNOWN_PROTOCOL = Denial(400, f"The subprotocol spoken here is {SUBPROTOCOL}.")
TOO_MANY_SOCKETS = Denial(429, "This address holds as many connections as it may.", 30)
TOO_MANY_HANDSHAKES = Denial(429, "This address connects too often.", 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRules:
    """Who may connect. A limit of 0 is none.

    `allowed_origins` are those of browsers' pages besides our own; `*` allows all, and so does a client that sends no
    origin, since no browser sends a token on its own. `trusted_proxies` are believed when they say whom they pass on.
    `handshakes_per_address` are counted in each span of `handshake_window` seconds.
    """

    allowed_origins: Collection[str] = ()
    trusted_proxies: Sequence[Network] = ()
    sockets_per_address: int = UNLIMITED
    handshakes_per_address: int = UNLIMITED
    handshake_window: float = 60


@dataclass(slots=True)
class Admission:
    """Decides on handshakes and counts what was let in. Each `enter` that is not refused needs its `leave`.

    The machine's own addresses (`127.0.0.0/8`, `::1`) are not limited: there a proxy stands for everybody.
    """

    rules: AdmissionRules = field(default_factory=AdmissionRules)
    _held: dict[str, int] = field(default_factory=dict)
    _recent: dict[str, int] = field(default_factory=dict)
    _window_ends: float = 0

    def address_of(self, peer: str, forwarded_for: str) -> str:
        """Where a connection comes from: its peer, or what a trusted proxy says of it."""
        return client_address(peer, forwarded_for, self.rules.trusted_proxies)

    def refuses(self, *, origin: str | None, host: str, subprotocols: Collection[str]) -> Denial | None:
        """Why a handshake with these headers is refused, or None."""
        if subprotocols and SUBPROTOCOL not in subprotocols:
            return UNKNOWN_PROTOCOL
        allowed = self.rules.allowed_origins
        if origin is None or origin in allowed or "*" in allowed:
            return None
        return None if _host_of(origin) == host.lower() else FOREIGN_PAGE

    def enter(self, address: str, now: float) -> Denial | None:
        """Count a connection of an address, unless it has too many, or had too many handshakes lately."""
        key = _key(address)
        if key is None:
            return None
        rules = self.rules
        if rules.handshakes_per_address:
            if now >= self._window_ends:
                self._recent.clear()
                self._window_ends = now + rules.handshake_window
            tried = self._recent[key] = self._recent.get(key, 0) + 1
            if tried > rules.handshakes_per_address:
                return TOO_MANY_HANDSHAKES
        if rules.sockets_per_address:
            held = self._held.get(key, 0)
            if held >= rules.sockets_per_address:
                return TOO_MANY_SOCKETS
            self._held[key] = held + 1
        return None

    def leave(self, address: str) -> None:
        """A connection that had entered is gone."""
        key = _key(address)
        if key is None or not self.rules.sockets_per_address:
            return
        held = self._held[key] - 1
        if held:
            self._held[key] = held
        else:
            del self._held[key]

    @property
    def held(self) -> Mapping[str, int]:
        """How many connections each limited address holds."""
        return self._held


class Pace:
    """How fast each user may command over all connections to this process (GCRA, in seconds of debt)."""

    __slots__ = ("_burst", "_debts", "_interval")

    def __init__(self, per_second: float = 0, burst: int = 1) -> None:
        """0 `per_second` is no limit."""
        self._interval = 1 / per_second if per_second else 0.0
        self._burst = burst * self._interval
        self._debts: dict[int, float] = {}  # by user; a number's hash costs nothing

    def allows(self, user_id: UUID, now: float) -> bool:
        """Count a command of a user, unless it is past the burst."""
        if not self._interval:
            return True
        user = user_id.int
        debt = max(self._debts.get(user, now), now) + self._interval
        if debt - now > self._burst:
            return False
        self._debts[user] = debt
        return True

    def sweep(self, now: float) -> None:
        """Forget whoever has no debt left. Call it now and then."""
        if self._debts:
            self._debts = {user: debt for user, debt in self._debts.items() if debt > now}


def _host_of(origin: str) -> str | None:
    """Host and port of an origin; None for what no browser would send."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _key(address: str) -> str | None:
    """Who an address is to the limits; None for this machine itself. IPv4 is its own key, so that it is kept once."""
    if ":" in address:
        address = client_key(address).removeprefix("ip:")
    return None if address.startswith("127.") or address == "::/64" else address
