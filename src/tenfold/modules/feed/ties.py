"""What other modules may ask the feed about people, inside a transaction of theirs."""

from collections.abc import Collection
from uuid import UUID

from tenfold.modules.feed.queries import graph
from tenfold.modules.feed.shapes import Relationship
from tenfold.platform.db import Read, Write


async def relationship(tx: Read, user_id: UUID, other_id: UUID) -> Relationship:
    """What `user_id` is to `other_id`, and they to them, at present."""
    return await graph.find_relationship(tx, user_id=user_id, other_id=other_id, now=tx.now)


async def hold_relationship(tx: Write, user_id: UUID, other_id: UUID) -> Relationship:
    """The same, and neither follows or blocks the other anew until the transaction ends. Comes before other locks."""
    await graph.lock_pair(tx, one_id=user_id, other_id=other_id)
    return await relationship(tx, user_id, other_id)


async def blocked_among(tx: Read, user_id: UUID, other_ids: Collection[UUID]) -> set[UUID]:
    """Those of these people who block `user_id`, or whom `user_id` blocks."""
    return set(await graph.list_blocked_among(tx, user_id=user_id, other_ids=list(other_ids)))
