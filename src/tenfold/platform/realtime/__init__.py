"""Realtime: publish to channels, with history by offset and epoch, to whoever is connected.

A publication is remembered for a while on channels that somebody listened to lately, so a client that lost its
connection recovers what it missed, completely, or is told that it did not (`recovered: false`) and reloads.

The way of a message: `broker` (engines `memory`, `relay`, `redis`) → `hub`, which has the `topics` that are heard →
`session`, which speaks the `protocol` → a wire: `websocket`, `sse`, or the `gateway`. The way of a client: `admission`
→ `lobby` → `session` → `commands`, whose `kinds` say who may listen to what. What was missed is found by `checking` and
read by `mending`; what could not be told is in `debts`; who lost a right, in `rights`; who is there, in `roll` and
`presence`.
"""

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Raw

from tenfold.platform.parts import Parts
from tenfold.platform.realtime.presence import Present


class Realtime(ABC):
    """Publishes to channels and closes connections. `data` is any msgspec value; it is encoded once, as JSON."""

    @abstractmethod
    async def publish(self, channels: Iterable[str], data: object) -> None:
        """Publish one message to each channel. A channel that nobody listened to lately costs nothing."""

    @abstractmethod
    async def publish_durable(self, channel: str, data: object, *, offset: int) -> None:
        """Publish what the database has given a number, to a channel declared with `replay`.

        The numbers of a channel have no gap; listeners get them in order, whatever the order of these calls.
        """

    @abstractmethod
    async def publish_ephemeral(self, channels: Iterable[str], data: object) -> None:
        """Tell those who listen right now: no offset, nothing kept, lost on the way if so it happens."""

    @abstractmethod
    def listening(self, channels: Iterable[str]) -> list[str]:
        """Those of the channels that it is worth to publish to: somebody listens, or did lately, or may elsewhere."""

    @abstractmethod
    async def disconnect(
        self, *, session_ids: Iterable[UUID] = (), user_ids: Iterable[UUID] = (), everywhere: bool = True
    ) -> None:
        """Close the connections of these sessions and users for good, telling them not to come back with that token.

        Not `everywhere` is for who knows that every process does the same by itself.
        """

    @abstractmethod
    def expire(self, user_ids: Iterable[UUID]) -> None:
        """Close the connections that these users have to this process: they come back, with a new token."""

    @abstractmethod
    async def unsubscribe(self, user_id: UUID, channel: str) -> None:
        """End a user's subscriptions to a channel, in every process, those included that are just being opened."""

    @abstractmethod
    async def review(self, user_ids: Iterable[UUID], channels: Iterable[str]) -> None:
        """Ask again whether these users may listen to these channels, in every process: who may not is unsubscribed.

        For rights that somebody may have by other ways as well; a subscription token from before counts no more.
        """

    @abstractmethod
    async def present(self, channels: Sequence[str]) -> list[list[Present]]:
        """Who listens to each of these channels now (`user:{id}`, or one declared with `presence`), oldest first.

        Empty while nobody knows, since presence may be lost and never stands in the way.
        """

    @abstractmethod
    async def last_active(self, user_ids: Sequence[UUID]) -> list[float | None]:
        """When each of these users was last seen to leave, in Unix seconds; None when it is not known."""


class Replayed(NamedTuple):
    """What a durable channel's source knows after a position: publications (offset, data), in the order of offsets.

    `offset` is where the channel stood at that moment. Several changes of one thing may be told as its newest state,
    so offsets may skip; but what is told must be all that there is up to the last offset told, and up to `offset` when
    fewer were told than the limit allowed.
    """

    publications: Sequence[tuple[int, object]]
    offset: int


