"""Home timelines: read one, wake and rebuild it, keep it short, push a post into those of followers.

A home is a cache of the newest posts for a reader who was here lately. Its promise: while it is active and not stale,
it has an entry for every post from `floor_id` on by everyone followed, except by pulled authors. Reading checks each
entry again, asks pulled authors (and the reader's own profile) beside it, and goes on below the floor by asking all.
"""

import contextlib
from collections.abc import Sequence
from uuid import UUID

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import Unavailable
from tenfold.modules.feed.queries import homes, timelines
from tenfold.modules.feed.shapes import LAST, NIL, FeedPolicy, HomeRow, PostRow
from tenfold.platform.db import Database, Read

_TRIES = 3


async def read_home(
    db: Database, actor: Actor, *, before: UUID | None, limit: int, policy: FeedPolicy
) -> Sequence[PostRow]:
    """Up to `limit` rows of the actor's home older than `before`: one statement when the home is fresh."""
    before = before or LAST
    for _ in range(_TRIES):
        async with db.read() as tx:
            rows = await timelines.list_home(tx, viewer_id=actor.id, before=before, limit=limit, now=tx.now)
            found = await _with_older(tx, actor, rows, before=before, limit=limit)
        if found is not None:
            if tx.now - rows[0].active_at >= policy.touch_every:
                with contextlib.suppress(Unavailable):
                    await tend_home(db, actor.id, policy=policy)
            return found
        try:
            await wake_home(db, actor.id, policy=policy)
        except Unavailable:
            break
    # Somebody who follows people faster than their home is rebuilt, or a database that takes no writes just now: ask
    # everyone followed, which is exact as well.
    async with db.read() as tx:
        return await timelines.list_home_by_pull(tx, viewer_id=actor.id, before=before, limit=limit, now=tx.now)


async def wake_home(db: Database, user_id: UUID, *, policy: FeedPolicy) -> None:
    """Make a home active and fresh, in two transactions.

    The first says that the home is active, and commits; only then does the second look at posts. A fan-out that still
    saw the home asleep took its snapshot before that commit, and the post that it carries was committed earlier still:
    so the rebuild sees that post. In one transaction, a post could commit after the rebuild looked, and its fan-out
    look before the home was seen awake: neither would write the entry.

    A follow marks the home stale in its own transaction, which waits for the row that the rebuild holds, or was there
    before it: so either the rebuild sees the follow, or the home is stale again afterwards.
    """
    async with db.write() as tx:
        await homes.wake_home(tx, user_id=user_id, floor_id=LAST, now=tx.now)

    async def rebuild(tx: Read) -> None:
        if await homes.lock_stale_home(tx, user_id=user_id) is None:
            return
        await homes.empty_home(tx, user_id=user_id)
        await homes.rebuild_home(tx, user_id=user_id, depth=policy.home_depth, cap=policy.home_cap, nil=NIL)

    await db.transact(rebuild)


async def tend_home(db: Database, user_id: UUID, *, policy: FeedPolicy) -> None:
    """Note that the reader is here, and cut a home that has grown to more than twice its cap."""
    async with db.write() as tx:
        await homes.touch_home(tx, user_id=user_id, now=tx.now)
        await homes.trim_home(tx, user_id=user_id, cap=policy.home_cap, twice=2 * policy.home_cap)


async def _with_older(
    tx: Read, actor: Actor, rows: list[HomeRow], *, before: UUID, limit: int
) -> Sequence[PostRow] | None:
    """The rows of a home, and what lies below its floor when they do not fill the page; None when it is not fresh."""
    if not rows or not rows[0].fresh:
        return None
    floor_id = rows[0].floor_id
    found: list[PostRow] = [row for row in rows if row.post_id is not None]
    missing = limit - sum(not row.embedded for row in found)
    if missing <= 0 or floor_id == NIL:
        return found
    older = await timelines.list_home_by_pull(
        tx, viewer_id=actor.id, before=min(before, floor_id), limit=missing, now=tx.now
    )
    return [*found, *older]
