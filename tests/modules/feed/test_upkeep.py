"""What jobs keep in order: homes trimmed, counters reconciled, graves cleared, the erased gone, listeners told."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tenfold.kit.actors import Actor
from tenfold.modules.feed import jobs
from tenfold.modules.feed.actions import leave, react, relate, write
from tenfold.modules.feed.actions.homes import read_home, tend_home, wake_home
from tenfold.modules.feed.errors import FollowsTooMany
from tenfold.modules.feed.manifest import module
from tenfold.modules.feed.queries import counts, homes
from tenfold.modules.feed.shapes import NIL, Draft, FeedPolicy, Ref, Revision, UserCounts
from tenfold.modules.identity import UserErased
from tenfold.platform.db import Database
from tests.modules.feed.stage import TINY, Stage


async def publish(stage: Stage, author: Actor, body: str = "x", **more: Any) -> Ref:
    [row, *_] = await stage.do(write.publish_post, author, Draft(body=body, **more))
    return Ref(row.author_id, row.post_id)


async def follow(stage: Stage, follower: Actor, followee: Actor) -> None:
    await stage.do(relate.follow_user, follower, followee.id, policy=stage.policy)


async def count_of(db: Database, table: str) -> int:
    async with db.read() as tx:
        return await tx.connection.fetchval(f"select count(*) from {table}")


async def test_a_home_that_grew_is_trimmed_and_loses_nothing(database: Database) -> None:
    """Below the new floor the same posts are pulled."""
    stage = Stage(database)
    reader, author = stage.person(), stage.person()
    await follow(stage, reader, author)
    await stage.home(reader)
    written = [await publish(stage, author) for _ in range(2 * TINY.home_cap + 1)]
    await stage.drain()
    assert await count_of(database, "home_entries") == 2 * TINY.home_cap + 1

    await tend_home(database, reader.id, policy=stage.policy)

    assert await count_of(database, "home_entries") == TINY.home_cap
    assert await stage.home(reader) == [ref.id for ref in written[::-1]]


async def test_reading_writes_that_the_reader_is_here_at_most_once_an_hour(database: Database) -> None:
    """A read stays a read; the first one after an hour also tends the home."""
    stage = Stage(database)
    reader = stage.person()
    seen = []
    for minutes in (0, 30, 45, 5):
        await stage.rest(timedelta(minutes=minutes))
        await read_home(database, reader, before=None, limit=5, policy=stage.policy)
        async with database.read() as tx:
            seen.append(await tx.connection.fetchval("select active_at from homes"))

    assert seen[0] == seen[1]
    assert seen[1] < seen[2] == seen[3]


async def test_a_post_that_commits_between_waking_and_rebuilding_is_not_lost(database: Database) -> None:
    """The fan-out looks before the home is awake, the rebuild after the post is there: one of them has it."""
    stage = Stage(database)
    reader, author = stage.person(), stage.person()
    await follow(stage, reader, author)
    post = await publish(stage, author)
    async with database.write() as fan_out:
        await homes.push_to_followers(fan_out, author_id=author.id, post_id=post.id, after=NIL, limit=5)
        await wake_home(database, reader.id, policy=stage.policy)

    assert await stage.home(reader) == [post.id]


async def test_a_popular_author_is_pulled_and_stays_it(database: Database) -> None:
    """From the threshold on nothing is pushed, and every follower still has every post."""
    stage = Stage(database)
    author, readers = stage.person(), [stage.person() for _ in range(TINY.pull_threshold)]
    for reader in readers:
        await follow(stage, reader, author)
        await stage.home(reader)
    before = await publish(stage, author)
    await stage.drain()

    await stage.tick(jobs.fold_counts)
    pushed = await count_of(database, "home_entries")
    after = await publish(stage, author)
    await stage.drain()

    assert await count_of(database, "pulled_authors") == 1
    assert await count_of(database, "home_entries") == pushed
    for reader in readers:
        assert await stage.home(reader) == [after.id, before.id]


async def test_the_nightly_count_corrects_what_drifted(database: Database) -> None:
    """Whatever a fault left in a counter, the rows decide."""
    stage = Stage(database)
    author, reader = stage.person(), stage.person()
    await follow(stage, reader, author)
    post = await publish(stage, author)
    await stage.do(react.like_post, reader, author.id, post.id)
    await stage.tick(jobs.fold_counts)
    async with database.write() as tx:
        await tx.connection.execute("update user_counts set followers = 77, posts = 0")
        await tx.connection.execute("update post_counts set likes = 99")
    await stage.do(react.unlike_post, reader, author.id, post.id)

    await stage.tick(jobs.reconcile_counts)

    async with database.read() as tx:
        assert await counts.count_user(tx, user_id=author.id) == UserCounts(posts=1, followers=1, following=0)
        likes = "select likes + (select sum(likes) from post_count_deltas) from post_counts"
        assert await tx.connection.fetchval(likes) == 0


async def test_reposts_go_with_their_original(database: Database) -> None:
    """They show nothing any more, so they count no longer: what a profile says is what it lists. Quotes stay."""
    stage = Stage(database)
    author, reader = stage.person(), stage.person()
    post = await publish(stage, author)
    await stage.do(react.repost_post, reader, author.id, post.id)
    await publish(stage, reader, quote_of=post)
    await stage.do(write.delete_post, author.id, post.id)

    await stage.drain()

    async with database.read() as tx:
        assert (await counts.count_user(tx, user_id=reader.id)).posts == 1
    await stage.tick(jobs.reconcile_counts)
    async with database.read() as tx:
        assert (await counts.count_user(tx, user_id=reader.id)).posts == 1


async def test_a_deleted_post_is_cleared_away_after_its_time(database: Database) -> None:
    """With everything that hung on it, reposts by others included; their authors' counts follow."""
    stage = Stage(database)
    author, reader = stage.person(), stage.person()
    post = await publish(stage, author)
    await stage.do(react.like_post, reader, author.id, post.id)
    await stage.do(react.repost_post, reader, author.id, post.id)
    await stage.do(write.delete_post, author.id, post.id)
    await stage.tick(jobs.clear_graves)
    assert await count_of(database, "posts") == 2
    await stage.rest(TINY.grave + timedelta(days=1))

    await stage.tick(jobs.clear_graves)

    for table in ("posts", "likes", "user_likes", "reposts", "user_reposts", "post_count_deltas"):
        assert await count_of(database, table) == 0, table
    async with database.read() as tx:
        assert (await counts.count_user(tx, user_id=reader.id)).posts == 0