@dataclass(frozen=True, slots=True)
class Channel:
    """A declared kind of channel: `pattern` such as `conversation:{conversation_id}`, who may listen, what else it can.

    Every function takes the pattern's values by name (UUID) and any parts by type; those that say so take
    `actor: Actor`. A refusal (`NotFound`, `Forbidden`) that one of them raises is an answer.

    - `may_listen(actor, …) -> bool`
    - `welcome(actor, …) -> object`: the `data` of the reply to who subscribes; no ephemeral message is lost after it
    - `may_publish(actor, data: Raw, …) -> object`: what is published, ephemerally, when a client publishes: the data as
      it is or something better; None refuses it
    - `replay(actor: Actor | None, since: int, limit: int, …) -> Replayed | None`: makes the channel durable: its
      publications are numbered by the database (`tx.tell(channel, data, offset=…)`), and all after any offset can be
      had from there; None when that is too long ago. Without an actor: what every listener may see
    - `positions(ids: Sequence[UUID]) -> Mapping[UUID, int]`: where durable channels stand, in one statement; the
      pattern has exactly one value then, and a channel that is gone is left out
    - `is_addition(data: Raw) -> bool`: whether a publication of a durable channel replaces nothing that was published
      before. Hubs remember the latest ones while all are such, and give them to who missed them; without it they
      remember none, and every gap is read by `replay`
    - `presence`: who listens may ask who else does
    - `join_leave`: listeners are told of it, ten times a second at most, each of everybody: a crowd of n that comes
      costs n² notes, so it is for channels whose listeners are few
    """

    pattern: str
    may_listen: Callable[..., Awaitable[bool]]
    welcome: Callable[..., Awaitable[object]] | None = None
    may_publish: Callable[..., Awaitable[object]] | None = None
    replay: Callable[..., Awaitable[Replayed | None]] | None = None
    positions: Callable[..., Awaitable[Mapping[UUID, int]]] | None = None
    is_addition: Callable[[Raw], bool] | None = None
    presence: bool = False
    join_leave: bool = False

    def __post_init__(self) -> None:
        if (self.replay is None) is not (self.positions is None):
            raise ValueError(f"{self.pattern}: a durable channel has both `replay` and `positions`")
        if self.replay is not None and self.pattern.count("{") != 1:
            raise ValueError(f"{self.pattern}: a durable channel is named by one id")

    @property
    def is_durable(self) -> bool:
        """Whether the database numbers and keeps what is published here."""
        return self.replay is not None

    def match(self, channel: str) -> dict[str, Any] | None:
        """The values of the pattern in a channel's name, or None when it is another kind of channel.

        An id must be written as we write ids (lower case, hyphens in place), so that a channel has only one name.
        """
        found = _regex(self.pattern).fullmatch(channel)
        return {name: UUID(value) for name, value in found.groupdict().items()} if found else None

    def bound(self, parts: Parts) -> "Channel":
        """The same kind of channel with the parts that its functions ask for."""
        names = ("may_listen", "welcome", "may_publish", "replay", "positions")
        functions = {name: getattr(self, name) for name in names}
        return replace(self, **{name: parts.bind(function) for name, function in functions.items() if function})


def channel(
    pattern: str,
    *,
    welcome: Callable[..., Awaitable[object]] | None = None,
    may_publish: Callable[..., Awaitable[object]] | None = None,
    replay: Callable[..., Awaitable[Replayed | None]] | None = None,
    positions: Callable[..., Awaitable[Mapping[UUID, int]]] | None = None,
    is_addition: Callable[[Raw], bool] | None = None,
    presence: bool = False,
    join_leave: bool = False,
) -> Callable[[Callable[..., Awaitable[bool]]], Channel]:
    """Declare who may listen to a kind of channel: `@channel("conversation:{conversation_id}")`; see `Channel`."""
    return lambda function: Channel(
        pattern,
        function,
        welcome=welcome,
        may_publish=may_publish,
        replay=replay,
        positions=positions,
        is_addition=is_addition,
        presence=presence,
        join_leave=join_leave,
    )


EVERYONE = "everyone"
"""The channel that every connection listens to from its start: for what the whole installation must hear."""


USER_CHANNELS = "user:"
"""How the names of channels begin that belong to one user each."""


def user_channel(user_id: UUID | str) -> str:
    """The channel that every connection of a user listens to from its start."""
    return f"{USER_CHANNELS}{user_id}"


def presence_channel(user_id: UUID | str) -> str:
    """Where it is told, ephemerally, that a user came online or went; whoever declares it says who may listen."""
    return f"presence:{user_id}"


@functools.cache
def _regex(pattern: str) -> re.Pattern[str]:
    id_ = r"(?P<\1>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    return re.compile(re.sub(r"\\{(\w+)\\}", id_, re.escape(pattern)))
