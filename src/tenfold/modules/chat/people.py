"""Whose face stands beside a message: identity's cards, by way of the cache of this process."""

from collections.abc import Iterable
from uuid import UUID

from tenfold.modules import identity
from tenfold.modules.identity import UserCard
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database


async def cards_of(db: Database, cache: Cache, user_ids: Iterable[UUID]) -> dict[UUID, UserCard]:
    """The cards of those among these people who may be seen. Call it without holding a connection for reading."""
    wanted = set(user_ids)
    return await identity.cards(db, cache, wanted) if wanted else {}