async def test_the_public_timeline_is_capped(database: Database) -> None:
    """It reaches back so many posts and no further."""
    stage = Stage(database, FeedPolicy(public_cap=3))
    author = stage.person()
    for _ in range(5):
        await publish(stage, author)
    await stage.drain()

    await stage.tick(jobs.trim_public)

    assert await count_of(database, "public_posts") == 3


async def test_an_erased_person_leaves_no_row_and_no_count(database: Database) -> None:
    """Everything of theirs is gone, at home and with others; what others wrote stays."""
    stage = Stage(database)
    gone, other = stage.person(), stage.person()
    await follow(stage, gone, other)
    await follow(stage, other, gone)
    mine, theirs = await publish(stage, gone), await publish(stage, other)
    for person, post in ((gone, theirs), (other, mine)):
        await stage.do(react.like_post, person, post.author_id, post.id)
        await stage.do(react.bookmark_post, person, post.author_id, post.id)
        await stage.do(react.repost_post, person, post.author_id, post.id)
        await publish(stage, person, reply_to=post)
        await stage.home(person)
    await stage.do(relate.mute_user, gone, other.id, None)
    await stage.drain()

    for _ in range(2):
        await stage.call(jobs.erase_person, UserErased(user_id=gone.id))
    await stage.drain()
    await stage.tick(jobs.fold_counts)

    async with database.read() as tx:
        assert await counts.count_user(tx, user_id=other.id) == UserCounts(posts=2, followers=0, following=0)
        tables = await tx.connection.fetch(
            "select table_name, column_name from information_schema.columns join information_schema.tables"
            " using (table_schema, table_name) where table_schema = 'public' and data_type = 'uuid'"
            " and table_name = any($1)",
            list(module.homes),
        )
        left = {
            f"{table}.{column}"
            for table, column in tables
            if await tx.connection.fetchval(f"select count(*) from {table} where {column} = $1", gone.id)
        }
    # An answer keeps the address of what it answered, a bookmark and an entry that of what is not there any more.
    assert left <= {"posts.reply_to_author_id", "posts.root_author_id", "bookmarks.author_id", "home_entries.author_id"}


