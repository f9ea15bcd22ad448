"""Report a message to the moderators, and what they make of it: leave it, hold it back for now, or delete it."""

from typing import Any
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.chat.actions.reach import change_message
from tenfold.modules.chat.errors import ConversationNotFound, MessageNotFound
from tenfold.modules.chat.queries import conversations, members, messages, moderation, reach
from tenfold.modules.chat.reports import Outcome, ReportDraft
from tenfold.modules.chat.shapes import ConversationRow, Message
from tenfold.platform.db import Write


async def report_message(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, draft: ReportDraft) -> None:
    """Tell the moderators about a message that one can read; a second time changes nothing."""
    named = {"conversation_id": conversation_id, "seq": seq}
    if not await members.may_read(tx, conversation_id=conversation_id, user_id=actor.id):
        raise ConversationNotFound
    asked = {**named, "user_id": actor.id}
    message = await messages.find_message(tx, **asked) or await messages.find_archived(tx, **asked)
    if message is None or message.kind != "text" or message.deleted_at is not None:
        raise MessageNotFound
    await moderation.insert_report(
        tx,
        **named,
        reporter_id=actor.id,
        report_id=new_id(),
        reason=draft.reason,
        comment=draft.comment,
        now=tx.now,
    )


async def judge(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, outcome: Outcome) -> UUID | None:
    """Settle every report of a message: it says again what it said, is held back, or is deleted for good.

    Answers with its sender. Raises `MessageNotFound`.
    """
    conversation = await conversations.hold_conversation(tx, conversation_id=conversation_id)
    if conversation is None:
        raise MessageNotFound
    message = await _reach(tx, conversation, seq)
    await _APPLY[outcome](tx, conversation, message, actor.id)
    await moderation.settle_reports(
        tx, conversation_id=conversation_id, seq=seq, settler_id=actor.id, outcome=outcome, now=tx.now
    )
    return message.sender_id


async def _reach(tx: Write, conversation: ConversationRow, seq: int) -> Message:
    named = {"conversation_id": conversation.id, "seq": seq}
    await reach.bring_back(tx, **named)
    message = await moderation.find_any_message(tx, **named)
    if message is None or seq < conversation.first_seq:
        raise MessageNotFound
    return message


async def _dismiss(tx: Write, conversation: ConversationRow, message: Message, _: UUID) -> None:
    """Let a message that was held back say again what it said."""
    held = await moderation.release_message(tx, conversation_id=conversation.id, seq=message.seq)
    if held is None:
        return
    said: dict[str, Any] = {"body": held.body, "attachments": held.attachments, "mentions": held.mentions}
    released = await change_message(tx, conversation, message, **said, deleted_at=None)
    if held.mentions:
        await messages.replace_mentions(
            tx,
            conversation_id=conversation.id,
            seq=message.seq,
            mentions=held.mentions,
            sender_id=released.sender_id,
        )


async def _hold(tx: Write, conversation: ConversationRow, message: Message, holder_id: UUID) -> None:
    """Keep what a message says where only moderators see it; for everybody else it is deleted."""
    if message.deleted_at is not None:
        return
    await moderation.hold_message(
        tx,
        conversation_id=conversation.id,
        seq=message.seq,
        body=message.body,
        attachments=message.attachments,
        mentions=message.mentions,
        holder_id=holder_id,
        now=tx.now,
    )
    await moderation.erase_mentions(tx, conversation_id=conversation.id, seq=message.seq)
    await _empty(tx, conversation, message)


async def _delete(tx: Write, conversation: ConversationRow, message: Message, _: UUID) -> None:
    """Empty a message for good, also one that was held back."""
    held = await moderation.release_message(tx, conversation_id=conversation.id, seq=message.seq)
    if held is not None or message.deleted_at is None:
        await messages.clear_message(tx, conversation_id=conversation.id, seq=message.seq)
        await _empty(tx, conversation, msgspec.structs.replace(message, reactions=None))


async def _empty(tx: Write, conversation: ConversationRow, message: Message) -> None:
    emptied: dict[str, Any] = {"body": "", "attachments": None, "mentions": None, "deleted_at": tx.now}
    await change_message(tx, conversation, message, **emptied, pinned_at=None, pinned_by=None)


_APPLY = {"dismissed": _dismiss, "held": _hold, "deleted": _delete}
