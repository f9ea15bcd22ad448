"""The roll of a hub: writes into presence who listens here, and tells who came online and who went.

What happens in a moment is written together. Presence stands in nobody's way: while its server is gone the connections
go on, and when it is back everybody here is entered again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import structlog
from msgspec import Raw

from tenfold.platform.bus.listeners import stop
from tenfold.platform.realtime import USER_CHANNELS, presence_channel, user_channel
from tenfold.platform.realtime.errand import AWAY
from tenfold.platform.realtime.presence import RENEW_EVERY, Attendance, Presence, Present
from tenfold.platform.realtime.protocol import ClientInfo, Membership, Push
from tenfold.platform.realtime.topics import Listener, Topic

if TYPE_CHECKING:
    from tenfold.platform.realtime.hub import Hub

log = structlog.get_logger(__name__)

Noted = dict[tuple[str, str], Present]
"""By channel and client."""
SOON = 0.1
TELL_EVERY = 1.0
AT_ONCE = 1000
LAST_WORD = 1.0
"""Seconds that the end of a process waits for presence to tell who has just gone."""


class PresenceNews(msgspec.Struct, frozen=True):
    """Somebody came online, or is gone from everywhere; told on `presence:{user_id}`, which names them."""

    online: bool
    type: str = "presence.changed"


class Roll:
    """One per hub; `open` holds the lease of its node until `close`."""

    def __init__(self, hub: "Hub", presence: Presence) -> None:
        self._hub = hub
        self._presence = presence
        self._came: Noted = {}
        self._left: Noted = {}
        self._joins: dict[str, list[Push]] = {}
        self._changed: dict[str, bool] = {}  # by the text of a user's id, as it stands in channels
        self._writing, self._saying = asyncio.Lock(), asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._keeping: list[asyncio.Task[None]] = []
        self._has_lease = False
        self._writings_due = 0

    async def open(self) -> None:
        """Hold the lease, and begin to tell who is online."""
        with contextlib.suppress(*AWAY):
            await self._renew()
        # Each by itself: what there is to tell of a crowd takes longer than a lease lasts.
        loop = asyncio.get_running_loop()
        self._keeping = [
            loop.create_task(self._keep(self._renew, RENEW_EVERY.total_seconds())),
            loop.create_task(self._keep(self._write_all, RENEW_EVERY.total_seconds())),
            loop.create_task(self._keep(self._sweep, RENEW_EVERY.total_seconds())),
            loop.create_task(self._keep(self._tell, TELL_EVERY)),
        ]

    async def close(self) -> None:
        """Take everybody here out at once, if it was ever opened."""
        if not self._keeping:
            return
        if self._timer is not None:
            self._timer.cancel()
        for task in self._keeping:
            await stop(task)
        await stop(self._flushing)
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(LAST_WORD):
                await self._tell()
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
            with contextlib.suppress(*AWAY):  # perhaps of others than those who are asked for
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
        """Write what has been noted, and return when that is written. Raises `Unavailable` while presence is away."""
        try:
            if not self._has_lease:
                await self._renew()
                await self._write_all()
            await self._write_noted()
        except AWAY:
            self._has_lease = False
            raise
        finally:
            await self._say_who_joined()

    async def _write_noted(self) -> None:
        # One after the other: who goes is taken out after whatever was writing them has ended.
        async with self._writing:
            came, left = self._came, self._left
            self._came, self._left = {}, {}
            try:
                if left:
                    await self._presence.leave([(channel, entry) for (channel, _), entry in left.items()])
                if came:
                    await self._presence.enter([(channel, entry) for (channel, _), entry in came.items()])
            except BaseException as error:
                # While presence is away, who came is written with all the others when it is back.
                again = {} if isinstance(error, AWAY) else came
                came, left = {**again, **self._came}, {**left, **self._left}
                # What was noted meanwhile is newer.
                self._came, self._left = _without(came, self._left), _without(left, self._came)
                raise

    async def _say_who_joined(self) -> None:
        async with self._saying:
            joins, self._joins = self._joins, {}
            for channel, pushes in joins.items():
                await self._hub.say([channel], Raw(msgspec.json.encode(pushes)))

    def _note(self, topic: Topic, listener: Listener, *, is_here: bool) -> None:
        actor, channel = listener.actor, topic.name
        is_own = channel.startswith(USER_CHANNELS)
        kind = None if is_own else self._hub.kinds.find(channel)
        if actor is None or not (is_own or (kind is not None and (kind.kind.presence or kind.kind.join_leave))):
            return
        if is_own or (kind is not None and kind.kind.presence):
            key = (channel, listener.id)
            (self._left if is_here else self._came).pop(key, None)
            (self._came if is_here else self._left)[key] = self._entry(listener, actor.id, actor.session_id)
        if is_own and len(topic) == (1 if is_here else 0):
            self._changed[channel.removeprefix(USER_CHANNELS)] = is_here
        if kind is not None and kind.kind.join_leave:
            membership = Membership(info=ClientInfo(user=str(actor.id), client=listener.id))
            self._joins.setdefault(channel, []).append(Push(join=membership) if is_here else Push(leave=membership))
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

    async def _renew(self) -> None:
        """Hold the lease. When our entries may be gone, all are due: twice, as whoever swept us may still be at it."""
        if not (await self._presence.renew(self._hub.node) and self._has_lease):
            self._writings_due = 2
        self._has_lease = True

    async def _write_all(self) -> None:
        """Write the entries of everybody here, if that is due."""
        if not self._writings_due:
            return
        topics = [topic for topic in list(self._hub.topics.values()) if self._hub.kinds.has_presence(topic.name)]
        for start in range(0, len(topics), AT_ONCE):
            async with self._writing:
                # Looked up just before they are written: whoever leaves meanwhile is not written back.
                some = [(topic, listener) for topic in topics[start : start + AT_ONCE] for listener in topic]
                entries = [
                    (topic.name, self._entry(listener, listener.actor.id, listener.actor.session_id))
                    for topic, listener in some
                    if listener.actor is not None
                ]
                await self._presence.enter(entries)
        # Two may have written at once, from `flush` and by the clock: below nothing it would be due for ever.
        self._writings_due = max(0, self._writings_due - 1)

    async def _sweep(self) -> None:
        for channel in await self._presence.sweep():
            if channel.startswith(USER_CHANNELS):
                self._changed.setdefault(channel.removeprefix(USER_CHANNELS), False)

    async def _tell(self) -> None:
        """Say who came, and who went and is nowhere else: of a user with two devices, one may have gone."""
        changed, self._changed = self._changed, {}
        if not changed:
            return
        try:
            await self._tell_of(changed)
        except BaseException:
            self._changed = {**changed, **self._changed}
            raise

    async def _tell_of(self, changed: dict[str, bool]) -> None:
        await self.flush()
        came = [user_id for user_id, is_here in changed.items() if is_here]
        went = [user_id for user_id, is_here in changed.items() if not is_here]
        counts = await self._presence.attendance([user_channel(user_id) for user_id in went]) if went else []
        gone = [user_id for user_id, count in zip(went, counts, strict=True) if not count.clients]
        for is_online, user_ids in ((True, came), (False, gone)):
            for start in range(0, len(user_ids), AT_ONCE):
                channels = [presence_channel(user_id) for user_id in user_ids[start : start + AT_ONCE]]
                await self._hub.publish_ephemeral(channels, PresenceNews(is_online))

    async def _keep(self, work: Callable[[], Awaitable[None]], every: float) -> None:
        """Do something again and again. Whatever goes wrong, the next time may go better."""
        while True:
            await asyncio.sleep(every)
            try:
                await work()
            except AWAY as error:
                self._has_lease = False
                log.info("realtime.presence_is_away", error=str(error))
            except Exception:
                log.exception("realtime.presence_failed")


def _without(some: Noted, others: Noted) -> Noted:
    return {key: entry for key, entry in some.items() if key not in others}
