"""Kinds: the declared channels of an installation, found by a channel's name, and who may listen to which."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import structlog

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import Forbidden, NotFound, NotSignedIn, Refusal
from tenfold.platform.realtime import EVERYONE, USER_CHANNELS, Channel, codes, user_channel
from tenfold.platform.realtime.codes import ErrorReply
from tenfold.platform.realtime.topics import Source

log = structlog.get_logger(__name__)
_MOST_KNOWN = 4096


class Found(NamedTuple):
    """A channel's kind, and the values in its name."""

    kind: Channel
    values: dict[str, Any]


class Kinds:
    """Every declared kind of channel, bound to its parts; `user:{…}` and `everyone` are built in, not declared."""

    def __init__(self, channels: Iterable[Channel] = ()) -> None:
        self._channels = tuple(channels)
        self._found: dict[str, Found] = {}
        for kind in self._channels:
            if kind.pattern.startswith(USER_CHANNELS) or kind.pattern == EVERYONE:
                raise ValueError(f"{kind.pattern}: this channel is subscribed by the server alone")

    def find(self, channel: str) -> Found | None:
        """What kind of channel this is; None when nobody declared it.

        What was found is remembered, for names that are asked for often. What was not is forgotten: such a name may be
        anything, and as long as a frame.
        """
        known = self._found.get(channel)
        if known is not None:
            return known
        for kind in self._channels:
            values = kind.match(channel)
            if values is not None:
                if len(self._found) >= _MOST_KNOWN:
                    self._found.clear()
                found = self._found[channel] = Found(kind, values)
                return found
        return None

    def source_of(self, channel: str) -> Source | None:
        """Where a channel's publications come from, if it is durable."""
        if channel.startswith(USER_CHANNELS):
            return None
        found = self.find(channel)
        if found is None or not found.kind.is_durable:
            return None
        name, value = next(iter(found.values.items()))
        return Source(found.kind, name, value)

    def has_presence(self, channel: str) -> bool:
        """Whether it is written down who listens to a channel."""
        if channel.startswith(USER_CHANNELS):
            return True
        found = self.find(channel)
        return found is not None and found.kind.presence

    async def refuses_to_listen(self, actor: Actor, channel: str) -> ErrorReply | None:
        """Why somebody may not listen to a channel, or None when they may.

        What one may not see and what does not exist are refused alike, so that nothing can be found out by asking.
        """
        if channel.startswith(USER_CHANNELS) or channel == EVERYONE:
            return None if channel in (EVERYONE, user_channel(actor.id)) else codes.PERMISSION_DENIED
        found = self.find(channel)
        if found is None:
            return codes.UNKNOWN_CHANNEL
        try:
            return None if await found.kind.may_listen(actor=actor, **found.values) else codes.PERMISSION_DENIED
        except (NotFound, Forbidden, NotSignedIn):
            return codes.PERMISSION_DENIED
        except Refusal:
            return codes.INTERNAL
        except Exception:
            log.exception("realtime.may_listen_failed", channel=channel)
            return codes.INTERNAL
