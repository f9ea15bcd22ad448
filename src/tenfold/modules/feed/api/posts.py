"""Doors of posts: publish, read, edit, delete, and what hangs on one: answers, quotes, earlier versions."""

from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, cut, from_cursor
from tenfold.modules.feed.actions import write
from tenfold.modules.feed.api.answers import before_of, id_of, must_be_empty_not_unseen, one_post, page_of_posts
from tenfold.modules.feed.errors import PostIsForFollowers, PostNotFound, ThisIsARepost
from tenfold.modules.feed.queries import posts
from tenfold.modules.feed.shapes import NIL, Draft, Edit, Post, Revision
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.http import door


@door.post("/posts", limit="write", refuses=[PostNotFound, ThisIsARepost, PostIsForFollowers])
async def publish_post(tx: Write, actor: Actor, data: Draft, *, db: Database, cache: Cache) -> Post:
    """Publish a post, an answer (`reply_to`) or a quote (`quote_of`)."""
    return await one_post(db, cache, await write.publish_post(tx, actor, data), signed_in=True)


@door.get("/users/{author_id:uuid}/posts/{post_id:uuid}", limit="read", refuses=[PostNotFound])
async def read_post(actor: Actor | None, author_id: UUID, post_id: UUID, *, db: Database, cache: Cache) -> Post:
    """Read one post, with the one that it quotes or repeats."""
    async with db.read() as tx:
        rows = await write.see_post(tx, actor, author_id, post_id)
    return await one_post(db, cache, rows, signed_in=actor is not None)


@door.patch("/users/{author_id:uuid}/posts/{post_id:uuid}", limit="write", refuses=[PostNotFound, ThisIsARepost])
async def edit_post(
    tx: Write, actor: Actor, author_id: UUID, post_id: UUID, *, data: Revision, db: Database, cache: Cache
) -> Post:
    """Edit one's own post; what it said before stays readable. Other people's posts are not found here."""
    if author_id != actor.id:
        raise PostNotFound
    return await one_post(db, cache, await write.edit_post(tx, actor, post_id, data), signed_in=True)


@door.delete("/users/{author_id:uuid}/posts/{post_id:uuid}", limit="write", refuses=[PostNotFound])
async def delete_post(tx: Write, actor: Actor, author_id: UUID, post_id: UUID) -> None:
    """Delete one's own post or repost. Other people's posts are not found here."""
    if author_id != actor.id:
        raise PostNotFound
    await write.delete_post(tx, author_id, post_id)


@door.get("/users/{author_id:uuid}/posts/{post_id:uuid}/edits", limit="read", refuses=[PostNotFound])
async def list_edits(
    actor: Actor | None,
    author_id: UUID,
    post_id: UUID,
    *,
    db: Database,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Edit]:
    """What a post said before, newest version first."""
    async with db.read() as tx:
        rows = await posts.list_edits(
            tx,
            author_id=author_id,
            post_id=post_id,
            viewer_id=id_of(actor),
            before=before_of(cursor),
            limit=limit + 1,
        )
    if not rows:
        await must_be_empty_not_unseen(db, actor, author_id, post_id)
    return cut(rows, limit, lambda row: row.id)


@door.get("/users/{author_id:uuid}/posts/{post_id:uuid}/replies", limit="read", refuses=[PostNotFound])
async def list_replies(
    actor: Actor | None,
    author_id: UUID,
    post_id: UUID,
    *,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Post]:
    """The answers to a post, oldest first."""
    async with db.read() as tx:
        rows = await posts.list_replies(
            tx,
            author_id=author_id,
            post_id=post_id,
            viewer_id=id_of(actor),
            after=from_cursor(cursor, UUID) or NIL,
            limit=limit + 1,
        )
    if not rows:
        await must_be_empty_not_unseen(db, actor, author_id, post_id)
    return await page_of_posts(db, cache, rows, signed_in=actor is not None, limit=limit)


@door.get("/users/{author_id:uuid}/posts/{post_id:uuid}/quotes", limit="read", refuses=[PostNotFound])
async def list_quotes(
    actor: Actor | None,
    author_id: UUID,
    post_id: UUID,
    *,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Post]:
    """The posts that quote a post, newest first."""
    async with db.read() as tx:
        rows = await posts.list_quotes(
            tx,
            author_id=author_id,
            post_id=post_id,
            viewer_id=id_of(actor),
            before=before_of(cursor),
            limit=limit + 1,
        )
    if not rows:
        await must_be_empty_not_unseen(db, actor, author_id, post_id)
    return await page_of_posts(db, cache, rows, signed_in=actor is not None, limit=limit)
