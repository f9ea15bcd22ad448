"""Ties: what chat asks about people, answered by the feed, which stands beside it."""

from collections.abc import Collection
from uuid import UUID

from tenfold.modules.chat.ties import Tie, Ties
from tenfold.modules.feed import Relationship, blocked_among, hold_relationship, relationship
from tenfold.platform.db import Read, Write


class FeedTies(Ties):
    """Who follows and blocks whom, for chat, which stands beside the feed and may not ask it."""

    async def between(self, tx: Read, user_id: UUID, other_id: UUID) -> Tie:
        """As the feed has it at present."""
        return _tie(await relationship(tx, user_id, other_id))

    async def hold(self, tx: Write, user_id: UUID, other_id: UUID) -> Tie:
        """As the feed has it until the transaction ends."""
        return _tie(await hold_relationship(tx, user_id, other_id))

    async def blocked_among(self, tx: Read, user_id: UUID, other_ids: Collection[UUID]) -> set[UUID]:
        """As the feed has it at present."""
        return await blocked_among(tx, user_id, other_ids)


def _tie(found: Relationship) -> Tie:
    return Tie(follows=found.following, is_blocked=found.blocking or found.blocked_by)
