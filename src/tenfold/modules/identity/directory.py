"""The directory: what other modules may ask about users. Whoever is deactivated, banned or erased is not in it."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from tenfold.modules.identity.guard import card_tag
from tenfold.modules.identity.queries import accounts as queries
from tenfold.modules.identity.rules.handles import handle_or_none, skeleton
from tenfold.modules.identity.shapes import UserCard
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Read

_CARD_LASTS = timedelta(hours=1)


async def cards(db: Database, cache: Cache, user_ids: Iterable[UUID]) -> dict[UUID, UserCard]:
    """The cards of these users, from the cache where it has them. Call it outside a transaction: it may open one."""

    async def compute(missing: Sequence[UUID]) -> dict[UUID, UserCard]:
        async with db.read() as tx:
            return await read_cards(tx, missing)

    wanted = list(dict.fromkeys(user_ids))
    return await cache.get_many("user_card", wanted, compute, ttl=_CARD_LASTS, tag=card_tag) if wanted else {}


async def read_cards(tx: Read, user_ids: Iterable[UUID]) -> dict[UUID, UserCard]:
    """The same as the database has them now, inside a transaction, by one statement."""
    wanted = list(set(user_ids))
    found = await queries.list_cards(tx, user_ids=wanted) if wanted else []
    return {card.id: card for card in found}


async def find_card(tx: Read, user_id: UUID) -> UserCard | None:
    """The card of one user, as the database has it now."""
    return (await read_cards(tx, [user_id])).get(user_id)


async def find_user_id(tx: Read, handle: str) -> UUID | None:
    """Whose handle this is, however its letters are written."""
    written = handle_or_none(handle)
    if written is None:
        return None
    holder = await queries.find_handle(tx, skeleton=skeleton(written), handle=written)
    return None if holder is None else holder.user_id
