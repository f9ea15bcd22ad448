"""Realtime: publish to channels, with history by offset and epoch, to whoever is connected.

A publication is remembered for a while on channels that somebody listened to lately, so a client that lost its
connection recovers what it missed, completely, or is told that it did not (`recovered: false`) and reloads.
"""

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from tenfold.platform.parts import Parts


class Realtime(ABC):
    """Publishes to channels and closes connections. `data` is any msgspec value; it is encoded once, as JSON."""

    @abstractmethod
    async def publish(self, channels: Iterable[str], data: object) -> None:
        """Publish one message to each channel. A channel that nobody listened to lately costs nothing."""

    @abstractmethod
    def listening(self, channels: Iterable[str]) -> list[str]:
        """Those of the channels that it is worth to publish to: somebody listens, or did lately, or may elsewhere."""

    @abstractmethod
    async def disconnect(self, *, session_ids: Iterable[UUID] = (), user_ids: Iterable[UUID] = ()) -> None:
        """Close the connections of these sessions and users for good, telling them not to come back with that token."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A declared kind of channel: `pattern` such as `conversation:{conversation_id}` and who may listen to it.

    The function takes `actor: Actor`, the pattern's values by name (UUID), and any parts by type; it answers True or
    False.
    """

    pattern: str
    may_listen: Callable[..., Awaitable[bool]]

    def match(self, channel: str) -> dict[str, Any] | None:
        """The values of the pattern in a channel's name, or None when it is another kind of channel.

        An id must be written as we write ids (lower case, hyphens in place), so that a channel has only one name.
        """
        found = _regex(self.pattern).fullmatch(channel)
        return {name: UUID(value) for name, value in found.groupdict().items()} if found else None

    def bound(self, parts: Parts) -> "Channel":
        """The same kind of channel with the parts that its function asks for."""
        return replace(self, may_listen=parts.bind(self.may_listen))


def channel(pattern: str) -> Callable[[Callable[..., Awaitable[bool]]], Channel]:
    """Declare who may listen to a kind of channel: `@channel("conversation:{conversation_id}")`."""
    return lambda function: Channel(pattern, function)


def user_channel(user_id: UUID) -> str:
    """The channel that every connection of a user listens to from its start."""
    return f"user:{user_id}"


@functools.cache
def _regex(pattern: str) -> re.Pattern[str]:
    id_ = r"(?P<\1>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    return re.compile(re.sub(r"\\{(\w+)\\}", id_, re.escape(pattern)))
