"""Move one's markers: read, received, unread from. Others hear of what is not private, one's own devices of all."""

from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.modules.chat.errors import ConversationNotFound
from tenfold.modules.chat.queries import markers, members
from tenfold.modules.chat.rows import Marked
from tenfold.modules.chat.shapes import Marker
from tenfold.modules.chat.telling import ReadNews, tell_marker, tell_person
from tenfold.platform.db import Write


async def mark_read(tx: Write, actor: Actor, conversation_id: UUID, seq: int, *, is_private: bool) -> None:
    """Everything up to this message is read. It never goes back; `is_private` keeps it from the others."""
    marked = await markers.mark_read(
        tx, conversation_id=conversation_id, user_id=actor.id, seq=seq, is_private=is_private
    )
    await _tell(tx, actor, conversation_id, marked, is_shown=not is_private)


async def mark_delivered(tx: Write, actor: Actor, conversation_id: UUID, seq: int) -> None:
    """Everything up to this message has arrived at one of the reader's devices."""
    marked = await markers.mark_delivered(tx, conversation_id=conversation_id, user_id=actor.id, seq=seq)
    if marked is None:
        await _must_read(tx, actor, conversation_id)
    elif marked.is_shown:
        tell_marker(tx, conversation_id, Marker(actor.id, marked.shown_seq, marked.delivered_seq))


async def mark_unread(tx: Write, actor: Actor, conversation_id: UUID, seq: int | None) -> None:
    """Leave a conversation to be read later, from this message on; what others were told stays told."""
    marked = await markers.mark_unread(tx, conversation_id=conversation_id, user_id=actor.id, seq=seq)
    await _tell(tx, actor, conversation_id, marked, is_shown=False)


async def _tell(tx: Write, actor: Actor, conversation_id: UUID, marked: Marked | None, *, is_shown: bool) -> None:
    if marked is None:
        await _must_read(tx, actor, conversation_id)
        return
    tell_person(tx, actor.id, ReadNews(conversation_id, marked.read_seq, marked.is_marked_unread))
    if is_shown and marked.is_shown:
        tell_marker(tx, conversation_id, Marker(actor.id, marked.shown_seq, marked.delivered_seq))


async def _must_read(tx: Write, actor: Actor, conversation_id: UUID) -> None:
    """Nothing was moved: because nothing had to be, or because there is no such conversation for the actor."""
    if not await members.may_read(tx, conversation_id=conversation_id, user_id=actor.id):
        raise ConversationNotFound
