"""The roll of a hub: writes into presence who listens here, and tells who came online and who went.

What happens in a moment is written together. Presence stands in nobody's way: while its server is gone the connections
go on, and when it is back everybody here is entered again.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import structlog
from msgspec import Raw

from tenfold.platform.bus.listeners import stop
from tenfold.platform.realtime import presence_channel, user_channel
from tenfold.platform.realtime.mending import AWAY
from tenfold.platform.realtime.presence import RENEW_EVERY, Attendance, Presence, Present
from tenfold.platform.realtime.protocol import ClientInfo, Membership, Push
from tenfold.platform.realtime.topics import Listener, Topic

if TYPE_CHECKING:
    from tenfold.platform.realtime.hub import Hub

log = structlog.get_logger(__name__)

SOON = 0.1
TELL_EVERY = 1.0
AT_ONCE = 1000


class PresenceNews(msgspec.Struct, frozen=True):
    """Somebody came online, or is gone from everywhere; told on `presence:{user_id}`, which names them."""

    online: bool
    type: str = "presence.changed"


class Roll:
    """One per hub; `open` holds the lease of its node until `close`."""

    def __init__(self, hub: "Hub", presence: Presence) -> None:
        self._hub = hub
        self._presence = presence
        self._came: dict[tuple[str, str], Present] = {}
        self._left: dict[tuple[str, str], Present] = {}
        self._joins: list[tuple[str, Push]] = []
        self._changed: dict[UUID, bool] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._has_lease = False

    async def open(self) -> None:
        """Hold the lease, and begin to tell who is online."""
        with contextlib.suppress(*AWAY):
            await self._renew()
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """Take everybody here out at once, if it was ever opened."""
        if self._keeping is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        await stop(self._keeping)
        await stop(self._flushing)
        with contextlib.suppress(*AWAY):
            await self._presence.release(self._hub.node)

    @property
    def has_news(self) -> bool:
        """Whether somebody came or went who has not been told of yet."""
        return bool(self._changed)

    def came(self, topic: Topic, listener: Listener) -> None:
        """Somebody listens to a channel now."""
        self._note(topic, listener, is_here=True)

    def left(self, topic: Topic, listener: Listener) -> None:
        """Somebody listens to a channel no more."""
        self._note(topic, listener, is_here=False)

    async def present(self, channels: Sequence[str]) -> list[list[Present]]:
        """Who listens to these channels, with everybody in this process; nobody while that cannot be known."""
        try:
            await self.flush()
            return await self._presence.present(channels)
        except AWAY:
            return [[] for _ in channels]

    async def attendance(self, channel: str) -> Attendance:
        """How many listen to a channel; nobody while that cannot be known."""
        try:
            await self.flush()
            (counts,) = await self._presence.attendance([channel])
        except AWAY:
            return Attendance(0, 0)
        return counts

    async def last_active(self, user_ids: Sequence[UUID]) -> list[float | None]:
        """When each of these users was last seen to leave."""
        try:
            return await self._presence.last_active(user_ids)
        except AWAY:
            return [None for _ in user_ids]

    async def flush(self) -> None:
        """Write what has been noted."""
        came, left, joins = self._came, self._left, self._joins
        self._came, self._left, self._joins = {}, {}, []
        try:
            if not self._has_lease:
                await self._renew()
            if left:
                await self._presence.leave([(channel, entry) for (channel, _), entry in left.items()])
            if came:
                await self._presence.enter([(channel, entry) for (channel, _), entry in came.items()])
        except AWAY:
            self._has_lease = False
            raise
        finally:
            for channel, push in joins:
                await self._hub.say([channel], Raw(msgspec.json.encode(push)))

    def _note(self, topic: Topic, listener: Listener, *, is_here: bool) -> None:
        actor, channel = listener.actor, topic.name
        is_own = channel.startswith("user:")
        kind = None if is_own else self._hub.kinds.find(channel)
        if actor is None or not (is_own or (kind is not None and (kind.kind.presence or kind.kind.join_leave))):
            return
        if is_own or (kind is not None and kind.kind.presence):
            key = (channel, listener.id)
            (self._left if is_here else self._came).pop(key, None)
            (self._came if is_here else self._left)[key] = self._entry(listener, actor.id, actor.session_id)
        if is_own and len(topic) == (1 if is_here else 0):
            self._changed[actor.id] = is_here
        if kind is not None and kind.kind.join_leave:
            membership = Membership(info=ClientInfo(user=str(actor.id), client=listener.id))
            self._joins.append((channel, Push(join=membership) if is_here else Push(leave=membership)))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SOON, self._flush_soon)

    def _entry(self, listener: Listener, user_id: UUID, session_id: UUID) -> Present:
        return Present(user_id, listener.id, session_id, self._hub.node, listener.since)

    def _flush_soon(self) -> None:
        self._timer = None
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush_quietly())
        else:
            self._timer = asyncio.get_running_loop().call_later(SOON, self._flush_soon)

    async def _flush_quietly(self) -> None:
        with contextlib.suppress(*AWAY):
            await self.flush()

    async def _keep(self) -> None:
        renew_in = 0.0
        while True:
            await asyncio.sleep(TELL_EVERY)
            renew_in -= TELL_EVERY
            try:
                if renew_in <= 0:
                    renew_in = RENEW_EVERY.total_seconds()
                    await self._renew()
                    await self._sweep()
                await self._tell()
            except AWAY as error:
                self._has_lease = False
                log.info("realtime.presence_is_away", error=str(error))
            except Exception:
                log.exception("realtime.presence_failed")

    async def _renew(self) -> None:
        """Hold the lease; when it had run out, our entries may be gone: write them all."""
        was_held = await self._presence.renew(self._hub.node) and self._has_lease
        self._has_lease = True
        if not was_held:
            await self._enter_all()

    async def _enter_all(self) -> None:
        entries: list[tuple[str, Present]] = []
        for topic in list(self._hub.topics.values()):
            if not self._hub.kinds.has_presence(topic.name):
                continue
            for listener in topic:
                if listener.actor is not None:
                    actor = listener.actor
                    entries.append((topic.name, self._entry(listener, actor.id, actor.session_id)))
        for start in range(0, len(entries), AT_ONCE):
            await self._presence.enter(entries[start : start + AT_ONCE])

    async def _sweep(self) -> None:
        for channel in await self._presence.sweep():
            if channel.startswith("user:"):
                self._changed.setdefault(UUID(channel.removeprefix("user:")), False)

    async def _tell(self) -> None:
        """Say who came, and who went and is nowhere else: of a user with two devices, one may have gone."""
        changed, self._changed = self._changed, {}
        if not changed:
            return
        await self.flush()
        came = [user_id for user_id, is_here in changed.items() if is_here]
        went = [user_id for user_id, is_here in changed.items() if not is_here]
        counts = await self._presence.attendance([user_channel(user_id) for user_id in went]) if went else []
        gone = [user_id for user_id, count in zip(went, counts, strict=True) if not count.clients]
        for is_online, user_ids in ((True, came), (False, gone)):
            for start in range(0, len(user_ids), AT_ONCE):
                channels = [presence_channel(user_id) for user_id in user_ids[start : start + AT_ONCE]]
                await self._hub.publish_ephemeral(channels, PresenceNews(is_online))
