"""Doors that look across one's conversations: messages by their words, and those that name oneself."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, cut, from_cursor
from tenfold.modules.chat.queries import search
from tenfold.modules.chat.shapes import ChatPolicy, Message
from tenfold.platform.db import Database
from tenfold.platform.http import door

Words = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=200,
        description='Words; "a phrase" in quotes, `or` between, `-` before a word to leave out.',
    ),
]
_Position = tuple[datetime, UUID, int]


@door.get("/messages/search", limit="costly")
async def search_messages(
    actor: Actor,
    *,
    q: Words,
    db: Database,
    policy: ChatPolicy,
    conversation_id: UUID | None = None,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Message]:
    """Messages with these words in one's latest conversations, or in one of them; the newest first."""
    at, id_, seq = from_cursor(cursor, _Position) or (None, None, None)
    async with db.read() as tx:
        ids = await search.list_my_conversation_ids(tx, user_id=actor.id)
        rows = await search.search_messages(
            tx,
            user_id=actor.id,
            ids=[one for one in ids if conversation_id in (None, one)],
            words=q,
            reach=policy.search_reach,
            before_at=at,
            before_id=id_,
            before_seq=seq,
            limit=limit + 1,
        )
    return cut(rows, limit, _position)


@door.get("/me/mentions", limit="read")
async def list_mentions(
    actor: Actor, *, db: Database, policy: ChatPolicy, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Message]:
    """The messages that name oneself, in one's latest conversations; the newest first."""
    at, id_, seq = from_cursor(cursor, _Position) or (None, None, None)
    async with db.read() as tx:
        ids = await search.list_my_conversation_ids(tx, user_id=actor.id)
        rows = await search.list_mentions(
            tx,
            user_id=actor.id,
            ids=ids,
            reach=policy.search_reach,
            before_at=at,
            before_id=id_,
            before_seq=seq,
            limit=limit + 1,
        )
    return cut(rows, limit, _position)


def _position(message: Message) -> _Position:
    return message.created_at, message.conversation_id, message.seq
