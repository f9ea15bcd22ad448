"""What time does to messages: they move to the archive, and where a conversation keeps them for a while, they go."""

from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from tenfold.modules.chat.actions.held import save
from tenfold.modules.chat.queries import archive, conversations
from tenfold.modules.chat.queries.archive import Keeping
from tenfold.modules.chat.shapes import Change
from tenfold.modules.chat.telling import tell_change
from tenfold.platform.db import Database, Write


async def archive_messages(db: Database, conversation_id: UUID, *, before: datetime, batch: int) -> None:
    """Move a conversation's messages from before an instant, a batch in each transaction."""
    moved = batch
    while moved == batch:
        async with db.read() as tx:
            aged = await archive.list_aged(tx, conversation_id=conversation_id, before=before, limit=batch)
        if not aged:
            return
        # In transactions of their own: nobody who reads old messages waits for a move.
        for month in sorted({_month_of(message.created_at) for message in aged}):
            async with db.write() as tx:
                await archive.make_month(tx, month=month)
        async with db.write() as tx:
            moved = await _move(tx, conversation_id, before, limit=len(aged))


async def trim_history(tx: Write, keeping: Keeping, *, batch: int) -> bool:
    """Delete a batch of what a conversation does not keep any longer, and tell it. False when there was nothing."""
    conversation = await conversations.hold_conversation(tx, conversation_id=keeping.conversation_id)
    if conversation is None or conversation.retention_days is None:
        return False
    last = await archive.find_last_expired(
        tx,
        conversation_id=conversation.id,
        first_seq=conversation.first_seq,
        before=tx.now - timedelta(days=conversation.retention_days),
        limit=batch,
    )
    if last is None:
        return False
    change_no = conversation.last_change + 1
    trimmed = msgspec.structs.replace(conversation, first_seq=last + 1, last_change=change_no, change_no=change_no)
    await save(tx, trimmed)
    await clear_before(tx, conversation.id, first_seq=trimmed.first_seq)
    tell_change(tx, conversation.id, Change(change_no=change_no, conversation=trimmed))
    return True


async def clear_before(tx: Write, conversation_id: UUID, *, first_seq: int) -> None:
    """Delete the messages before a number and all that hangs on them."""
    for clear in (
        archive.clear_messages,
        archive.clear_archived,
        archive.clear_sends,
        archive.clear_edits,
        archive.clear_reactions,
        archive.clear_mentions,
        archive.clear_thread_reads,
        archive.clear_held,
        archive.clear_reports,
    ):
        await clear(tx, conversation_id=conversation_id, first_seq=first_seq)


async def _move(tx: Write, conversation_id: UUID, before: datetime, *, limit: int) -> int:
    """Look again at what is old now that nobody else changes it, and move that."""
    await conversations.hold_conversation(tx, conversation_id=conversation_id)
    aged = await archive.list_aged(tx, conversation_id=conversation_id, before=before, limit=limit)
    await archive.move_messages(tx, conversation_id=conversation_id, seqs=[message.seq for message in aged])
    return len(aged)


def _month_of(instant: datetime) -> date:
    return instant.date().replace(day=1)
