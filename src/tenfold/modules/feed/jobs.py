"""What follows a fact of the feed or of identity, and what the feed does on a clock."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import msgspec

from tenfold.modules.feed.actions import leave, write
from tenfold.modules.feed.actions.spread import Spreader, Walk
from tenfold.modules.feed.errors import PostNotFound
from tenfold.modules.feed.events import PostDeleted, PostEdited, PostPublished
from tenfold.modules.feed.queries import counts, homes, posts, upkeep
from tenfold.modules.feed.shapes import NIL, FeedPolicy
from tenfold.modules.identity import UserErased, UserHidden, UserShown
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.jobs import after, every, job
from tenfold.platform.realtime import Realtime

_FOLDED_AT_ONCE = 5_000
_BATCH = 200
_COUNTED_AT_ONCE = 50


@after(PostPublished, priority="high")
async def fan_out(
    tx: Write, fact: PostPublished, *, db: Database, cache: Cache, live: Realtime, policy: FeedPolicy
) -> None:
    """Put a new post into the public timeline and into followers' homes, and tell those who listen."""
    await homes.insert_public_post(tx, author_id=fact.author_id, post_id=fact.post_id)
    await _walk(
        tx,
        Spreader(db, cache, live, policy),
        Walk(author_id=fact.author_id, post_id=fact.post_id, news="post.published"),
    )


@after(PostEdited, priority="low")
async def tell_edit(
    tx: Write, fact: PostEdited, *, db: Database, cache: Cache, live: Realtime, policy: FeedPolicy
) -> None:
    """Tell followers who listen that a post was edited, and those of people who reposted or quoted it."""
    walk = Walk(author_id=fact.author_id, post_id=fact.post_id, news="post.edited")
    await _walk(tx, Spreader(db, cache, live, policy), walk)
    await _echo(tx, walk, policy)


@after(PostDeleted)
async def tell_deletion(
    tx: Write, fact: PostDeleted, *, db: Database, cache: Cache, live: Realtime, policy: FeedPolicy
) -> None:
    """Tell followers who listen that a post is gone, and those of people who quoted it; its reposts go with it."""
    walk = Walk(author_id=fact.author_id, post_id=fact.post_id, news="post.deleted")
    await _walk(tx, Spreader(db, cache, live, policy), walk)
    await _echo(tx, walk, policy)


@job()
async def walk_on(tx: Write, walk: Walk, *, db: Database, cache: Cache, live: Realtime, policy: FeedPolicy) -> None:
    """Serve the next batch of an author's followers."""
    await _walk(tx, Spreader(db, cache, live, policy), walk)


@job(priority="low")
async def echo_on(tx: Write, walk: Walk, policy: FeedPolicy) -> None:
    """Serve the next batch of a post's reposts and quotes."""
    await _echo(tx, walk, policy)


@after(UserHidden)
async def hide_author(
    tx: Write, fact: UserHidden, *, db: Database, cache: Cache, live: Realtime, policy: FeedPolicy
) -> None:
    """Let nobody see what a hidden person wrote, and tell followers who listen that it is gone."""
    if await leave.hide_or_show(tx, fact.user_id):
        await _walk(tx, Spreader(db, cache, live, policy), Walk(author_id=fact.user_id, news="author.gone"))


@after(UserShown)
async def show_author(tx: Write, fact: UserShown) -> None:
    """Show again what a person wrote."""
    await leave.hide_or_show(tx, fact.user_id)


@after(UserErased, timeout=timedelta(minutes=10))
async def erase_person(
    tx: Write, fact: UserErased, *, db: Database, cache: Cache, live: Realtime, policy: FeedPolicy
) -> None:
    """Tell followers who listen that an erased person is gone, and delete everything of theirs."""
    await leave.erase_person(tx, Spreader(db, cache, live, policy), fact.user_id)


@every(timedelta(seconds=1), priority="high")
async def fold_counts(tx: Write, policy: FeedPolicy) -> None:
    """Add pending deltas to the counters, and stop to push for authors who have become too popular for it."""
    await counts.lock_counts(tx)
    await counts.fold_post_counts(tx, limit=_FOLDED_AT_ONCE)
    popular = await counts.fold_user_counts(tx, limit=_FOLDED_AT_ONCE, threshold=policy.pull_threshold)
    if popular:
        await counts.pull_authors(tx, author_ids=popular)


@every("17 3 * * *", priority="low", timeout=timedelta(hours=2))
async def reconcile_counts(db: Database) -> None:
    """Count everything afresh, a batch of authors at a time, and correct the counters that differ."""
    after_id = NIL
    while authors := await _reconcile(db, after_id):
        after_id = authors[-1]


@every(timedelta(hours=1), priority="low")
async def put_homes_to_sleep(db: Database, policy: FeedPolicy) -> None:
    """Empty the homes of readers who have been away for long; they are rebuilt on return."""
    slept = _BATCH
    while slept == _BATCH:
        async with db.write() as tx:
            idle = await homes.list_idle_homes(tx, before=tx.now - policy.absence, limit=_BATCH)
            await homes.put_to_sleep(tx, user_ids=idle)
            slept = len(idle)


@every(timedelta(minutes=1), priority="low")
async def trim_public(tx: Write, policy: FeedPolicy) -> None:
    """Cut the public timeline to the newest posts."""
    await homes.trim_public(tx, cap=policy.public_cap)


@every("47 3 * * *", priority="low", timeout=timedelta(hours=1))
async def clear_graves(db: Database, policy: FeedPolicy) -> None:
    """Delete for good the posts that were deleted long ago."""
    cleared = _BATCH
    while cleared == _BATCH:
        async with db.write() as tx:
            # First of all: a fold meanwhile would put back a counter that is cleared here.
            await counts.lock_counts(tx)
            dead = await upkeep.list_graves(tx, before=tx.now - policy.grave, limit=_BATCH)
            if dead:
                await leave.clear_posts(tx, dead)
            cleared = len(dead)


async def _walk(tx: Write, spreader: Spreader, walk: Walk) -> None:
    """One batch, and a job for the rest: so a popular author's fan-out takes turns with everybody else's."""
    rest = await spreader.spread(tx, walk)
    if rest is not None:
        tx.enqueue(walk_on, rest, tenant=str(walk.author_id))


async def _echo(tx: Write, walk: Walk, policy: FeedPolicy) -> None:
    """A walk of its own for each of a batch of reposts and quotes, and a job for the rest.

    A repost of a post that is gone shows nothing any more: it is deleted, which has a walk of its own too.
    """
    limit, tenant = policy.fan_out_batch, str(walk.author_id)
    echoes = await posts.list_echoes(tx, author_id=walk.author_id, post_id=walk.post_id, after=walk.after, limit=limit)
    for echo in echoes:
        if echo.is_repost and walk.news == "post.deleted":
            with suppress(PostNotFound):
                await write.delete_post(tx, echo.author_id, echo.id)
        else:
            tx.enqueue(walk_on, msgspec.structs.replace(walk, along=echo.author_id, after=NIL), tenant=tenant)
    if len(echoes) == limit:
        tx.enqueue(echo_on, msgspec.structs.replace(walk, after=echoes[-1].id), tenant=tenant)


async def _reconcile(db: Database, after_id: UUID) -> list[UUID]:
    async with db.write() as tx:
        await counts.lock_counts(tx)
        authors = await counts.list_authors_after(tx, after=after_id, limit=_COUNTED_AT_ONCE)
        if authors:
            await counts.reconcile_posts(tx, author_ids=authors)
            await counts.reconcile_users(tx, author_ids=authors)
        return authors
