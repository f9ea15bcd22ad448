"""Doors of threads: the answers under one message, and up to where one has read them."""

from typing import Annotated
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, cut, from_cursor
from tenfold.modules.chat.actions import history
from tenfold.modules.chat.actions import threads as deeds
from tenfold.modules.chat.actions.reading import with_mine
from tenfold.modules.chat.errors import MessageNotFound
from tenfold.modules.chat.queries import threads
from tenfold.modules.chat.shapes import Message, Seq
from tenfold.platform.db import Database, Write
from tenfold.platform.http import door

_THREAD = "/conversations/{conversation_id:uuid}/messages/{seq:int}/thread"


class ThreadMarker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to which message one has read a thread."""

    read_seq: Seq


@door.get(_THREAD, limit="read", refuses=[MessageNotFound])
async def list_thread(
    actor: Actor,
    conversation_id: UUID,
    seq: Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)],
    *,
    db: Database,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Message]:
    """The answers in the thread under a message, oldest first."""
    async with db.read() as tx:
        rows = await threads.list_thread(
            tx,
            conversation_id=conversation_id,
            seq=seq,
            user_id=actor.id,
            after=from_cursor(cursor, int) or 0,
            limit=limit + 1,
        )
        if not rows:
            await history.read_message(tx, actor, conversation_id, seq)
        page = cut(rows, limit, lambda message: message.seq)
        return Page(await with_mine(tx, actor, page.items), page.next)


@door.get(_THREAD + "/read", limit="read", refuses=[MessageNotFound])
async def read_marker(actor: Actor, conversation_id: UUID, seq: int, *, db: Database) -> ThreadMarker:
    """Up to where one has read the thread under a message; 0 when one never did."""
    async with db.read() as tx:
        return ThreadMarker(await deeds.marker_of(tx, actor, conversation_id, seq))


@door.put(_THREAD + "/read", limit="write", refuses=[MessageNotFound], status=200)
async def mark_thread_read(
    tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, data: ThreadMarker
) -> ThreadMarker:
    """Move one's marker in a thread forward; the answer says where it stands."""
    return ThreadMarker(await deeds.mark_read(tx, actor, conversation_id, seq, read_seq=data.read_seq))
