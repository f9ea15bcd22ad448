"""Outgoing messages: those that are sent at one time are written by one statement, and durable by one commit.

A message alone does not wait for others. While statements are under way, what comes meanwhile gathers for the next: so
the busier the process, the less a message costs.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from uuid import UUID

import msgspec

from tenfold.kit.gatherer import Gatherer
from tenfold.kit.locks import KeyedLock
from tenfold.modules.chat.queries.send import send_together
from tenfold.modules.chat.rows import SentAmongOthers
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.platform.db import Database, Unfit, Write

_UNDER_WAY = 2
_MOST = 64


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
        self._letters: Gatherer[Letter, SentAmongOthers | None] = Gatherer(
            self._write_together, most=_MOST, at_once=_UNDER_WAY
        )

    def turn(self, conversation_id: UUID) -> AbstractAsyncContextManager[None]:
        """A block in which nobody else in this process sends into a conversation.

        So messages are written in the order in which they were sent, whatever way each must go, and a conversation that
        somebody holds takes one connection at most. Raises `Unavailable` for whom it does not become free in the time
        in which a connection must.
        """
        return self._turns.hold(conversation_id, self._db.sizes.wait.total_seconds())

    def write(self, letter: Letter) -> "asyncio.Future[SentAmongOthers | None]":
        """Write a message in one's turn; answers when it is durable, and leaves telling of it to the caller.

        None when it was not written, for whatever reason: its sender may not, it was written before, or somebody else
        is just writing in the conversation. Alone, in a transaction of its own, it finds out why. Who stops waiting
        for the answer does not stop the message.
        """
        return self._letters.ask(letter)

    async def _write_together(self, letters: list[Letter]) -> list[SentAmongOthers | None]:
        """What became of each; nothing was written when one of them spoilt it for all, so that each goes alone."""

        async def deed(tx: Write) -> list[SentAmongOthers]:
            return await send_together.each(tx, letters, now=tx.now, request_messages=self._request_messages)

        try:
            written = {sent.conversation_id: sent for sent in await self._db.transact(deed, single=True)}
        except Unfit:
            return [None] * len(letters)
        return [written.pop(letter.conversation_id, None) for letter in letters]
