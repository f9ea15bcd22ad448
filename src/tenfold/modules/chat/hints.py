"""Hints to the members of groups: at most one per conversation and second, however much is said there."""

import asyncio
from uuid import UUID

import structlog

from tenfold.modules.chat.queries import members
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.modules.chat.telling import Hint
from tenfold.platform.db import Database
from tenfold.platform.realtime import Realtime, user_channel

log = structlog.get_logger("tenfold.chat")


class Hints:
    """Gathers what changed and tells the members who listen: the first time at once, then a second later if need be.

    What is not told yet when the process ends is lost: a hint carries nothing that a client does not find by itself.
    """

    def __init__(self, db: Database, live: Realtime, policy: ChatPolicy) -> None:
        self._db = db
        self._live = live
        self._cap = policy.group_cap
        self._pause = policy.hint_every.total_seconds()
        self._latest: dict[UUID, int] = {}
        self._resting: dict[UUID, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def changed(self, conversation_id: UUID, last_seq: int) -> None:
        """A group has moved on to this message."""
        if self._is_closed:
            return
        self._latest[conversation_id] = max(last_seq, self._latest.get(conversation_id, 0))
        if conversation_id not in self._resting:
            self._tell(conversation_id)

    def close(self) -> None:
        """Tell nothing more."""
        self._is_closed = True
        for timer in self._resting.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _tell(self, conversation_id: UUID) -> None:
        """Tell now what there is to tell, and rest; with nothing to tell the conversation is forgotten."""
        last_seq = self._latest.pop(conversation_id, None)
        if last_seq is None:
            self._resting.pop(conversation_id, None)
            return
        task = asyncio.create_task(self._publish(Hint(conversation_id, last_seq)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._resting[conversation_id] = task.get_loop().call_later(self._pause, self._tell, conversation_id)

    async def _publish(self, hint: Hint) -> None:
        try:
            async with self._db.read() as tx:
                ids = await members.list_member_ids(tx, conversation_id=hint.conversation_id, limit=self._cap)
            channels = self._live.listening([user_channel(user_id) for user_id in ids])
            if channels:
                await self._live.publish(channels, hint)
        except Exception as error:  # a boundary: the messages are stored, and clients look by themselves
            log.info("a hint was not told", conversation=str(hint.conversation_id), exc_info=error)
