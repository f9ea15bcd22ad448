"""The bus: short signals to every process of the installation (a revoked session, a dropped cache tag), at most once.

A signal given to a transaction (`tx.signal(topic, payload)`) leaves with its commit. Signals only hasten what the
database already says, so a lost one delays an effect and never prevents it: whoever needs certainty also reads again
after a gap (`on_gap`). When its server is gone, only haste is lost, and the gap is told when it is back.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from tenfold.platform.db import Write

Listener = Callable[[Any], Awaitable[None] | None]


class Bus(ABC):
    """Carries signals between processes; a process also hears its own. Payloads are JSON values."""

    loses_in_silence: ClassVar[bool] = False
    """Whether a signal of a commit may be lost without a gap being told: then its listeners also look by themselves."""

    @abstractmethod
    def listen(self, topic: str, listener: Listener) -> None:
        """Call `listener(payload)` for each signal of a topic. Call before `open`."""

    @abstractmethod
    def on_gap(self, callback: Callable[[], Awaitable[None] | None]) -> None:
        """Call this when signals may have been missed (the connection was lost and is back)."""

    @abstractmethod
    async def send_in(self, tx: "Write", signals: list[tuple[str, Any]]) -> None:
        """Hand signals to an open transaction: they are delivered, in this order, when it commits, and only then."""

    @abstractmethod
    async def send(self, topic: str, payload: object) -> None:
        """Send a signal now, outside any transaction."""

    @abstractmethod
    async def open(self) -> None:
        """Start to listen."""

    @abstractmethod
    async def close(self) -> None:
        """Stop to listen."""