async def test_a_fold_puts_back_no_counter_of_who_is_erased(database: Database) -> None:
    """A fold that was under way inserts a base that the erasure cannot see yet: the erasure waits for it."""
    stage = Stage(database)
    gone = stage.person()
    await publish(stage, gone)

    async with database.write() as fold:
        await jobs.fold_counts(fold, stage.policy)
        erasing = asyncio.create_task(stage.call(jobs.erase_person, UserErased(user_id=gone.id)))
        await asyncio.sleep(0.1)
    await erasing

    assert await count_of(database, "user_counts") == await count_of(database, "user_count_deltas") == 0


async def test_a_fold_puts_back_no_counter_of_a_cleared_post(database: Database) -> None:
    """The same for a grave: the base of its counters would stay for ever."""
    stage = Stage(database)
    author = stage.person()
    post = await publish(stage, author)
    await stage.do(react.like_post, stage.person(), author.id, post.id)
    await stage.do(write.delete_post, author.id, post.id)
    await stage.rest(TINY.grave + timedelta(days=1))

    async with database.write() as fold:
        await jobs.fold_counts(fold, stage.policy)
        clearing = asyncio.create_task(stage.tick(jobs.clear_graves))
        await asyncio.sleep(0.1)
    await clearing

    assert await count_of(database, "post_counts") == await count_of(database, "post_count_deltas") == 0


async def test_one_takes_a_copy_of_what_one_did(database: Database) -> None:
    """Posts and their earlier versions, likes, bookmarks, follows, blocks, mutes; of others nothing but addresses."""
    stage = Stage(database)
    me, other = stage.person(), stage.person()
    mine, theirs = await publish(stage, me, "first"), await publish(stage, other, "theirs")
    await stage.do(write.edit_post, me, mine.id, Revision(body="mine"))
    await follow(stage, me, other)
    await stage.do(react.like_post, me, other.id, theirs.id)
    await stage.do(react.bookmark_post, me, other.id, theirs.id)

    async with database.read() as tx:
        copy: Any = await leave.export_feed(tx, me.id)

    assert [(post.id, post.body) for post in copy["posts"]] == [(mine.id, "mine")]
    assert [(version.post_id, version.body) for version in copy["earlier_versions"]] == [(mine.id, "first")]
    assert copy["likes"] == copy["bookmarks"] == [theirs]
    assert [row.user_id for row in copy["follows"]] == [other.id]
    assert copy["blocks"] == copy["mutes"] == []


async def test_one_follows_no_more_people_than_the_policy_says(database: Database) -> None:
    """What makes a home dear has a bound."""
    stage = Stage(database, FeedPolicy(following_cap=1))
    me = stage.person()
    await follow(stage, me, stage.person())

    with pytest.raises(FollowsTooMany):
        await follow(stage, me, stage.person())


async def test_a_walk_along_many_followers_takes_turns(database: Database) -> None:
    """Batch by batch, each a job of its own: a popular author's post waits between its batches like everybody's."""
    stage = Stage(database, FeedPolicy(fan_out_batch=2))
    author, readers = stage.person(), [stage.person() for _ in range(5)]
    for reader in readers:
        await follow(stage, reader, author)
        await stage.home(reader)
    stage.backlog.due.clear()
    await publish(stage, author)

    held = []
    while stage.backlog.due:
        await stage.work()
        held.append(await count_of(database, "home_entries"))

    assert held == [2, 4, 5]
