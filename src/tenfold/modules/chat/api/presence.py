"""Doors of presence: who of the people one knows is here, one's own sign of life, and that one is typing."""

from typing import Annotated
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import Invalid
from tenfold.modules.chat.actions.typing import type_in
from tenfold.modules.chat.errors import ConversationNotFound, OnlyAdminsWriteHere
from tenfold.modules.chat.presence import Presence, list_acquainted, presence_of
from tenfold.modules.chat.queries import acquainted
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.modules.chat.ties import Ties
from tenfold.platform.db import Database, Write
from tenfold.platform.http import door
from tenfold.platform.realtime import Realtime

_MOST = 100
UserIds = Annotated[
    str, msgspec.Meta(min_length=36, max_length=37 * _MOST, description="Ids, separated by commas; at most 100.")
]


class Presences(msgspec.Struct, frozen=True):
    """Whoever the asker does not know is left out."""

    items: list[Presence]


@door.get("/presence", limit="read", etag=False)
async def read_presence(
    actor: Actor, *, user_ids: UserIds, db: Database, live: Realtime, policy: ChatPolicy, ties: Ties
) -> Presences:
    """Who of these people is here, of those one knows: by an accepted direct conversation or a smaller group."""
    asked = _ids(user_ids)
    async with db.read() as tx:
        known = await list_acquainted(tx, actor, asked, policy=policy, ties=ties)
    return Presences(await presence_of(db, live, known, policy=policy))


@door.put("/me/activity", limit="write")
async def touch(tx: Write, actor: Actor) -> None:
    """Give a sign of life: somebody uses this device. Once a minute while they do is enough."""
    await acquainted.touch(tx, user_id=actor.id, now=tx.now)


@door.put(
    "/conversations/{conversation_id:uuid}/typing",
    limit="write",
    refuses=[ConversationNotFound, OnlyAdminsWriteHere],
)
async def type_here(actor: Actor, conversation_id: UUID, *, db: Database, live: Realtime) -> None:
    """Say that one is typing; it holds for some seconds, so say it again while it goes on. It is never stored."""
    await type_in(db, live, actor, conversation_id)


def _ids(text: str) -> list[UUID]:
    try:
        ids = [UUID(piece) for piece in text.split(",")]
    except ValueError:
        raise Invalid("query.user_ids", "must be ids, separated by commas") from None
    if len(ids) > _MOST:
        raise Invalid("query.user_ids", f"holds {len(ids)} ids; at most {_MOST} fit")
    return ids
