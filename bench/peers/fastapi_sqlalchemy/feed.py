"""The peer's feed: its queries, through the ORM."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, exists, false, func, insert, literal, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from bench.peers.fastapi_sqlalchemy.schemas import Card, Counts, PostOut, Ref, Viewer
from bench.peers.fastapi_sqlalchemy.tables import (
    Block,
    Bookmark,
    Follow,
    Follower,
    Home,
    HomeEntry,
    Like,
    Mute,
    Post,
    PostCount,
    PublicPost,
    PulledAuthor,
    UserCount,
    UserLike,
    UserRepost,
)
from tenfold.kit.ids import new_id

_ME = bindparam("viewer", type_=Uuid())


def _posts(*, signed_in: bool = True) -> Any:
    """Posts with author, counters and what the viewer has to do with them, in one statement."""
    if signed_in:
        states: list[Any] = [
            exists().where(UserLike.user_id == _ME, UserLike.post_id == Post.post_id),
            exists().where(Bookmark.user_id == _ME, Bookmark.post_id == Post.post_id),
            exists().where(UserRepost.user_id == _ME, UserRepost.post_id == Post.post_id),
            exists().where(Follow.follower_id == _ME, Follow.followee_id == Post.author_id),
        ]
    else:
        states = [false(), false(), false(), false()]
    loaded = (joinedload(Post.author), joinedload(Post.counts))
    return select(Post, *states).where(Post.deleted_at.is_(None)).options(*loaded)


_VISIBLE = or_(
    Post.visibility == "public",
    Post.author_id == _ME,
    exists().where(Follow.follower_id == _ME, Follow.followee_id == Post.author_id),
)

# Neither blocked nor muted, and answers only to people whom the viewer follows.
_WELCOME = [
    ~exists().where(Block.user_id == _ME, Block.other_id == Post.author_id),
    ~exists().where(
        Mute.user_id == _ME,
        Mute.muted_id == Post.author_id,
        or_(Mute.until.is_(None), Mute.until > func.now()),
    ),
    or_(
        Post.reply_to_author_id.is_(None),
        Post.reply_to_author_id == Post.author_id,
        Post.reply_to_author_id == _ME,
        exists().where(Follow.follower_id == _ME, Follow.followee_id == Post.reply_to_author_id),
    ),
]

# Statements are built once: building one costs as much as running it.
_FIND = _posts().where(
    Post.author_id == bindparam("author_id"),
    Post.post_id == bindparam("post_id"),
    _VISIBLE,
    ~exists().where(Block.user_id == _ME, Block.other_id == Post.author_id),
)
_PUSHED = (
    _posts()
    .join(HomeEntry, (HomeEntry.author_id == Post.author_id) & (HomeEntry.post_id == Post.post_id))
    .where(
        HomeEntry.user_id == _ME,
        exists().where(Follow.follower_id == _ME, Follow.followee_id == HomeEntry.author_id),
        *_WELCOME,
    )
    .order_by(HomeEntry.post_id.desc())
    .limit(bindparam("size"))
)
_FOLLOWED_PULLED = (
    select(PulledAuthor.author_id)
    .join(Follow, Follow.followee_id == PulledAuthor.author_id)
    .where(Follow.follower_id == _ME)
)
_PULLED = (
    _posts()
    .where(Post.author_id.in_(bindparam("authors", expanding=True)), Post.post_id >= bindparam("oldest"), *_WELCOME)
    .order_by(Post.post_id.desc())
    .limit(bindparam("size"))
)
_PUBLIC = (
    _posts(signed_in=False)
    .join(PublicPost, (PublicPost.author_id == Post.author_id) & (PublicPost.post_id == Post.post_id))
    .where(Post.visibility == "public")
    .order_by(PublicPost.post_id.desc())
    .limit(bindparam("size"))
)
_TARGET = select(Post.post_id).where(
    Post.author_id == bindparam("author_id"),
    Post.post_id == bindparam("post_id"),
    Post.deleted_at.is_(None),
    _VISIBLE,
)


def _out(row: Any, viewer: UUID | None) -> PostOut:
    post, liked, bookmarked, reposted, follows = row
    return PostOut(
        id=post.post_id,
        author=Card.model_validate(post.author),
        body=post.body,
        visibility=post.visibility,
        lang=post.lang,
        created_at=post.created_at,
        edited_at=post.edited_at,
        counts=Counts() if post.counts is None else Counts.model_validate(post.counts),
        viewer=None
        if viewer is None
        else Viewer(liked=liked, bookmarked=bookmarked, reposted=reposted, follows_author=follows),
        reply_to=None if post.reply_to_id is None else Ref(author_id=post.reply_to_author_id, id=post.reply_to_id),
        root=None if post.root_id is None else Ref(author_id=post.root_author_id, id=post.root_id),
    )


async def find_post(db: AsyncSession, viewer: UUID, author_id: UUID, post_id: UUID) -> PostOut | None:
    values = {"viewer": viewer, "author_id": author_id, "post_id": post_id}
    row = (await db.execute(_FIND, values)).one_or_none()
    return None if row is None else _out(row, viewer)


async def home(db: AsyncSession, viewer: UUID, limit: int) -> list[PostOut]:
    rows: list[Any] = list((await db.execute(_PUSHED, {"viewer": viewer, "size": limit})).all())
    authors: list[UUID] = [viewer, *(await db.scalars(_FOLLOWED_PULLED, {"viewer": viewer})).all()]
    oldest = rows[-1][0].post_id if len(rows) == limit else UUID(int=0)
    pulled = {"viewer": viewer, "authors": authors, "oldest": oldest, "size": limit}
    found = {row[0].post_id: row for row in [*rows, *(await db.execute(_PULLED, pulled)).all()]}
    newest = sorted(found, reverse=True)[:limit]
    return [_out(found[post_id], viewer) for post_id in newest]


async def public(db: AsyncSession, limit: int) -> list[PostOut]:
    return [_out(row, None) for row in (await db.execute(_PUBLIC, {"size": limit})).all()]


async def publish(db: AsyncSession, author_id: UUID, values: dict[str, Any]) -> UUID:
    post_id = new_id()
    db.add(Post(author_id=author_id, post_id=post_id, created_at=datetime.now(UTC), **values))
    await db.flush()
    await db.execute(
        update(UserCount)
        .where(UserCount.user_id == author_id)
        .values(posts=UserCount.posts + 1)
        .execution_options(synchronize_session=False)
    )
    await db.commit()
    return post_id


async def fan_out(db: AsyncSession, author_id: UUID, post_id: UUID) -> None:
    readers = (
        select(Follower.follower_id, literal(post_id), literal(author_id))
        .join(Home, Home.user_id == Follower.follower_id)
        .where(Follower.user_id == author_id, Home.active == true())
    )
    entries = upsert(HomeEntry).from_select(["user_id", "post_id", "author_id"], readers)
    await db.execute(entries.on_conflict_do_nothing())
    await db.execute(insert(PublicPost).values(post_id=post_id, author_id=author_id))
    await db.commit()


async def like(db: AsyncSession, viewer: UUID, author_id: UUID, post_id: UUID) -> bool:
    values = {"viewer": viewer, "author_id": author_id, "post_id": post_id}
    if (await db.scalar(_TARGET, values)) is None:
        return False
    like_id = new_id()
    written = await db.execute(
        upsert(Like)
        .values(author_id=author_id, post_id=post_id, user_id=viewer, like_id=like_id)
        .on_conflict_do_nothing()
        .returning(Like.like_id)
    )
    if written.scalar_one_or_none() is not None:
        db.add(UserLike(user_id=viewer, post_id=post_id, author_id=author_id, like_id=like_id))
        await db.flush()
        counted = upsert(PostCount).values(
            author_id=author_id, post_id=post_id, likes=1, reposts=0, quotes=0, replies=0
        )
        await db.execute(
            counted.on_conflict_do_update(
                index_elements=[PostCount.author_id, PostCount.post_id], set_={"likes": PostCount.likes + 1}
            )
        )
    await db.commit()
    return True
