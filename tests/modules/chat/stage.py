"""A stage for chat without HTTP: people who act directly, and an outbox that keeps what would be told live."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.clock import SetClock
from tenfold.kit.ids import new_id
from tenfold.modules.chat.actions.send import post_message
from tenfold.modules.chat.hints import Hints
from tenfold.modules.chat.outgoing import Outgoing
from tenfold.modules.chat.queries import conversations, members
from tenfold.modules.chat.shapes import Change, ChatPolicy, Message, MessageDraft
from tenfold.platform.db import Announcements, Database, News, Write
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence

T = TypeVar("T")


@dataclass
class Heard:
    """An outbox that writes nothing and keeps every change that was told, by conversation and offset."""

    changes: dict[str, list[tuple[int, Change]]] = field(default_factory=dict)

    async def write(self, tx: Write, announcements: Announcements) -> None:
        """Facts and jobs are of no interest here."""

    async def deliver(self, news: News) -> None:
        """Keep the durable publications as clients get them: encoded, and numbered."""
        for tell in news.tells:
            if tell.offset is not None:
                change = msgspec.json.decode(msgspec.json.encode(tell.data), type=Change)
                self.changes.setdefault(tell.channel, []).append((tell.offset, change))


class Stage:
    """Everything that the deeds of chat need, on one database."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.heard = Heard()
        self.clock = SetClock()
        self.policy = ChatPolicy()
        self.live = Hub(MemoryBroker(), MemoryPresence())
        self.hints = Hints(db, self.live, self.policy)
        self.outgoing = Outgoing(db, self.policy)
        db.clock = self.clock
        db.outbox = self.heard

    def close(self) -> None:
        """Leave nothing to be done after the test."""
        self.hints.close()
        self.outgoing.close()

    @staticmethod
    def person() -> Actor:
        """Somebody new."""
        return Actor(id=new_id(), session_id=new_id())

    async def do(self, deed: Callable[..., Awaitable[T]], *args: Any, **named: Any) -> T:
        """Run a deed in a transaction of its own."""
        return await self.db.transact(lambda tx: deed(tx, *args, **named))

    async def send(self, person: Actor, conversation_id: UUID, draft: MessageDraft) -> Message:
        """Send as the door does: along with others, or alone."""
        ways = {"outgoing": self.outgoing, "hints": self.hints, "policy": self.policy}
        return await post_message(self.db, person, conversation_id, draft, **ways)

    async def group(self, *people: Actor) -> UUID:
        """A group whose members have come; the first is its owner."""
        conversation_id = new_id()
        async with self.db.write() as tx:
            await conversations.insert_conversation(
                tx,
                conversation_id=conversation_id,
                kind="group",
                title="Oracle",
                topic=None,
                access="open",
                posting="members",
                creator_id=people[0].id,
                now=tx.now,
                one_id=None,
                other_id=None,
                member_count=len(people),
            )
            for turn, person in enumerate(people):
                role = "member" if turn else "owner"
                await members.save_member(
                    tx,
                    conversation_id=conversation_id,
                    user_id=person.id,
                    state="joined",
                    role=role,
                    inviter_id=None,
                    since=tx.now,
                    seq=0,
                    change_no=0,
                )
                await members.save_membership(
                    tx, user_id=person.id, conversation_id=conversation_id, kind="group", state="joined"
                )
        return conversation_id
