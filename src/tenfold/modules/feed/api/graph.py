"""Doors of the graph: follow, block and mute, take each back, and the lists of people that come of it."""

from datetime import datetime
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.pages import CursorText, Limit, Page, from_cursor
from tenfold.modules.feed.actions import relate
from tenfold.modules.feed.api.answers import before_of, id_of, must_meet, page_of_people
from tenfold.modules.feed.errors import FollowsTooMany, NotOneself, UserIsBlocked
from tenfold.modules.feed.people import cards_of, must_exist
from tenfold.modules.feed.queries import counts, graph
from tenfold.modules.feed.shapes import NIL, FeedPolicy, Muted, Person, Relationship, UserCounts
from tenfold.modules.feed.shaping import to_blocked, to_muted
from tenfold.modules.identity import UserNotFound
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.http import door


@door.put(
    "/users/{user_id:uuid}/follow",
    limit="write",
    refuses=[UserNotFound, UserIsBlocked, FollowsTooMany, NotOneself],
)
async def follow_user(
    tx: Write, actor: Actor, user_id: UUID, *, db: Database, cache: Cache, policy: FeedPolicy
) -> None:
    """Follow somebody. Across a block there is nobody to follow."""
    await must_exist(db, cache, user_id)
    await relate.follow_user(tx, actor, user_id, policy=policy)


@door.delete("/users/{user_id:uuid}/follow", limit="write", refuses=[UserNotFound])
async def unfollow_user(tx: Write, actor: Actor, user_id: UUID) -> None:
    """Stop following somebody; nothing happens when one did not."""
    await relate.unfollow_user(tx, actor, user_id)


@door.put("/users/{user_id:uuid}/block", limit="write", refuses=[UserNotFound, NotOneself])
async def block_user(tx: Write, actor: Actor, user_id: UUID, *, db: Database, cache: Cache) -> None:
    """Block somebody: neither follows the other from now on, nor sees what the other writes."""
    await must_exist(db, cache, user_id)
    await relate.block_user(tx, actor, user_id)


@door.delete("/users/{user_id:uuid}/block", limit="write", refuses=[UserNotFound])
async def unblock_user(tx: Write, actor: Actor, user_id: UUID) -> None:
    """End a block of one's own; nothing happens when there is none."""
    await relate.unblock_user(tx, actor, user_id)


@door.put("/users/{user_id:uuid}/mute", limit="write", refuses=[UserNotFound, NotOneself])
async def mute_user(
    tx: Write, actor: Actor, user_id: UUID, *, db: Database, cache: Cache, until: datetime | None = None
) -> None:
    """Keep somebody out of one's home and public timeline, until an instant or for good."""
    await must_exist(db, cache, user_id)
    await relate.mute_user(tx, actor, user_id, until)


@door.delete("/users/{user_id:uuid}/mute", limit="write", refuses=[UserNotFound])
async def unmute_user(tx: Write, actor: Actor, user_id: UUID) -> None:
    """Let somebody into one's timelines again; nothing happens when they were not muted."""
    await relate.unmute_user(tx, actor, user_id)


@door.get("/users/{user_id:uuid}/relationship", limit="read", refuses=[UserNotFound])
async def read_relationship(db: Database, cache: Cache, actor: Actor, user_id: UUID) -> Relationship:
    """What one is to somebody, and they to oneself."""
    await must_exist(db, cache, user_id)
    async with db.read() as tx:
        return await graph.find_relationship(tx, user_id=actor.id, other_id=user_id, now=tx.now)


@door.get("/users/{user_id:uuid}/counts", limit="read", refuses=[UserNotFound])
async def read_counts(db: Database, cache: Cache, actor: Actor | None, user_id: UUID) -> UserCounts:
    """How much somebody wrote, how many follow them, and how many they follow."""
    await must_exist(db, cache, user_id)
    async with db.read() as tx:
        shown = await counts.show_counts(tx, user_id=user_id, viewer_id=id_of(actor))
    if shown is None:
        raise UserNotFound
    return shown


@door.get("/users/{user_id:uuid}/followers", limit="read", refuses=[UserNotFound])
async def list_followers(
    actor: Actor | None,
    user_id: UUID,
    *,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Person]:
    """Who follows somebody, newest first."""
    async with db.read() as tx:
        rows = await graph.list_followers(
            tx, user_id=user_id, viewer_id=id_of(actor), before=before_of(cursor), limit=limit + 1
        )
    if not rows:
        await must_meet(db, cache, actor, user_id)
    return await page_of_people(db, cache, rows, limit)


@door.get("/users/{user_id:uuid}/following", limit="read", refuses=[UserNotFound])
async def list_following(
    actor: Actor | None,
    user_id: UUID,
    *,
    db: Database,
    cache: Cache,
    limit: Limit = 20,
    cursor: CursorText | None = None,
) -> Page[Person]:
    """Whom somebody follows, newest first."""
    async with db.read() as tx:
        rows = await graph.list_following(
            tx, user_id=user_id, viewer_id=id_of(actor), before=before_of(cursor), limit=limit + 1
        )
    if not rows:
        await must_meet(db, cache, actor, user_id)
    return await page_of_people(db, cache, rows, limit)


@door.get("/me/blocks", limit="read")
async def list_blocks(
    actor: Actor, *, db: Database, cache: Cache, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Person]:
    """Whom one blocks, in the order of their ids."""
    async with db.read() as tx:
        rows = await graph.list_blocks(tx, user_id=actor.id, after=from_cursor(cursor, UUID) or NIL, limit=limit + 1)
    return to_blocked(rows, await cards_of(db, cache, (row.user_id for row in rows)), limit)


@door.get("/me/mutes", limit="read")
async def list_mutes(
    actor: Actor, *, db: Database, cache: Cache, limit: Limit = 20, cursor: CursorText | None = None
) -> Page[Muted]:
    """Whom one mutes at present, in the order of their ids."""
    async with db.read() as tx:
        rows = await graph.list_mutes(
            tx, user_id=actor.id, after=from_cursor(cursor, UUID) or NIL, limit=limit + 1, now=tx.now
        )
    return to_muted(rows, await cards_of(db, cache, (row.user_id for row in rows)), limit)
