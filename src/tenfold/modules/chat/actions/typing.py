"""Typing: told to those who look at the conversation right now, over after some seconds, and never stored."""

from typing import Literal
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat import rules
from tenfold.modules.chat.errors import ConversationNotFound, OnlyAdminsWriteHere
from tenfold.modules.chat.queries import conversations, members
from tenfold.modules.chat.telling import channel_of
from tenfold.platform.db import Database, Read
from tenfold.platform.realtime import Realtime

LASTS = 8


class TypingNews(msgspec.Struct, frozen=True):
    """Somebody is typing: show it for `seconds`, or until a message of theirs comes."""

    user_id: UUID
    thread_root: int | None = None
    seconds: int = LASTS
    type: Literal["conversation.typing"] = "conversation.typing"


class TypingIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client publishes on `conversation:{id}` while somebody types."""

    type: Literal["typing"]
    thread_root: int | None = None


async def type_in(db: Database, live: Realtime, actor: Actor, conversation_id: UUID) -> None:
    """Tell those who have the conversation open that the actor is typing.

    Raises `ConversationNotFound` for who is not in it (a stranger's request that is not accepted included), and
    `OnlyAdminsWriteHere`.
    """
    async with db.read() as tx:
        await must_be_able_to_type(tx, actor, conversation_id)
    await live.publish_ephemeral([channel_of(conversation_id)], TypingNews(actor.id))


async def must_be_able_to_type(tx: Read, actor: Actor, conversation_id: UUID) -> None:
    """Whoever may write here may show that they do. Raises as `type_in` does."""
    role = rules.must_be_in(await members.find_standing(tx, conversation_id=conversation_id, user_id=actor.id))
    conversation = await conversations.find_conversation(tx, conversation_id=conversation_id)
    if conversation is None or conversation.is_blocked:
        raise ConversationNotFound
    if conversation.posting == "admins" and role == "member":
        raise OnlyAdminsWriteHere
