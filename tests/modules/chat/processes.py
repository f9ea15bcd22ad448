"""Processes of chat on one database: each a stage with connections of its own, which counts what it asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat.actions.history import read_after
from tenfold.modules.chat.hints import Hints
from tenfold.modules.chat.shapes import Message, MessageDraft
from tenfold.platform.db import Database, Write
from tenfold.platform.db.embedded import Address
from tests.modules.chat.stage import Stage

T = TypeVar("T")
SOON = 10.0
WAITING = "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


class Counting(Database):
    """A database that counts the statements for several messages, and the transactions for one alone."""

    together = 0
    alone = 0

    async def transact(self, deed: Callable[[Write], Awaitable[T]], *, single: bool = False) -> T:
        self.together += single
        self.alone += not single
        return await super().transact(deed, single=single)


class Noted(Hints):
    """Hints that are kept, and told to nobody."""

    def changed(self, conversation_id: UUID, last_seq: int) -> None:
        self._latest[conversation_id] = last_seq


class Process(Stage):
    """A stage on connections of its own, as each process has them."""

    def __init__(self, db: Counting) -> None:
        super().__init__(db)
        self.db: Counting = db
        self.hints = Noted(db, self.live, self.policy)

    def begin(self, person: Actor, conversation_id: UUID, body: str = "x", **draft: Any) -> "asyncio.Task[Message]":
        """Begin to send, after whatever was begun before."""
        return asyncio.create_task(self.send(person, conversation_id, MessageDraft(body=body, **draft)))

    async def said(self, reader: Actor, conversation_id: UUID) -> list[Message]:
        """As `seen`, where nothing but messages was ever told: each was the next change."""
        seen = await self.seen(reader, conversation_id)
        assert [message.change_no for message in seen] == list(range(1, len(seen) + 1))
        return seen

    async def seen(self, reader: Actor, conversation_id: UUID) -> list[Message]:
        """All that is stored of a conversation, as a client of a member reads it."""
        async with self.db.read() as tx:
            found = await read_after(tx, reader, conversation_id, 0, limit=500)
        return msgspec.json.decode(msgspec.json.encode(found.items), type=list[Message])

    def told(self, conversation_id: UUID) -> list[Message]:
        """The messages that were told live, each with the change that it is, in their order."""
        heard = sorted(self.heard.changes.get(f"conversation:{conversation_id}", []), key=lambda told: told[0])
        messages = [(offset, message) for offset, change in heard for message in change.messages]
        assert all(offset == message.change_no for offset, message in messages)
        return [message for _, message in messages]

    async def change(self, sql: str, *arguments: object) -> None:
        async with self.db.write() as tx:
            await tx.connection.execute(sql, *arguments)

    async def stuck(self) -> None:
        """Wait until a statement waits for a lock."""
        async with asyncio.timeout(SOON), self.db.read() as tx:
            while not await tx.connection.fetchval(f"select exists (select {WAITING})"):
                await asyncio.sleep(0.001)

    def has_nothing_left(self) -> bool:
        return not (self.outgoing._turns or self.outgoing._deeds or self.outgoing._letters._waiting)


async def answers(*tasks: "asyncio.Task[Message]") -> list[Any]:
    """What each got: its message, or its error."""
    async with asyncio.timeout(SOON):
        return await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def running(address: Address) -> AsyncIterator[Process]:
    db = Counting(address.dsn, **address.options)
    await db.open()
    with closing(Process(db)) as process:
        yield process
    await db.close()
