"""Doors of messages: send, read in either direction, edit, delete, look at what one said before."""

from typing import Annotated
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, cut, from_cursor
from tenfold.kit.refusals import Invalid
from tenfold.modules.chat.actions import change, history, send
from tenfold.modules.chat.errors import (
    ConversationNotFound,
    MessageNotFound,
    NotYourMessage,
    OnlyAdminsWriteHere,
    RequestIsWaiting,
    TooManyConversations,
    TooSoon,
)
from tenfold.modules.chat.hints import Hints
from tenfold.modules.chat.outgoing import Outgoing
from tenfold.modules.chat.people import cards_of
from tenfold.modules.chat.queries import messages
from tenfold.modules.chat.shapes import (
    ChatPolicy,
    EarlierBody,
    History,
    Message,
    MessageDraft,
    MessageEdit,
    Seq,
)
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Read, Write
from tenfold.platform.http import door

Before = Annotated[Seq, msgspec.Meta(description="Messages before this one.")]
After = Annotated[Seq, msgspec.Meta(description="Messages after this one.")]
Around = Annotated[Seq, msgspec.Meta(description="Messages before and after this one, and itself.")]


@door.post(
    "/conversations/{conversation_id:uuid}/messages",
    limit="write",
    refuses=[
        ConversationNotFound,
        MessageNotFound,
        OnlyAdminsWriteHere,
        RequestIsWaiting,
        TooSoon,
        TooManyConversations,
    ],
)
async def send_message(
    actor: Actor,
    conversation_id: UUID,
    data: MessageDraft,
    *,
    db: Database,
    outgoing: Outgoing,
    hints: Hints,
    policy: ChatPolicy,
) -> Message:
    """Send a message. The answer comes when it is stored; the same `client_msg_id` again gets the same message."""
    return await send.post_message(db, actor, conversation_id, data, outgoing=outgoing, hints=hints, policy=policy)


@door.get("/conversations/{conversation_id:uuid}/messages", limit="read", refuses=[ConversationNotFound])
async def read_history(
    actor: Actor,
    conversation_id: UUID,
    *,
    db: Database,
    cache: Cache,
    before: Before | None = None,
    after: After | None = None,
    around: Around | None = None,
    limit: Limit = 50,
) -> History:
    """A stretch of a conversation, oldest first: its end, or what lies before, after or around a message."""
    if sum(mark is not None for mark in (before, after, around)) > 1:
        raise Invalid("query.before", "goes with neither `after` nor `around`: give one of the three")
    async with db.read() as tx:
        if around is not None:
            found = await history.read_around(tx, actor, conversation_id, around, limit=limit)
        elif after is not None:
            found = await history.read_after(tx, actor, conversation_id, after, limit=limit)
        else:
            found = await history.read_before(tx, actor, conversation_id, before, limit=limit)
    people = await cards_of(db, cache, (item.sender_id for item in found.items if item.sender_id is not None))
    return History(list(found.items), list(people.values()), found.earlier, found.later)


@door.get("/conversations/{conversation_id:uuid}/messages/{seq:int}", limit="read", refuses=[MessageNotFound])
async def show_message(tx: Read, actor: Actor, conversation_id: UUID, seq: int) -> Message:
    """One message."""
    return await history.read_message(tx, actor, conversation_id, seq)


@door.patch(
    "/conversations/{conversation_id:uuid}/messages/{seq:int}",
    limit="write",
    refuses=[ConversationNotFound, MessageNotFound, NotYourMessage, OnlyAdminsWriteHere],
)
async def edit_message(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, data: MessageEdit) -> Message:
    """Change what your message says; what it said before stays in its history."""
    return await change.edit_message(tx, actor, conversation_id, seq, edit=data)


@door.delete(
    "/conversations/{conversation_id:uuid}/messages/{seq:int}",
    limit="write",
    refuses=[ConversationNotFound, MessageNotFound, NotYourMessage],
)
async def delete_message(tx: Write, actor: Actor, conversation_id: UUID, seq: int) -> None:
    """Delete your message, or as an admin anybody's; its number stays, empty."""
    await change.delete_message(tx, actor, conversation_id, seq)


@door.get("/conversations/{conversation_id:uuid}/messages/{seq:int}/edits", limit="read", refuses=[MessageNotFound])
async def list_edits(
    tx: Read,
    actor: Actor,
    conversation_id: UUID,
    seq: int,
    *,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[EarlierBody]:
    """What a message said before its edits, newest first."""
    rows = await messages.list_edits(
        tx,
        conversation_id=conversation_id,
        user_id=actor.id,
        seq=seq,
        before=from_cursor(cursor, UUID),
        limit=limit + 1,
    )
    if not rows:
        await history.read_message(tx, actor, conversation_id, seq)
    return cut(rows, limit, lambda row: row.id)
