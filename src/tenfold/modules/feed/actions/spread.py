"""Spread news of a post or its author among the followers, a batch at a time: into their homes, live to listeners."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from tenfold.modules.feed.live import AuthorGone, PostGone, PostNews
from tenfold.modules.feed.people import cards_of
from tenfold.modules.feed.queries import homes, posts
from tenfold.modules.feed.shapes import NIL, FeedPolicy, Post, Quoted, Viewer
from tenfold.modules.feed.shaping import to_posts, writers_of
from tenfold.platform.cache import Cache
from tenfold.platform.db import Database, Write
from tenfold.platform.realtime import Realtime, user_channel

News = Literal["post.published", "post.edited"]


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """A walk along an author's followers, in the order of their ids: what is told, and where it goes on.

    News of the author themselves name no post. `along` walks along the followers of somebody else, who reposted or
    quoted the post.
    """

    author_id: UUID
    post_id: UUID = NIL
    news: News | Literal["post.deleted", "author.gone"]
    along: UUID | None = None
    after: UUID = NIL

    @property
    def followed_id(self) -> UUID:
        """Whose followers are walked along."""
        return self.along or self.author_id


class Spreader:
    """What a walk needs beside its transaction."""

    def __init__(self, db: Database, cache: Cache, live: Realtime, policy: FeedPolicy) -> None:
        self._db = db
        self._cache = cache
        self._live = live
        self._limit = policy.fan_out_batch

    async def spread(self, tx: Write, walk: Walk) -> Walk | None:
        """Serve one batch of followers (whom they follow comes first). Answers with the rest of the walk, if any."""
        if walk.news == "post.published":
            reached = await homes.push_to_followers(
                tx, author_id=walk.author_id, post_id=walk.post_id, after=walk.after, limit=self._limit
            )
        else:
            reached = await homes.list_followers_after(
                tx, author_id=walk.followed_id, after=walk.after, limit=self._limit
            )
        await self._tell(tx, walk, [walk.followed_id, *reached] if walk.after == NIL else reached)
        return msgspec.structs.replace(walk, after=reached[-1]) if len(reached) == self._limit else None

    async def spread_to_all(self, tx: Write, walk: Walk) -> None:
        """Serve every follower before the transaction ends: for followers who will not be there any more."""
        rest: Walk | None = walk
        while rest is not None:
            rest = await self.spread(tx, rest)

    async def _tell(self, tx: Write, walk: Walk, user_ids: Sequence[UUID]) -> None:
        channels = {user_channel(user_id): user_id for user_id in user_ids}
        listening = self._live.listening(channels)
        if not listening:
            return
        if walk.news in ("post.deleted", "author.gone"):
            gone = PostGone(walk.author_id, walk.post_id) if walk.news == "post.deleted" else AuthorGone(walk.author_id)
            for channel in listening:
                tx.tell(channel, gone)
            return
        rows = await posts.find_post(tx, author_id=walk.author_id, post_id=walk.post_id, viewer_id=walk.author_id)
        shown = to_posts(rows, await cards_of(self._db, self._cache, writers_of(rows)), signed_in=True)
        if shown:
            readers = [channels[channel] for channel in listening]
            await self._tell_readers(tx, walk.news, shown[0], user_ids=readers, anywhere=walk.along is not None)

    async def _tell_readers(
        self, tx: Write, news: News, post: Post, *, user_ids: Sequence[UUID], anywhere: bool
    ) -> None:
        """Ask for each reader as if they read their home now: blocks, mutes and the original's visibility count."""
        kinds = [(follows, sees) for follows in (False, True) for sees in (False, True)]
        told = {kind: PostNews(news, _as_reader(post, *kind)) for kind in kinds}
        mine = PostNews(news, post)
        readers = await homes.list_readers(
            tx,
            author_id=post.author.id,
            post_id=post.id,
            reader_ids=user_ids,
            anywhere=anywhere,
            now=tx.now,
        )
        for reader in sorted(readers, key=lambda reader: (reader.follows_author, reader.sees_original)):
            theirs = told[reader.follows_author, reader.sees_original]
            tx.tell(user_channel(reader.user_id), mine if reader.user_id == post.author.id else theirs)


def _as_reader(post: Post, follows_author: bool, sees_original: bool) -> Post:
    """The post without what its author has to do with the one inside: their likes and bookmarks are not news."""
    quoted = post.quote_of
    return msgspec.structs.replace(
        post,
        viewer=Viewer(follows_author=follows_author),
        repost_of=_unmet(post.repost_of),
        quote_of=quoted and Quoted(quoted.author_id, quoted.id, _unmet(quoted.post) if sees_original else None),
    )


def _unmet(post: Post | None) -> Post | None:
    return post and msgspec.structs.replace(post, viewer=Viewer())
