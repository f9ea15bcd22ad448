"""What is done to a conversation by whoever holds it: save it, and note among its messages what happened."""

from typing import Any
from uuid import UUID

import msgspec

from tenfold.modules.chat import rules
from tenfold.modules.chat.queries import conversations
from tenfold.modules.chat.shapes import Change, ConversationRow, Message
from tenfold.modules.chat.telling import tell_change
from tenfold.platform.db import Write


async def save(tx: Write, here: ConversationRow) -> None:
    """Save a held conversation."""
    columns = {**rules.columns_of(here), "conversation_id": here.id}
    await conversations.save_conversation(
        tx, **{name: columns[name] for name in conversations.save_conversation.parameters}
    )


async def give_notice(tx: Write, here: ConversationRow, actor_id: UUID, notice: dict[str, Any]) -> ConversationRow:
    """Write what happened among the messages of a held conversation, by a change of its own."""
    here = msgspec.structs.replace(here, last_seq=here.last_seq + 1, last_change=here.last_change + 1)
    here = msgspec.structs.replace(here, last_message_at=tx.now)
    await save(tx, here)
    message = Message(here.id, here.last_seq, actor_id, "notice", "", tx.now, here.last_change, notice=notice)
    await conversations.insert_notice(
        tx,
        conversation_id=here.id,
        seq=message.seq,
        sender_id=actor_id,
        notice=notice,
        now=tx.now,
        change_no=message.change_no,
    )
    tell_change(tx, here.id, Change(change_no=message.change_no, messages=[message]))
    return here
