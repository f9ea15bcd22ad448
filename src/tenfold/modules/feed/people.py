"""Whose face stands beside a post: identity's cards, by way of the cache of this process."""

from collections.abc import Iterable
from uuid import UUID

from tenfold.modules import identity
from tenfold.modules.identity import UserCard, UserNotFound
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database


async def cards_of(db: Database, cache: Cache, user_ids: Iterable[UUID]) -> dict[UUID, UserCard]:
    """The cards of those among these people who may be seen. Call it without holding a connection for reading."""
    return await identity.cards(db, cache, user_ids)


async def must_exist(db: Database, cache: Cache, user_id: UUID) -> None:
    """Raise `UserNotFound` for somebody who is not here (any more)."""
    if user_id not in await cards_of(db, cache, [user_id]):
        raise UserNotFound
