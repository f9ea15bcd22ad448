"""A sample feed, written in bulk: posts, answers, follows and likes at both their homes, with counters that agree.

The rows are what the deeds would have left behind once every job had run. Batches may come in any number; each
table's rows are quickest in the order of its key.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from tenfold.modules.feed.queries import homes
from tenfold.modules.feed.shapes import NIL, FeedPolicy
from tenfold.platform.db import Write


class SamplePost(NamedTuple):
    """A post of the past; the names are the table's."""

    author_id: UUID
    post_id: UUID
    body: str
    visibility: str
    lang: str
    reply_to_author_id: UUID | None
    reply_to_id: UUID | None
    root_author_id: UUID | None
    root_id: UUID | None
    created_at: datetime


class SampleFollow(NamedTuple):
    """One follows another since the time in `follow_id`."""

    follower_id: UUID
    followee_id: UUID
    follow_id: UUID


class SampleLike(NamedTuple):
    """Somebody likes a post since the time in `like_id`."""

    author_id: UUID
    post_id: UUID
    user_id: UUID
    like_id: UUID


class PostTotals(NamedTuple):
    """How many likes and answers a post has; a post without any needs none."""

    author_id: UUID
    post_id: UUID
    likes: int
    replies: int


class UserTotals(NamedTuple):
    """How much somebody wrote, how many follow them, and how many they follow."""

    user_id: UUID
    posts: int
    followers: int
    following: int


async def copy_posts(tx: Write, posts: Sequence[SamplePost]) -> None:
    """Write posts, and the row that each answer leaves at the home of what it answers."""
    await _copy(tx, "posts", SamplePost._fields, posts)
    answers = [
        (post.reply_to_author_id, post.reply_to_id, post.post_id, post.author_id) for post in posts if post.reply_to_id
    ]
    await _copy(tx, "replies", ("author_id", "post_id", "reply_id", "replier_id"), answers)


async def copy_follows(tx: Write, follows: Sequence[SampleFollow]) -> None:
    """Write follows at both homes."""
    await _copy(tx, "follows", SampleFollow._fields, follows)
    mirrored = _in_order((follow.followee_id, follow.follower_id, follow.follow_id) for follow in follows)
    await _copy(tx, "followers", ("user_id", "follower_id", "follow_id"), mirrored)


async def copy_likes(tx: Write, likes: Sequence[SampleLike]) -> None:
    """Write likes at both homes."""
    await _copy(tx, "likes", SampleLike._fields, likes)
    mirrored = _in_order((like.user_id, like.post_id, like.author_id, like.like_id) for like in likes)
    await _copy(tx, "user_likes", ("user_id", "post_id", "author_id", "like_id"), mirrored)


async def copy_post_totals(tx: Write, totals: Iterable[PostTotals]) -> None:
    """Write the counters of posts."""
    rows = [(row.author_id, row.post_id, row.likes, 0, 0, row.replies) for row in totals]
    await _copy(tx, "post_counts", ("author_id", "post_id", "likes", "reposts", "quotes", "replies"), rows)


async def copy_user_totals(tx: Write, totals: Sequence[UserTotals]) -> None:
    """Write the counters of people."""
    await _copy(tx, "user_counts", UserTotals._fields, totals)


async def copy_pulled(tx: Write, author_ids: Iterable[UUID]) -> None:
    """Write who has too many followers to push to."""
    await _copy(tx, "pulled_authors", ("author_id",), [(author_id,) for author_id in author_ids])


async def copy_public(tx: Write, newest: Iterable[tuple[UUID, UUID]]) -> None:
    """Write the public timeline: the ids and authors of the newest public posts that answer nothing."""
    await _copy(tx, "public_posts", ("post_id", "author_id"), newest)


async def wake(tx: Write, reader_ids: Iterable[UUID], policy: FeedPolicy) -> None:
    """Build the homes of readers who were here lately; all others are built when they return."""
    for reader_id in reader_ids:
        await homes.wake_home(tx, user_id=reader_id, floor_id=NIL, now=tx.now)
        await homes.rebuild_home(tx, user_id=reader_id, depth=policy.home_depth, cap=policy.home_cap, nil=NIL)


def _in_order(rows: Iterable[tuple[UUID, ...]]) -> list[tuple[UUID, ...]]:
    """Rows by their first two ids; as numbers, which compare ten times as fast as UUIDs do."""
    return sorted(rows, key=lambda row: (row[0].int, row[1].int))


async def _copy(tx: Write, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]) -> None:
    await tx.connection.copy_records_to_table(table, records=rows, columns=list(columns))
