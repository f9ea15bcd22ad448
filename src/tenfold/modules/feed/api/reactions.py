"""Doors of reactions: like, bookmark and repost, take each back, and see who did."""

from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page
from tenfold.modules.feed.actions import react
from tenfold.modules.feed.api.answers import before_of, id_of, must_be_empty_not_unseen, page_of_people
from tenfold.modules.feed.errors import PostIsForFollowers, PostNotFound, ThisIsARepost
from tenfold.modules.feed.queries import posts
from tenfold.modules.feed.shapes import Person, PersonRow
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Statement, Write
from tenfold.platform.http import door


@door.put("/users/{author_id:uuid}/posts/{post_id:uuid}/like", limit="write", refuses=[PostNotFound, ThisIsARepost])
async def like_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Like a post."""
    await react.like_post(tx, actor, author_id, post_id)


@door.delete("/users/{author_id:uuid}/posts/{post_id:uuid}/like", limit="write", refuses=[PostNotFound])
async def unlike_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Take a like back; nothing happens when there is none."""
    await react.unlike_post(tx, actor, author_id, post_id)


@door.put("/users/{author_id:uuid}/posts/{post_id:uuid}/bookmark", limit="write", refuses=[PostNotFound, ThisIsARepost])
async def bookmark_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Keep a post for oneself."""
    await react.bookmark_post(tx, actor, author_id, post_id)


@door.delete("/users/{author_id:uuid}/posts/{post_id:uuid}/bookmark", limit="write", refuses=[PostNotFound])
async def unbookmark_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Drop a bookmark; nothing happens when there is none."""
    await react.unbookmark_post(tx, actor, author_id, post_id)


@door.put(
    "/users/{author_id:uuid}/posts/{post_id:uuid}/repost",
    limit="write",
    refuses=[PostNotFound, ThisIsARepost, PostIsForFollowers],
)
async def repost_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Show a public post on to one's followers."""
    await react.repost_post(tx, actor, author_id, post_id)


@door.delete("/users/{author_id:uuid}/posts/{post_id:uuid}/repost", limit="write", refuses=[PostNotFound])
async def unrepost_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Take a repost back; nothing happens when there is none."""
    await react.unrepost_post(tx, actor, author_id, post_id)


@door.get("/users/{author_id:uuid}/posts/{post_id:uuid}/likes", limit="read", refuses=[PostNotFound])
async def list_likes(
    actor: Actor | None,
    author_id: UUID,
    post_id: UUID,
    *,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Person]:
    """Who likes a post, newest like first."""
    asked = {"author_id": author_id, "post_id": post_id, "before": before_of(cursor)}
    return await _people_under(posts.list_likes, asked, actor, db=db, cache=cache, limit=limit)


@door.get("/users/{author_id:uuid}/posts/{post_id:uuid}/reposts", limit="read", refuses=[PostNotFound])
async def list_reposters(
    actor: Actor | None,
    author_id: UUID,
    post_id: UUID,
    *,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Person]:
    """Who reposted a post, newest repost first."""
    asked = {"author_id": author_id, "post_id": post_id, "before": before_of(cursor)}
    return await _people_under(posts.list_reposters, asked, actor, db=db, cache=cache, limit=limit)


async def _people_under(
    statement: Statement[list[PersonRow]],
    asked: dict[str, UUID],
    actor: Actor | None,
    *,
    db: Database,
    cache: Cache,
    limit: int,
) -> Page[Person]:
    """A page of those who did something with a post. Raises `PostNotFound` for a post that the reader may not see."""
    async with db.read() as tx:
        rows = await statement(tx, **asked, viewer_id=id_of(actor), limit=limit + 1)
    if not rows:
        await must_be_empty_not_unseen(db, actor, asked["author_id"], asked["post_id"])
    return await page_of_people(db, cache, rows, limit)
