"""The lobby: what all realtime sessions of a process share: who signs them in, what they may listen to, the rules."""

import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import Raw

from tenfold.kit.actors import Actor
from tenfold.kit.clock import Clock
from tenfold.kit.refusals import NotSignedIn
from tenfold.platform.realtime import Channel, codes
from tenfold.platform.realtime.admission import Pace
from tenfold.platform.realtime.codes import ErrorReply
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.kinds import Kinds

# Times in an interval at which a process pings: whoever is due at one of them is pinged with all the others, and their
# pongs come together too. Where a process has little else to do, each is a start with cold caches.
_PING_TIMES = 48


class Authenticated(msgspec.Struct, frozen=True, gc=False):
    """Whose token it is, and until when (None: for good)."""

    actor: Actor
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """What a subscription token allows: one user to listen to one channel, until a moment (None: for good).

    It is as old as `issued_at`: whether the user has lost the right since is not in it.
    """

    user_id: UUID
    channel: str
    issued_at: datetime
    expires_at: datetime | None = None


class Caller(Protocol):
    """Who calls a method over an open connection."""

    @property
    def id(self) -> str:
        """The connection."""
        ...

    @property
    def actor(self) -> Actor | None:
        """Who is connected, by the newest token; never None when a method is called."""
        ...

    @property
    def address(self) -> str:
        """Where they are, past trusted proxies: what limits count by."""
        ...


Authenticate = Callable[[str], Awaitable[Authenticated]]
"""Says whose access token it is; raises `TokenIsExpired` for one that was good, `NotSignedIn` for any other."""

Call = Callable[[Caller, str, Raw], Awaitable[Raw | ErrorReply]]
"""Does what a client calls (`rpc`): method, data → the answer. A `Refusal` becomes an error of code 1000 + status."""

ReadPermit = Callable[[str], Awaitable[Permit]]
"""Reads a subscription token; raises as `Authenticate` does."""


async def _calls_nothing(caller: Caller, method: str, data: Raw) -> ErrorReply:
    return codes.METHOD_NOT_FOUND


async def _permits_nothing(token: str) -> Permit:
    raise NotSignedIn


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """The limits of one connection and of one user in this process (0: none), and times in seconds.

    An official client that comes back sends a subscribe command per channel at once: `command_burst` has room for them.
    """

    frame_size: int = 64 * 1024
    channels: int = 128
    commands_per_second: float = 20
    command_burst: int = 256
    sockets_per_user: int = 0
    user_commands_per_second: float = 0
    user_command_burst: int = 1
    ping_interval: float = 25
    pong_timeout: float = 8
    stale_after: float = 10
    expired_grace: float = 25


class Lobby:
    """Built once per process; every session of the process refers to it."""

    def __init__(
        self,
        hub: Hub,
        authenticate: Authenticate,
        *,
        channels: Iterable[Channel] = (),
        call: Call = _calls_nothing,
        subscription_of: ReadPermit = _permits_nothing,
        rules: SessionRules | None = None,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        version: str = "tenfold",
    ) -> None:
        """`channels` are bound to their parts already; the hub learns them from here."""
        self.hub = hub
        self.authenticate = authenticate
        self.call = call
        self.subscription_of = subscription_of
        self.rules = rules or SessionRules()
        # What a command adds to the debt of its connection, in seconds, and how much of that is a burst.
        self.debt_each = 1 / self.rules.commands_per_second
        self.burst = self.rules.command_burst * self.debt_each
        self._ping_step = self.rules.ping_interval / _PING_TIMES
        self._ping_phase = random.random() * self._ping_step  # noqa: S311 - no secret
        self.monotonic = monotonic
        self.version = version
        self.kinds = Kinds(channels)
        self.pace = Pace(self.rules.user_commands_per_second, self.rules.user_command_burst)
        self._clock = clock or Clock()
        hub.kinds = self.kinds

    def sweep(self) -> None:
        """Forget what is too old. Called about once a second."""
        self.hub.broker.sweep()
        self.pace.sweep(self.monotonic())

    def ping_time(self, latest: float) -> float:
        """When to ping somebody who is to be pinged by `latest`: a little earlier, with many others."""
        return latest - (latest - self._ping_phase) % self._ping_step

    def seconds_left(self, expires_at: datetime | None) -> float:
        """How long a token is still good; infinite for one without an end."""
        return float("inf") if expires_at is None else (expires_at - self._clock.now()).total_seconds()

    async def refuses_to_listen(self, actor: Actor, channel: str) -> ErrorReply | None:
        """Why somebody may not listen to a channel, or None when they may."""
        return await self.kinds.refuses_to_listen(actor, channel)
