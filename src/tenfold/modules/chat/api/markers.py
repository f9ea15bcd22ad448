"""Doors of markers: read, received and unread "up to", and how far the others are."""

from typing import Annotated
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, cut, from_cursor
from tenfold.modules.chat.actions import mark
from tenfold.modules.chat.actions.history import must_read
from tenfold.modules.chat.errors import ConversationNotFound
from tenfold.modules.chat.people import cards_of
from tenfold.modules.chat.queries import markers
from tenfold.modules.chat.shapes import Receipt, Seq
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.http import door


class ReadUpTo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last message that was read; `private` keeps it from the others."""

    seq: Seq
    private: bool = False


class DeliveredUpTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last message that arrived."""

    seq: Seq


class UnreadFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first message that counts as unread again; without one, the conversation is only marked."""

    seq: Annotated[int, msgspec.Meta(ge=1, lt=1 << 62)] | None = None


@door.put("/conversations/{conversation_id:uuid}/read", limit="write", refuses=[ConversationNotFound])
async def mark_read(tx: Write, actor: Actor, conversation_id: UUID, data: ReadUpTo) -> None:
    """Everything up to this message is read, on all your devices."""
    await mark.mark_read(tx, actor, conversation_id, data.seq, is_private=data.private)


@door.put("/conversations/{conversation_id:uuid}/delivered", limit="write", refuses=[ConversationNotFound])
async def mark_delivered(tx: Write, actor: Actor, conversation_id: UUID, data: DeliveredUpTo) -> None:
    """Everything up to this message has arrived."""
    await mark.mark_delivered(tx, actor, conversation_id, data.seq)


@door.put("/conversations/{conversation_id:uuid}/unread", limit="write", refuses=[ConversationNotFound])
async def mark_unread(tx: Write, actor: Actor, conversation_id: UUID, data: UnreadFrom) -> None:
    """Leave a conversation for later; others are not told."""
    await mark.mark_unread(tx, actor, conversation_id, data.seq)


@door.get("/conversations/{conversation_id:uuid}/receipts", limit="read", refuses=[ConversationNotFound])
async def list_receipts(
    actor: Actor,
    conversation_id: UUID,
    *,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Receipt]:
    """How far each member has read and received, as they let others know; in a channel nobody's is shown."""
    after = from_cursor(cursor, UUID)
    async with db.read() as tx:
        rows = await markers.list_markers(
            tx, conversation_id=conversation_id, user_id=actor.id, after=after, limit=limit + 1
        )
        if not rows:
            await must_read(tx, actor, conversation_id)
    page = cut(rows, limit, lambda row: row.user_id)
    cards = await cards_of(db, cache, (row.user_id for row in page.items))
    shown = [Receipt(cards[row.user_id], row.read_seq, row.delivered_seq) for row in page.items if row.user_id in cards]
    return Page(shown, page.next)
