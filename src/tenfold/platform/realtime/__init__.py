"""Realtime: publish to channels, with history by offset and epoch, to whoever is connected.

A publication is remembered for a while on channels that somebody listened to lately, so a client that lost its connection
recovers what it missed, completely, or is told that it did not (`recovered: false`) and reloads.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tenfold.kit.actors import Actor


class Realtime(ABC):
    """Publishes to channels and closes connections. `data` is any msgspec value; it is encoded once, as JSON."""

    @abstractmethod
    async def publish(self, channels: Iterable[str], data: object) -> None:
        """Publish one message to each channel. A channel that nobody listened to lately costs nothing."""

    @abstractmethod
    def listening(self, channels: Iterable[str]) -> list[str]:
        """Those of the channels that this process keeps a history for: somebody listens, or did lately."""

    @abstractmethod
    async def disconnect(self, *, session_ids: Iterable[UUID] = (), user_ids: Iterable[UUID] = ()) -> None:
        """Close the connections of these sessions and users for good, telling them not to come back with that token."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A declared kind of channel: `pattern` such as `conversation:{conversation_id}` and who may listen to it.

    The function takes `actor: Actor`, the pattern's values by name (UUID), and any parts by type; it answers True or False.
    """

    pattern: str
    may_listen: Callable[..., Awaitable[bool]]

    def match(self, channel: str) -> dict[str, Any] | None:
        """The values of the pattern in a channel's name, or None when it is another kind of channel."""
        regex = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[0-9a-f-]{36})", re.escape(self.pattern))
        found = re.fullmatch(regex, channel)
        if found is None:
            return None
        try:
            return {name: UUID(value) for name, value in found.groupdict().items()}
        except ValueError:
            return None


def channel(pattern: str) -> Callable[[Callable[..., Awaitable[bool]]], Channel]:
    """Declare who may listen to a kind of channel: `@channel("conversation:{conversation_id}")`."""
    return lambda function: Channel(pattern, function)
