"""The broker: numbers publications, keeps the newest of each channel, and carries them between processes.

A hub (one per process) stands on it. A broker knows channels and processes; listeners, sessions and the client protocol
it does not know: what it carries is JSON that it never reads.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple, Protocol

from msgspec import Raw

from tenfold.kit.refusals import Unavailable
from tenfold.platform.realtime.protocol import Publication, StreamPosition


class History(NamedTuple):
    """Where a stream stands, and the publications asked for; None when they are not known completely."""

    position: StreamPosition
    publications: Sequence[Publication] | None


class Unreached(Unavailable):
    """The server of these channels does not answer, perhaps while others do."""

    def __init__(self, channels: Sequence[str]) -> None:
        super().__init__(f"{len(channels)} channels are out of reach.")
        self.channels = channels


def unreached(error: Exception, channels: Sequence[str]) -> Sequence[str]:
    """The channels that a failed call did not reach: all, unless the error knows better."""
    return error.channels if isinstance(error, Unreached) else channels


class Receiver(Protocol):
    """A process's end of the broker: its hub. No call waits, and none raises."""

    def received(self, channel: str, offset: int, epoch: str, data: Raw) -> None:
        """Take one publication of a channel (perhaps one that nobody here listens to any more).

        `offset` and `epoch` are the stream's; what `route` carried has the offset that it was given and the epoch "".
        What comes in another order than it was published, twice or not at all, the hub puts right: so call it
        as soon as something arrives.
        """
        ...

    def signalled(self, data: Raw) -> None:
        """Take what another process said to all."""
        ...

    def gap(self) -> None:
        """Publications and signals may have been lost, and the broker is there again: the hub checks every channel.

        Call it after `channels()` have been subscribed to anew.
        """
        ...

    def channels(self) -> Iterable[str]:
        """Every channel that the process wants to receive, now. After a lost connection: subscribe to all of them."""
        ...

    def listens(self, channel: str) -> bool:
        """Whether the process wants to receive a channel, now."""
        ...


class Broker(ABC):
    """Publications of a channel have offsets 1, 2, 3 … within an epoch; a position (offset, epoch) says what is known.

    When its server is gone, every coroutine raises `Unavailable`, at once while that is known; the hub then does what
    it can alone. With several servers, whatever is asked for several channels is done where a server can be reached,
    and raises `Unreached` with the channels of the others. A broker never delivers locally on its own account, and
    never retries a publication.
    """

    loses_nothing: ClassVar[bool] = False
    """Whether `received` is called for every publication, in order, until `gap` says otherwise."""

    @abstractmethod
    def attach(self, receiver: Receiver) -> None:
        """Have a hub receive. Call it before `open`; most engines take exactly one."""

    @abstractmethod
    async def open(self) -> None:
        """Connect. A server that is not there is no error: the broker goes on trying, and says `gap` when it is."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect; nothing is received any more."""

    @abstractmethod
    async def publish(self, channels: Sequence[str], data: Raw) -> None:
        """Number a publication in each channel, keep it, and have every process that subscribed receive it.

        This process as well, if it subscribed. Calls that are not awaited one after the other may be numbered in any
        order.
        """

    @abstractmethod
    async def route(self, channels: Sequence[str], data: Raw, *, offset: int = 0) -> None:
        """Have every process that subscribed receive this, with an offset that its source gave it or 0 for none.

        Nothing is numbered and nothing kept. This process receives it as well.
        """

    @abstractmethod
    async def subscribe(self, channels: Sequence[str]) -> None:
        """Receive what is published to these channels from now on; when it returns, the subscriptions stand."""

    @abstractmethod
    def unsubscribe(self, channels: Sequence[str]) -> None:
        """Receive these channels no more, now or soon. A `subscribe` that comes later wins, whatever is under way."""

    @abstractmethod
    async def positions(self, channels: Sequence[str]) -> list[StreamPosition]:
        """Where these streams stand, in the order asked for. Asking begins a stream that there is not yet."""

    async def enter(self, channel: str) -> StreamPosition:
        """Receive a channel from now on, and learn where its stream stands at that moment or later.

        It is called by very many sessions at once: an engine with a round trip asks for both, and for the channels of
        all who come in one instant, in a single one.
        """
        await self.subscribe([channel])
        (position,) = await self.positions([channel])
        return position

    @abstractmethod
    async def history(
        self, channel: str, since: StreamPosition | None = None, *, limit: int = -1, reverse: bool = False
    ) -> History:
        """What is kept of a stream: at most `limit` (below 0: all), oldest first, or newest first with `reverse`.

        `since` leaves only what came after a position (with `reverse`: before it). The publications are None when
        `since` is of another epoch, lies ahead of the stream, or (without `reverse`) is older than what is kept.
        """

    @abstractmethod
    async def begin_anew(self, channels: Sequence[str] | None) -> None:
        """Give these streams (None: all) a new epoch: publications were lost, so no position from before may fit."""

    @abstractmethod
    async def signal(self, data: Raw) -> None:
        """Say something to every other process, at most once."""

    def listening(self, channels: Iterable[str]) -> list[str]:
        """Those of the channels that somebody may listen to, in any process; all of them, if that is not known."""
        return list(channels)

    def sweep(self) -> None:  # noqa: B027 - most engines' servers forget by themselves
        """Forget what is too old. Called about once a second."""
