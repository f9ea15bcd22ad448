"""Doors of reactions and pins."""

from datetime import datetime
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, cut, from_cursor, to_cursor
from tenfold.modules import identity
from tenfold.modules.chat.actions import history
from tenfold.modules.chat.actions import react as deeds
from tenfold.modules.chat.actions.reading import with_mine
from tenfold.modules.chat.emoji import tidy_emoji
from tenfold.modules.chat.errors import (
    ConversationNotFound,
    MessageNotFound,
    NeedsAnAdmin,
    TooManyKindsOfReactions,
    TooManyPins,
)
from tenfold.modules.chat.queries import pins, reactions
from tenfold.modules.chat.shapes import ChatPolicy, Message, Reactor
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.http import door

_MESSAGE = "/conversations/{conversation_id:uuid}/messages/{seq:int}"


@door.put(
    _MESSAGE + "/reactions/{emoji:str}",
    limit="write",
    refuses=[ConversationNotFound, MessageNotFound, TooManyKindsOfReactions],
)
async def react(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, emoji: str, policy: ChatPolicy) -> None:
    """React to a message with an emoji, or a short code such as `:wave:`."""
    await deeds.react(tx, actor, conversation_id, seq, emoji=emoji, policy=policy)


@door.delete(_MESSAGE + "/reactions/{emoji:str}", limit="write", refuses=[ConversationNotFound, MessageNotFound])
async def unreact(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, emoji: str) -> None:
    """Take one's reaction back; nothing happens when there is none."""
    await deeds.unreact(tx, actor, conversation_id, seq, emoji=emoji)


@door.get(_MESSAGE + "/reactions/{emoji:str}", limit="read", refuses=[MessageNotFound])
async def list_reactors(
    actor: Actor,
    conversation_id: UUID,
    seq: int,
    *,
    emoji: str,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Reactor]:
    """Who reacted to a message in this way, in the order in which they did."""
    async with db.read() as tx:
        rows = await reactions.list_reactors(
            tx,
            conversation_id=conversation_id,
            seq=seq,
            emoji=tidy_emoji(emoji),
            user_id=actor.id,
            after=from_cursor(cursor, UUID),
            limit=limit + 1,
        )
        if not rows:
            await history.read_message(tx, actor, conversation_id, seq)
    cards = await identity.cards(db, cache, (row.user_id for row in rows))
    shown = [Reactor(row.user_id, cards.get(row.user_id)) for row in rows[:limit]]
    return Page(shown, to_cursor(rows[limit - 1].id) if len(rows) > limit else None)


@door.put(_MESSAGE + "/pin", limit="write", refuses=[ConversationNotFound, MessageNotFound, NeedsAnAdmin, TooManyPins])
async def pin(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, policy: ChatPolicy) -> None:
    """Pin a message for everybody; in a channel its admins do."""
    await deeds.pin(tx, actor, conversation_id, seq, policy=policy)


@door.delete(_MESSAGE + "/pin", limit="write", refuses=[ConversationNotFound, MessageNotFound, NeedsAnAdmin])
async def unpin(tx: Write, actor: Actor, conversation_id: UUID, seq: int) -> None:
    """Unpin a message, whoever pinned it; nothing happens when it is not pinned."""
    await deeds.unpin(tx, actor, conversation_id, seq)


@door.get("/conversations/{conversation_id:uuid}/pins", limit="read", refuses=[ConversationNotFound])
async def list_pins(
    actor: Actor, conversation_id: UUID, *, db: Database, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Message]:
    """The pinned messages of a conversation, the latest pin first."""
    at, seq = from_cursor(cursor, tuple[datetime, int]) or (None, None)
    async with db.read() as tx:
        rows = await pins.list_pins(
            tx, conversation_id=conversation_id, user_id=actor.id, before_at=at, before_seq=seq, limit=limit + 1
        )
        if not rows:
            await history.must_read(tx, actor, conversation_id)
        page = cut(rows, limit, lambda message: (message.pinned_at, message.seq))
        return Page(await with_mine(tx, actor, page.items), page.next)
