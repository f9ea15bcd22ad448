"""Reach one message and change it: the conversation is held meanwhile, so that what was read stays true."""

from typing import Any
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat import rules
from tenfold.modules.chat.errors import ConversationNotFound, MessageNotFound
from tenfold.modules.chat.queries import conversations, members, messages, reach
from tenfold.modules.chat.shapes import Change, ConversationRow, MemberRole, Message
from tenfold.modules.chat.telling import tell_change
from tenfold.platform.db import Write


async def hold(
    tx: Write, actor: Actor, conversation_id: UUID, *, across_blocks: bool = False
) -> tuple[ConversationRow, MemberRole]:
    """Hold a conversation that the actor has joined; with it comes what they are in it.

    Raises `ConversationNotFound`, also for who was asked in and has not come, and across a block unless it is for what
    may be done there.
    """
    conversation = await conversations.hold_conversation(tx, conversation_id=conversation_id)
    standing = await members.find_standing(tx, conversation_id=conversation_id, user_id=actor.id)
    role = rules.must_be_in(standing)
    if conversation is None or (conversation.is_blocked and not across_blocks):
        raise ConversationNotFound
    return conversation, role


async def reach_message(tx: Write, conversation: ConversationRow, seq: int, *, user_id: UUID) -> Message:
    """A message of a held conversation that says something to a reader. Raises `MessageNotFound`."""
    found = await reach_any_message(tx, conversation, seq, user_id=user_id)
    if found.deleted_at is not None:
        raise MessageNotFound
    return found


async def reach_any_message(tx: Write, conversation: ConversationRow, seq: int, *, user_id: UUID) -> Message:
    """A message that somebody sent into a held conversation, deleted or not. Raises `MessageNotFound`.

    One in the archive comes back from there: it is about to change.
    """
    named = {"conversation_id": conversation.id, "seq": seq}
    found = await messages.find_message(tx, **named, user_id=user_id)
    if found is None and conversation.first_seq <= seq and await reach.bring_back(tx, **named):
        found = await messages.find_message(tx, **named, user_id=user_id)
    if found is None or found.kind != "text":
        raise MessageNotFound
    return found


async def change_message(tx: Write, conversation: ConversationRow, message: Message, **changes: Any) -> Message:
    """Save a message of a held conversation with these fields changed, and tell everybody there."""
    change_no = conversation.last_change + 1
    changed = msgspec.structs.replace(message, change_no=change_no, revision=message.revision + 1, **changes)
    columns = {name: getattr(changed, name) for name in messages.save_message.parameters}
    await messages.save_message(tx, **columns)
    tell_change(tx, conversation.id, Change(change_no=change_no, messages=[changed]))
    return changed
