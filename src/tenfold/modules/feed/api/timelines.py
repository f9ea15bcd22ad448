"""Doors of timelines: home, public, one person's posts, and one's own bookmarks and likes."""

from datetime import timedelta
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, from_cursor
from tenfold.modules.feed.actions.homes import read_home
from tenfold.modules.feed.api.answers import before_of, id_of, must_meet, page_of_posts
from tenfold.modules.feed.queries import posts, timelines
from tenfold.modules.feed.shapes import FeedPolicy, Post
from tenfold.modules.identity import UserNotFound
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database
from tenfold.platform.http import door


@door.get("/timelines/home", limit="read")
async def read_home_timeline(
    actor: Actor, *, db: Database, cache: Cache, policy: FeedPolicy, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Post]:
    """What the people one follows (and oneself) published, newest first."""
    rows = await read_home(db, actor, before=from_cursor(cursor, UUID), limit=limit + 1, policy=policy)
    return await page_of_posts(db, cache, rows, signed_in=True, limit=limit)


@door.get("/timelines/public", limit="read", public_for=timedelta(seconds=5))
async def read_public_timeline(
    actor: Actor | None, *, db: Database, cache: Cache, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Post]:
    """The newest public posts of everybody, without answers and reposts."""
    async with db.read() as tx:
        rows = await timelines.list_public(
            tx, viewer_id=id_of(actor), before=before_of(cursor), limit=limit + 1, now=tx.now
        )
    return await page_of_posts(db, cache, rows, signed_in=actor is not None, limit=limit)


@door.get("/users/{user_id:uuid}/posts", limit="read", refuses=[UserNotFound])
async def list_posts(
    actor: Actor | None,
    user_id: UUID,
    *,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Post]:
    """What one person published, newest first: posts, answers and reposts."""
    async with db.read() as tx:
        rows = await posts.list_profile(
            tx, author_id=user_id, viewer_id=id_of(actor), before=before_of(cursor), limit=limit + 1
        )
    if not rows:
        await must_meet(db, cache, actor, user_id)
    return await page_of_posts(db, cache, rows, signed_in=actor is not None, limit=limit)


@door.get("/me/bookmarks", limit="read")
async def list_bookmarks(
    actor: Actor, *, db: Database, cache: Cache, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Post]:
    """The posts one has kept, newest bookmark first."""
    async with db.read() as tx:
        rows = await timelines.list_bookmarks(tx, viewer_id=actor.id, before=before_of(cursor), limit=limit + 1)
    return await page_of_posts(db, cache, rows, signed_in=True, limit=limit)


@door.get("/me/likes", limit="read")
async def list_my_likes(
    actor: Actor, *, db: Database, cache: Cache, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Post]:
    """The posts one likes, newest like first."""
    async with db.read() as tx:
        rows = await timelines.list_my_likes(tx, viewer_id=actor.id, before=before_of(cursor), limit=limit + 1)
    return await page_of_posts(db, cache, rows, signed_in=True, limit=limit)
