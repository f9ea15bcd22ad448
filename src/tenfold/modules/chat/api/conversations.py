"""Doors of conversations: open, list, look, change; and what one does with one's own place in them."""

from datetime import datetime
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, from_cursor, to_cursor
from tenfold.modules.chat.actions import looking, places
from tenfold.modules.chat.actions import open as opening
from tenfold.modules.chat.actions.looking import Place, Shelf
from tenfold.modules.chat.errors import (
    ConversationIsFull,
    ConversationNotFound,
    NeedsAnAdmin,
    NotWithOneself,
    ThisIsDirect,
    TooManyConversations,
    TooManyInvitations,
)
from tenfold.modules.chat.people import cards_of
from tenfold.modules.chat.shapes import ChatPolicy, Conversation, ConversationDraft, ConversationEdit, Unread
from tenfold.modules.chat.ties import Ties
from tenfold.modules.identity import UserNotFound
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.http import door


@door.post(
    "/conversations",
    limit="write",
    refuses=[UserNotFound, ConversationIsFull, TooManyInvitations, TooManyConversations],
)
async def open_conversation(
    actor: Actor, data: ConversationDraft, *, db: Database, cache: Cache, policy: ChatPolicy, ties: Ties
) -> Conversation:
    """Open a group or a channel, and invite people."""
    conversation_id = await db.transact(lambda tx: opening.open_conversation(tx, actor, data, policy=policy, ties=ties))
    return await _one(db, cache, actor, conversation_id)


@door.put(
    "/users/{user_id:uuid}/conversation",
    limit="write",
    refuses=[UserNotFound, NotWithOneself, TooManyInvitations, TooManyConversations],
)
async def open_direct(
    actor: Actor, user_id: UUID, *, db: Database, cache: Cache, policy: ChatPolicy, ties: Ties
) -> Conversation:
    """The conversation with another person; it is opened if there is none, and waits for a stranger's acceptance."""
    conversation_id = await db.transact(lambda tx: opening.open_direct(tx, actor, user_id, policy=policy, ties=ties))
    return await _one(db, cache, actor, conversation_id)


@door.get("/conversations", limit="read")
async def list_conversations(
    actor: Actor,
    *,
    db: Database,
    cache: Cache,
    shelf: Shelf = "active",
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Conversation]:
    """Your conversations by their latest message: active, archived, hidden ones, or requests that wait for you."""
    after = from_cursor(cursor, Place)
    async with db.read() as tx:
        seen = await looking.see_page(tx, actor, shelf, after=after, limit=limit + 1)
    cards = await cards_of(db, cache, looking.people_in(seen, actor))
    shown = looking.to_conversations(seen, actor, cards)
    if len(shown) <= limit:
        return Page(shown)
    last = shown[limit - 1]
    return Page(shown[:limit], to_cursor(Place(last.last_message_at, last.id)))


@door.get("/conversations/{conversation_id:uuid}", limit="read", refuses=[ConversationNotFound])
async def show_conversation(actor: Actor, conversation_id: UUID, *, db: Database, cache: Cache) -> Conversation:
    """One of your conversations, or one that is open to all."""
    return await _one(db, cache, actor, conversation_id)


@door.patch(
    "/conversations/{conversation_id:uuid}", limit="write", refuses=[ConversationNotFound, ThisIsDirect, NeedsAnAdmin]
)
async def edit_conversation(
    actor: Actor, conversation_id: UUID, data: ConversationEdit, *, db: Database, cache: Cache
) -> Conversation:
    """Change title, topic or rules of a group or channel."""
    await db.transact(lambda tx: opening.edit_conversation(tx, actor, conversation_id, data))
    return await _one(db, cache, actor, conversation_id)


@door.put("/conversations/{conversation_id:uuid}/mute", limit="write", refuses=[ConversationNotFound])
async def mute_conversation(tx: Write, actor: Actor, conversation_id: UUID, until: datetime | None = None) -> None:
    """Hear nothing of a conversation but mentions, until an instant or for good."""
    await places.mute(tx, actor, conversation_id, until=until)


@door.delete("/conversations/{conversation_id:uuid}/mute", limit="write", refuses=[ConversationNotFound])
async def unmute_conversation(tx: Write, actor: Actor, conversation_id: UUID) -> None:
    """Hear of a conversation again."""
    await places.unmute(tx, actor, conversation_id)


@door.put("/conversations/{conversation_id:uuid}/hide", limit="write", refuses=[ConversationNotFound])
async def hide_conversation(tx: Write, actor: Actor, conversation_id: UUID) -> None:
    """Take a conversation off your list until its next message."""
    await places.hide(tx, actor, conversation_id)


@door.delete("/conversations/{conversation_id:uuid}/hide", limit="write", refuses=[ConversationNotFound])
async def show_again(tx: Write, actor: Actor, conversation_id: UUID) -> None:
    """Put a hidden conversation back on your list."""
    await places.unhide(tx, actor, conversation_id)


@door.put("/conversations/{conversation_id:uuid}/archive", limit="write", refuses=[ConversationNotFound])
async def archive_conversation(tx: Write, actor: Actor, conversation_id: UUID) -> None:
    """Put a conversation away; it stays away whatever is said there."""
    await places.archive(tx, actor, conversation_id, is_archived=True)


@door.delete("/conversations/{conversation_id:uuid}/archive", limit="write", refuses=[ConversationNotFound])
async def unarchive_conversation(tx: Write, actor: Actor, conversation_id: UUID) -> None:
    """Take a conversation out of the archive."""
    await places.archive(tx, actor, conversation_id, is_archived=False)


@door.get("/me/unread", limit="read")
async def count_unread(actor: Actor, *, db: Database) -> Unread:
    """What waits for you in all conversations together."""
    async with db.read() as tx:
        return await looking.count_waiting(tx, actor)


async def _one(db: Database, cache: Cache, actor: Actor, conversation_id: UUID) -> Conversation:
    async with db.read() as tx:
        seen = await looking.see_one(tx, actor, conversation_id)
    if not seen.rows:
        raise ConversationNotFound
    cards = await cards_of(db, cache, looking.people_in(seen, actor))
    return looking.to_conversations(seen, actor, cards)[0]
