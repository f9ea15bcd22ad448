"""The live side of chat: `conversation:{id}` carries every change under its number, `user:{id}` only hints.

A hint says that a conversation has moved on. It is never trusted for counts: clients derive what is unread from `seq`.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.modules.chat.actions.replay import changes_since, positions_of
from tenfold.modules.chat.actions.typing import TypingIn, TypingNews, must_be_able_to_type
from tenfold.modules.chat.presence import list_acquainted
from tenfold.modules.chat.queries import markers, members
from tenfold.modules.chat.shapes import ChatPolicy, Marker
from tenfold.modules.chat.ties import Ties
from tenfold.platform.db import Database
from tenfold.platform.realtime import Replayed, channel

MARKERS_SHOWN = 100


class _Revised(msgspec.Struct):
    revision: int = 0


class _Touched(msgspec.Struct):
    messages: list[_Revised] = []
    members: list[msgspec.Raw] = []
    conversation: msgspec.Raw | None = None


_touched = msgspec.json.Decoder(_Touched)


class Welcome(msgspec.Struct, frozen=True):
    """What who opens a conversation is told at once: how far the others are. Not in a channel."""

    markers: list[Marker]


async def welcome(actor: Actor, conversation_id: UUID, *, db: Database) -> Welcome:
    """The markers of the others; of the first hundred in a large group, the rest by `GET …/receipts`."""
    async with db.read() as tx:
        found = await markers.list_markers(
            tx, conversation_id=conversation_id, user_id=actor.id, after=None, limit=MARKERS_SHOWN
        )
    return Welcome([marker for marker in found if marker.user_id != actor.id])


async def replay(
    actor: Actor | None, conversation_id: UUID, since: int, limit: int, *, db: Database
) -> Replayed | None:
    """Everything that changed after `since`, as it is now, in the order of the changes."""
    async with db.read(snapshot=True) as tx:
        found = await changes_since(tx, conversation_id, since, limit=limit)
    if found is None:
        return None
    changes, offset = found
    return Replayed([(change.change_no, change) for change in changes], offset)


async def positions(ids: Sequence[UUID], *, db: Database) -> dict[UUID, int]:
    """The number of the latest change of each of these conversations."""
    async with db.read() as tx:
        return await positions_of(tx, ids)


def is_new_message(data: msgspec.Raw) -> bool:
    """Whether a change is a new message and nothing else: an edit, a deletion, a hold replaces what was said."""
    change = _touched.decode(data)
    is_new = not any(message.revision for message in change.messages)
    return is_new and not change.members and change.conversation is None


async def type_live(actor: Actor, data: msgspec.Raw, conversation_id: UUID, *, db: Database) -> TypingNews | None:
    """The one thing that clients publish themselves: that somebody is typing. Anything else is refused."""
    try:
        typing = msgspec.json.decode(data, type=TypingIn)
    except msgspec.MsgspecError:
        return None
    async with db.read() as tx:
        await must_be_able_to_type(tx, actor, conversation_id)
    return TypingNews(actor.id, typing.thread_root)


@channel(
    "conversation:{conversation_id}",
    welcome=welcome,
    may_publish=type_live,
    replay=replay,
    positions=positions,
    is_addition=is_new_message,
)
async def conversation(actor: Actor, conversation_id: UUID, *, db: Database) -> bool:
    """Who is in a conversation may listen to it; who else does is told to nobody (decision 0024).

    Not to a stranger's request, nor across a block: typing and markers come here.
    """
    async with db.read() as tx:
        return await members.may_listen(tx, conversation_id=conversation_id, user_id=actor.id)


@channel("presence:{user_id}")
async def presence(actor: Actor, user_id: UUID, *, db: Database, policy: ChatPolicy, ties: Ties) -> bool:
    """Whoever knows somebody may listen to their coming and going (see `presence`)."""
    async with db.read() as tx:
        return user_id in await list_acquainted(tx, actor, [user_id], policy=policy, ties=ties)
