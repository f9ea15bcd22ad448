"""Presence: who listens to a channel, from which device, since when, in every process of the installation.

An entry is written when a listener comes and removed when it goes; nothing renews it meanwhile. It names the process
(node) that it belongs to, and counts only while that node renews its lease: so the entries of a process that was killed
go with it. They are removed a good while later: a process that was merely late finds them still there. Were it to write
all of them anew, a crowd that makes processes late would make them later still.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

LEASE = timedelta(seconds=10)
RENEW_EVERY = timedelta(seconds=3)
KEPT_AFTER = 1
"""How many leases after the end of its own a node's entries stay before they may be swept."""


class Present(msgspec.Struct, frozen=True, gc=False):
    """One listener of a channel: `client` is its connection, `session_id` its device. Times are Unix seconds."""

    user_id: UUID
    client: str
    session_id: UUID
    node: str
    since: float


class Attendance(msgspec.Struct, frozen=True, gc=False):
    """How many listen to a channel: connections, and different users."""

    clients: int
    users: int


class Presence(ABC):
    """Keeps the entries of all nodes. When its server is gone, every call raises `Unavailable`; the hub goes on."""

    @abstractmethod
    async def enter(self, entries: Sequence[tuple[str, Present]]) -> None:
        """Write entries (channel, who). The same client in the same channel again replaces its entry."""

    @abstractmethod
    async def leave(self, entries: Sequence[tuple[str, Present]]) -> None:
        """Remove entries, if they are there, and say for their users that they were active until now."""

    @abstractmethod
    async def present(self, channels: Sequence[str], *, limit: int = 1000) -> list[list[Present]]:
        """Who listens to each of these channels, oldest first, at most `limit` each; only entries of living nodes."""

    @abstractmethod
    async def attendance(self, channels: Sequence[str]) -> list[Attendance]:
        """How many listen to each of these channels."""

    @abstractmethod
    async def last_active(self, user_ids: Sequence[UUID]) -> list[float | None]:
        """When each of these users last left (or, of a node that died, when its lease ended); kept for 30 days."""

    @abstractmethod
    async def renew(self, node: str) -> bool:
        """Hold a node's lease for `LEASE` from now. False: it is new, or was swept, so its entries may be gone."""

    @abstractmethod
    async def release(self, node: str) -> None:
        """Give up a node's lease and all its entries: the process stops."""

    @abstractmethod
    async def sweep(self) -> list[str]:
        """Remove entries of nodes that died a while ago, some at a time.

        Returns the channels that they were in, each to one caller only.
        """
