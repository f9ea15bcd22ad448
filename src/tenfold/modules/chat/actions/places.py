"""One's own place in a conversation: mute it, hide it until something is said, put it away. No other learns of it."""

from datetime import datetime
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.clock import lies_ahead
from tenfold.kit.refusals import Invalid
from tenfold.modules.chat.errors import ConversationNotFound
from tenfold.modules.chat.queries import conversations, members
from tenfold.modules.chat.telling import PlaceNews, tell_person
from tenfold.platform.db import Write

_IN_SIGHT = -1


async def mute(tx: Write, actor: Actor, conversation_id: UUID, *, until: datetime | None) -> None:
    """Keep a conversation out of one's counts, until an instant or for good."""
    if until is not None and not lies_ahead(until, tx.now):
        raise Invalid("query.until", "must be a time to come, within a hundred years, with its zone")
    at = {"user_id": actor.id, "conversation_id": conversation_id}
    _settled(tx, actor, conversation_id, await members.mute_place(tx, **at, is_muted=True, until=until))


async def unmute(tx: Write, actor: Actor, conversation_id: UUID) -> None:
    """Count a conversation again."""
    at = {"user_id": actor.id, "conversation_id": conversation_id}
    _settled(tx, actor, conversation_id, await members.mute_place(tx, **at, is_muted=False, until=None))


async def hide(tx: Write, actor: Actor, conversation_id: UUID) -> None:
    """Take a conversation off one's list as it stands now."""
    here = await conversations.find_conversation(tx, conversation_id=conversation_id)
    if here is None:
        raise ConversationNotFound
    at = {"user_id": actor.id, "conversation_id": conversation_id}
    _settled(tx, actor, conversation_id, await members.hide_place(tx, **at, seq=here.last_seq))


async def unhide(tx: Write, actor: Actor, conversation_id: UUID) -> None:
    """Put a conversation back on one's list."""
    at = {"user_id": actor.id, "conversation_id": conversation_id}
    _settled(tx, actor, conversation_id, await members.hide_place(tx, **at, seq=_IN_SIGHT))


async def archive(tx: Write, actor: Actor, conversation_id: UUID, *, is_archived: bool) -> None:
    """Put a conversation away, or take it out again."""
    at = {"user_id": actor.id, "conversation_id": conversation_id}
    _settled(tx, actor, conversation_id, await members.archive_place(tx, **at, is_archived=is_archived))


def _settled(tx: Write, actor: Actor, conversation_id: UUID, touched: int) -> None:
    """Tell one's other devices; raise `ConversationNotFound` when one has no place there."""
    if not touched:
        raise ConversationNotFound
    tell_person(tx, actor.id, PlaceNews(conversation_id, "conversation.settled"))
