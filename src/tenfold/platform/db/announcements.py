"""Announcements: what a transaction wants known, gathered while it runs; facts and jobs leave with its commit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tenfold.platform.events import Fact
from tenfold.platform.jobs import Enqueued

if TYPE_CHECKING:
    from tenfold.platform.db.postgres import Write


class Tell(NamedTuple):
    """A live message: numbered by the channel's stream, by the database (`offset`), or not at all."""

    channel: str
    data: Any
    offset: int | None = None
    ephemeral: bool = False


class Tells(Protocol):
    """Whatever live messages can be told through: a transaction, or the news of a deed that is done."""

    def tell(self, channel: str, data: object, *, offset: int | None = None, ephemeral: bool = False) -> None:
        """Publish to a realtime channel right after the commit (see `platform.realtime`).

        `offset` is the number that this transaction gave it in a durable channel; what is `ephemeral` has none.
        """
        ...

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call something in this process right after the commit; never when the transaction fails."""
        ...


@dataclass(slots=True)
class News:
    """What is told when a deed is done: live messages, and what this process does then."""

    tells: list[Tell] = field(default_factory=list)
    callbacks: list[Callable[[], None]] = field(default_factory=list)

    def tell(self, channel: str, data: object, *, offset: int | None = None, ephemeral: bool = False) -> None:
        """Add a live message, as `Tells.tell` says."""
        if ephemeral and offset is not None:
            raise ValueError("what is ephemeral has no offset")
        self.tells.append(Tell(channel, data, offset, ephemeral))

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Add a call."""
        self.callbacks.append(callback)

    @property
    def has_numbers(self) -> bool:
        """Whether any live message has a number of the database's, which must never be given out a second time."""
        return any(tell.offset is not None for tell in self.tells)


@dataclass(slots=True)
class Announcements(News):
    """What a transaction wants known: facts, jobs and signals leave with its commit, the news right after it."""

    facts: list[Fact] = field(default_factory=list)
    jobs: list[Enqueued] = field(default_factory=list)
    signals: list[tuple[str, Any]] = field(default_factory=list)


class Outbox(Protocol):
    """Where announcements go: `write` inside the transaction, `deliver` after its commit."""

    async def write(self, tx: "Write", announcements: Announcements) -> None:
        """Make them part of the transaction."""
        ...

    async def deliver(self, news: News) -> None:
        """Tell whoever listens now. What fails here is logged: the transaction has been committed."""
        ...
