"""What every list of posts or people has in common: its cursor in, its page out, and the question why it is empty."""

from collections.abc import Sequence
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import Page, from_cursor
from tenfold.modules.feed.errors import PostNotFound
from tenfold.modules.feed.people import cards_of, must_exist
from tenfold.modules.feed.queries import homes, posts
from tenfold.modules.feed.shapes import LAST, Person, PersonRow, Post, PostRow
from tenfold.modules.feed.shaping import to_page, to_people, to_posts, writers_of
from tenfold.modules.identity import UserNotFound
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database


def before_of(cursor: str | None) -> UUID:
    """Where a newest-first list goes on."""
    return from_cursor(cursor, UUID) or LAST


def id_of(actor: Actor | None) -> UUID | None:
    """Who reads; None for a visitor."""
    return actor.id if actor is not None else None


async def one_post(db: Database, cache: Cache, rows: Sequence[PostRow], *, signed_in: bool) -> Post:
    """The first of these rows as a post. Raises `PostNotFound` when there is none to show."""
    shown = to_posts(rows, await cards_of(db, cache, writers_of(rows)), signed_in=signed_in)
    if not shown:
        raise PostNotFound
    return shown[0]


async def page_of_posts(
    db: Database, cache: Cache, rows: Sequence[PostRow], *, signed_in: bool, limit: int
) -> Page[Post]:
    """A page of posts from `limit + 1` rows."""
    cards = await cards_of(db, cache, writers_of(rows))
    return to_page(rows, cards, signed_in=signed_in, limit=limit)


async def page_of_people(db: Database, cache: Cache, rows: Sequence[PersonRow], limit: int) -> Page[Person]:
    """A page of people from `limit + 1` rows."""
    return to_people(rows, await cards_of(db, cache, (row.user_id for row in rows)), limit)


async def must_be_empty_not_unseen(db: Database, actor: Actor | None, author_id: UUID, post_id: UUID) -> None:
    """An empty list under a post: raise `PostNotFound` when the reader may not see the post itself."""
    async with db.read() as tx:
        if not await posts.may_see_post(tx, author_id=author_id, post_id=post_id, viewer_id=id_of(actor)):
            raise PostNotFound


async def must_meet(db: Database, cache: Cache, actor: Actor | None, user_id: UUID) -> None:
    """An empty list of somebody: raise `UserNotFound` when there is no such person for the reader."""
    await must_exist(db, cache, user_id)
    async with db.read() as tx:
        if await homes.is_meetable(tx, author_id=user_id, viewer_id=id_of(actor)) is None:
            raise UserNotFound
