"""Edit a message and delete it. What it said before is kept; a deleted message is an empty row under its number."""

from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Invalid
from tenfold.modules.chat import rules
from tenfold.modules.chat.actions.reach import change_message, hold, reach_any_message, reach_message
from tenfold.modules.chat.errors import NotYourMessage
from tenfold.modules.chat.queries import messages, moderation
from tenfold.modules.chat.shapes import ConversationRow, Message, MessageEdit
from tenfold.platform.db import Write

EMPTY = {
    "body": "",
    "attachments": None,
    "mentions": None,
    "reactions": None,
    "pinned_at": None,
    "pinned_by": None,
}
"""What a message that is deleted, or on hold, does not have."""


async def edit_message(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, edit: MessageEdit) -> Message:
    """Change what one's own message says and whom it mentions; an edit that changes nothing leaves no trace."""
    here, role = await hold(tx, actor, conversation_id)
    rules.must_be_able_to_write(here, role)
    message = await reach_message(tx, here, seq, user_id=actor.id)
    if message.sender_id != actor.id:
        raise NotYourMessage
    body = rules.tidy(edit.body, "body.body")
    if not body and not message.attachments:
        raise Invalid("body.body", "says nothing, and nothing is attached")
    mentions = message.mentions
    if edit.mentions is not msgspec.UNSET:
        mentions = list(dict.fromkeys(edit.mentions)) or None
    if (body, mentions) == (message.body, message.mentions):
        return message
    named = {"conversation_id": conversation_id, "seq": seq}
    if body != message.body:
        written_at = message.edited_at or message.created_at
        await messages.insert_edit(tx, **named, edit_id=new_id(), body=message.body, written_at=written_at)
    if mentions != message.mentions:
        await messages.replace_mentions(tx, **named, mentions=mentions or [], sender_id=actor.id)
    return await change_message(tx, here, message, body=body, mentions=mentions, edited_at=tx.now)


async def delete_message(tx: Write, actor: Actor, conversation_id: UUID, seq: int) -> None:
    """Empty one's own message, or as an admin of a group or channel anybody's; its history and reactions go with it.

    Also across a block. One that is deleted already stays so, and one that moderators hold is not given back.
    """
    here, role = await hold(tx, actor, conversation_id, across_blocks=True)
    message = await reach_any_message(tx, here, seq, user_id=actor.id)
    if message.sender_id != actor.id and (here.kind == "direct" or role == "member"):
        raise NotYourMessage
    await empty_message(tx, here, message)


async def empty_message(tx: Write, here: ConversationRow, message: Message) -> None:
    """Empty a message of a held conversation for good, with all that hangs on it, also what moderators hold of it."""
    named = {"conversation_id": here.id, "seq": message.seq}
    await messages.clear_message(tx, **named)
    if message.deleted_at is None:
        await change_message(tx, here, message, **EMPTY, deleted_at=tx.now)
    else:
        await moderation.release_message(tx, **named)
