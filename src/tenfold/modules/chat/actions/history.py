"""A stretch of a conversation: before a message, after one, around one, or its end.

Numbers have no gaps, so a gap in what was found says that the rest is in the archive; only then that is read. The
latest message of a conversation is never there.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat import rules
from tenfold.modules.chat.actions.reading import with_mine
from tenfold.modules.chat.errors import ConversationNotFound, MessageNotFound
from tenfold.modules.chat.queries import members, messages
from tenfold.modules.chat.shapes import Message
from tenfold.platform.db import Read

END = (1 << 62) + 1


class Stretch(msgspec.Struct, frozen=True):
    """Messages in their order, and whether there are others on either side."""

    items: Sequence[Message]
    earlier: bool
    later: bool


async def read_before(tx: Read, actor: Actor, conversation_id: UUID, before: int | None, *, limit: int) -> Stretch:
    """The last messages before one; without one, the end of the conversation. Raises `ConversationNotFound`."""
    found = await _before(tx, actor, conversation_id, END if before is None else before, limit=limit + 1)
    if not found:
        await must_read(tx, actor, conversation_id)
    items = await with_mine(tx, actor, found[:limit][::-1])
    return Stretch(items, earlier=len(found) > limit, later=before is not None)


async def read_after(tx: Read, actor: Actor, conversation_id: UUID, after: int, *, limit: int) -> Stretch:
    """The first messages after one. Raises `ConversationNotFound`."""
    found = await _after(tx, actor, conversation_id, after, limit=limit + 1)
    if not found:
        await must_read(tx, actor, conversation_id)
    return Stretch(await with_mine(tx, actor, found[:limit]), earlier=after > 0, later=len(found) > limit)


async def read_around(tx: Read, actor: Actor, conversation_id: UUID, around: int, *, limit: int) -> Stretch:
    """A message (or where it would be) in the middle of others."""
    half = limit // 2
    earlier = await _before(tx, actor, conversation_id, around, limit=half + 1)
    later = await _after(tx, actor, conversation_id, around - 1, limit=limit - half + 1)
    found = [*earlier[:half][::-1], *later[: limit - half]]
    if not found:
        await must_read(tx, actor, conversation_id)
    items = await with_mine(tx, actor, found)
    return Stretch(items, earlier=len(earlier) > half, later=len(later) > limit - half)


async def read_message(tx: Read, actor: Actor, conversation_id: UUID, seq: int) -> Message:
    """One message. Raises `MessageNotFound`, also for who may not read there."""
    named = {"conversation_id": conversation_id, "seq": seq, "user_id": actor.id}
    found = await messages.find_message(tx, **named) or await messages.find_archived(tx, **named)
    if found is None:
        raise MessageNotFound
    return (await with_mine(tx, actor, [found]))[0]


async def must_read(tx: Read, actor: Actor, conversation_id: UUID) -> None:
    """Nothing was found: raise `ConversationNotFound` unless the actor may read there."""
    if not await members.may_read(tx, conversation_id=conversation_id, user_id=actor.id):
        raise ConversationNotFound


async def _before(tx: Read, actor: Actor, conversation_id: UUID, before: int, *, limit: int) -> list[Message]:
    """At most `limit` messages before one, newest first."""
    asked = {"conversation_id": conversation_id, "user_id": actor.id, "before": before, "limit": limit}
    found = await messages.list_before(tx, **asked)
    if rules.is_whole([message.seq for message in found], before if before < END else None, limit):
        return found
    found += await messages.list_archived_before(tx, **asked)
    return sorted(found, key=_seq, reverse=True)[:limit]


async def _after(tx: Read, actor: Actor, conversation_id: UUID, after: int, *, limit: int) -> list[Message]:
    """At most `limit` messages after one, oldest first."""
    asked = {"conversation_id": conversation_id, "user_id": actor.id, "after": after, "limit": limit}
    found = await messages.list_after(tx, **asked)
    if not found or found[-1].seq - after == len(found):
        return found
    found += await messages.list_archived_after(tx, **asked)
    return sorted(found, key=_seq)[:limit]


def _seq(message: Message) -> int:
    return message.seq
