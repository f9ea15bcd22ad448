"""Report a message to the moderators, and what they make of it: leave it, hold it back for now, or delete it."""

from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.modules.chat import rules
from tenfold.modules.chat.actions.change import EMPTY, empty_message
from tenfold.modules.chat.actions.history import must_read
from tenfold.modules.chat.actions.reach import change_message
from tenfold.modules.chat.errors import MessageNotFound
from tenfold.modules.chat.queries import archive, conversations, messages, moderation, reach, reactions
from tenfold.modules.chat.reports import Outcome, ReportDraft
from tenfold.modules.chat.shapes import ConversationRow, Message
from tenfold.platform.db import Write


async def report_message(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, draft: ReportDraft) -> None:
    """Tell the moderators about a message that one can read, or could before one declined or blocked who wrote it.

    A second time changes nothing, unless the message says something else since a moderator left it. Raises
    `ConversationNotFound`, `MessageNotFound`.
    """
    named = {"conversation_id": conversation_id, "seq": seq}
    # Held, so that no words are kept that are being erased meanwhile.
    await conversations.hold_conversation(tx, conversation_id=conversation_id)
    message = await moderation.find_seen_message(tx, **named, user_id=actor.id)
    if message is None:
        await must_read(tx, actor, conversation_id)
        raise MessageNotFound
    await moderation.insert_report(
        tx,
        **named,
        sender_id=message.sender_id,
        body=message.body,
        attachments=message.attachments,
        edited_at=message.edited_at,
        reporter_id=actor.id,
        report_id=new_id(),
        reason=draft.reason,
        comment=draft.comment,
        now=tx.now,
    )


async def judge(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, outcome: Outcome) -> UUID | None:
    """Settle every report of a message: it says again what it said, is held back, or is deleted for good.

    Of one that is not kept any longer nothing but its reports is left. Answers with its sender. Raises
    `MessageNotFound`.
    """
    conversation = await conversations.hold_conversation(tx, conversation_id=conversation_id)
    if conversation is None:
        raise MessageNotFound
    message = await _reach(tx, conversation, seq)
    if message is not None:
        await _APPLY[outcome](tx, conversation, message, actor.id)
    senders = await moderation.settle_reports(
        tx, conversation_id=conversation_id, seq=seq, settler_id=actor.id, outcome=outcome, now=tx.now
    )
    if message is not None:
        return message.sender_id
    if not senders:
        raise MessageNotFound
    await archive.clear_reports(tx, conversation_id=conversation_id, first_seq=conversation.first_seq)
    return senders[0]


async def _reach(tx: Write, conversation: ConversationRow, seq: int) -> Message | None:
    named = {"conversation_id": conversation.id, "seq": seq}
    await reach.bring_back(tx, **named)
    return await moderation.find_any_message(tx, **named)


async def _dismiss(tx: Write, conversation: ConversationRow, message: Message, _: UUID) -> None:
    """Let a message that was held back say again what it said."""
    held = await moderation.release_message(tx, conversation_id=conversation.id, seq=message.seq)
    if held is None:
        return
    named = {"conversation_id": conversation.id, "seq": message.seq}
    counts = {count.emoji: count.times for count in await reactions.count_reactions(tx, **named)}
    said = rules.columns_of(held)
    await change_message(tx, conversation, message, **said, reactions=counts or None, deleted_at=None)
    if held.mentions:
        await messages.replace_mentions(tx, **named, mentions=held.mentions, sender_id=message.sender_id)


async def _hold(tx: Write, conversation: ConversationRow, message: Message, holder_id: UUID) -> None:
    """Keep what a message says where only moderators see it; for everybody else it is deleted.

    Who reacted and how it was edited stays beside it, where no door looks for a message that is deleted.
    """
    if message.deleted_at is not None:
        return
    columns = {**rules.columns_of(message), "holder_id": holder_id, "now": tx.now}
    await moderation.hold_message(tx, **{name: columns[name] for name in moderation.hold_message.parameters})
    await moderation.erase_mentions(tx, conversation_id=conversation.id, seq=message.seq)
    await change_message(tx, conversation, message, **EMPTY, deleted_at=tx.now)


async def _delete(tx: Write, conversation: ConversationRow, message: Message, _: UUID) -> None:
    """Empty a message for good, also one that was held back."""
    await empty_message(tx, conversation, message)


_APPLY = {"dismissed": _dismiss, "held": _hold, "deleted": _delete}
