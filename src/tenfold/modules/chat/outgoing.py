"""Outgoing messages: those that are sent at one time are written by one statement, and durable by one commit.

A message goes with those of the same turn of the loop, at once. While two statements are under way, what comes gathers
for the next: so the busier the process, the less a message costs.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import structlog

from tenfold.kit.gatherer import Gatherer
from tenfold.kit.locks import KeyedLock
from tenfold.modules.chat.queries.send import send_together
from tenfold.modules.chat.rows import SentAmongOthers
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.platform.db import Database, Unfit, Write

T = TypeVar("T")
_UNDER_WAY = 2
_MOST = 64
log = structlog.get_logger("tenfold.chat")


class Letter(msgspec.Struct, frozen=True, gc=False):
    """A message without links, as it is written; the fields are the parameters of the statement."""

    conversation_id: UUID
    sender_id: UUID
    client_msg_id: str | None
    body: str
    attachments: str | None


class Outgoing:
    """One per process."""

    def __init__(self, db: Database, policy: ChatPolicy) -> None:
        self._db = db
        self._request_messages = policy.request_messages
        self._turns = KeyedLock[UUID]()
        self._deeds: set[asyncio.Task[Any]] = set()
        self._letters: Gatherer[Letter, SentAmongOthers | None] = Gatherer(
            self._write_together, most=_MOST, at_once=_UNDER_WAY
        )

    def close(self) -> None:
        """Give up what is under way: who still waits is told that it is `Unavailable`."""
        self._letters.close()

    async def see_through(self, deed: Coroutine[Any, Any, T]) -> T:
        """Do a deed to its end, whoever stops waiting for it: the turn is its own, and what it wrote must be told."""
        task = asyncio.create_task(deed)
        self._deeds.add(task)
        task.add_done_callback(self._deeds.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_forget)
            raise

    def turn(self, conversation_id: UUID) -> AbstractAsyncContextManager[None]:
        """A block in which nobody else in this process sends into a conversation.

        So messages are written in the order in which they were sent, whatever way each must go, and sending into a
        conversation that somebody holds takes one connection. Raises `Unavailable` for whom it does not become free in
        the time in which a connection must.
        """
        return self._turns.hold(conversation_id, self._db.sizes.wait)

    async def write(self, letter: Letter) -> SentAmongOthers | None:
        """Write a message in the turn of its conversation; answers when all that went with it is durable.

        None when it was not written, for whatever reason: its sender may not, it was written before, or somebody else
        is just writing in the conversation. Alone, in a transaction of its own, it finds out why.
        """
        return await self._letters.ask(letter)

    async def _write_together(self, letters: list[Letter]) -> list[SentAmongOthers | None]:
        """What became of each; nothing was written when one of them spoilt it for all, so that each goes alone."""

        async def deed(tx: Write) -> list[SentAmongOthers]:
            return await send_together.each(tx, letters, now=tx.now, request_messages=self._request_messages)

        try:
            written = {sent.conversation_id: sent for sent in await self._db.transact(deed, single=True)}
        except Unfit as error:
            log.info("messages go alone", messages=len(letters), error=type(error).__name__)
            return [None] * len(letters)
        return [written.get(letter.conversation_id) for letter in letters]


def _forget(task: "asyncio.Task[Any]") -> None:
    """Nobody is there any more whom its error would concern."""
    if not task.cancelled():
        task.exception()
