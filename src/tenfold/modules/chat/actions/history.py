"""A stretch of a conversation: before a message, after one, around one, or its end; and one message by its number.

Numbers have no gaps, so a gap in what was found says that the rest is in the archive; only then both are asked, by one
statement. The latest message of a conversation is never there.
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
    if before is None:
        found, is_later = await _before(tx, actor, conversation_id, END, limit=limit + 1), False
    else:
        found = await _before(tx, actor, conversation_id, before + 1, limit=limit + 2)
        found, is_later = await _cut(tx, actor, conversation_id, found, edge=before)
    if not found and not is_later:
        await must_read(tx, actor, conversation_id)
    items = await with_mine(tx, actor, found[:limit][::-1])
    return Stretch(items, earlier=len(found) > limit, later=is_later)


async def read_after(tx: Read, actor: Actor, conversation_id: UUID, after: int, *, limit: int) -> Stretch:
    """The first messages after one. Raises `ConversationNotFound`."""
    found = await _after(tx, actor, conversation_id, max(after - 1, 0), limit=limit + 2)
    found, is_earlier = await _cut(tx, actor, conversation_id, found, edge=after)
    if not found and not is_earlier:
        await must_read(tx, actor, conversation_id)
    return Stretch(await with_mine(tx, actor, found[:limit]), earlier=is_earlier, later=len(found) > limit)


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
    """One message, with the reader's reactions. Raises `MessageNotFound`, also for who may not read there."""
    return (await with_mine(tx, actor, [await find_anywhere(tx, actor, conversation_id, seq)]))[0]


async def find_anywhere(tx: Read, actor: Actor, conversation_id: UUID, seq: int) -> Message:
    """One message, wherever it is kept. Raises `MessageNotFound`, also for who may not read there."""
    named = {"conversation_id": conversation_id, "seq": seq, "user_id": actor.id}
    found = await messages.find_message(tx, **named) or await messages.find_in_every(tx, **named)
    if found is None:
        raise MessageNotFound
    return found


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
    return await messages.list_every_before(tx, **asked)


async def _after(tx: Read, actor: Actor, conversation_id: UUID, after: int, *, limit: int) -> list[Message]:
    """At most `limit` messages after one, oldest first."""
    asked = {"conversation_id": conversation_id, "user_id": actor.id, "after": after, "limit": limit}
    found = await messages.list_after(tx, **asked)
    if not found or found[-1].seq - after == len(found):
        return found
    return await messages.list_every_after(tx, **asked)


async def _cut(
    tx: Read, actor: Actor, conversation_id: UUID, found: list[Message], *, edge: int
) -> tuple[list[Message], bool]:
    """What was found without the message at the edge of the stretch; whether there are any from there on.

    Numbers have no gaps: with something on this side of the edge and nothing at it, there is nothing on the other.
    """
    if found and found[0].seq == edge:
        return found[1:], True
    if found:
        return found, False
    return [], bool(await _before(tx, actor, conversation_id, END, limit=1))
