"""A large sample world, written with COPY: each module copies its own rows, this file hands them over in batches."""

from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import compress
from typing import TypeVar
from uuid import UUID

from tenfold.entry.sample.progress import Progress
from tenfold.entry.sample.world import FOLLOW, LIKE, PERSON, POST, World
from tenfold.modules.feed import sample as feed
from tenfold.modules.feed.shapes import FeedPolicy
from tenfold.modules.identity import sample as identity
from tenfold.platform.db import Write

T = TypeVar("T")
_BATCH = 50_000
_READERS = 2_000


def instant(milliseconds: int) -> datetime:
    """A point in time as a value with its zone."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


class Bulk:
    """Writes a world into empty tables. Ids are those of the world, so the same seed and end give the same rows."""

    def __init__(self, world: World, *, password_hash: str, policy: FeedPolicy) -> None:
        self._world = world
        self._password_hash = password_hash
        self._policy = policy
        self._people = ids_of_people(world)
        self._posts = [world.id_of(POST, world.at[index], index) for index in range(world.posts)]
        self._likes = array("I", bytes(4 * world.posts))
        self._replies = array("I", bytes(4 * world.posts))
        self._written = array("I", bytes(4 * world.users))
        self._followers = array("I", bytes(4 * world.users))
        self._following = array("I", bytes(4 * world.users))

    async def write(self, tx: Write, progress: Progress) -> None:
        """Write everything; the counters come last, from what was written."""
        for newcomers in batches(newcomers_of(self._world, self._people, self._password_hash), 10_000):
            await identity.copy_accounts(tx, newcomers)
            progress("people", len(newcomers), self._world.users)
        for posts in batches(self._sample_posts(), _BATCH):
            await feed.copy_posts(tx, posts)
            progress("posts", len(posts), self._world.posts)
        for follows in batches(self._sample_follows(), 4 * _BATCH):
            await feed.copy_follows(tx, follows)
            progress("follows", len(follows), None)
        for likes in batches(self._sample_likes(), 4 * _BATCH):
            await feed.copy_likes(tx, likes)
            progress("likes", len(likes), None)
        for totals in batches(self._post_totals(), _BATCH):
            await feed.copy_post_totals(tx, totals)
        await feed.copy_user_totals(tx, self._user_totals())
        pulled = [count >= self._policy.pull_threshold for count in self._followers]
        await feed.copy_pulled(tx, compress(self._people, pulled))
        newest = self._world.newest_public(self._policy.public_cap)
        await feed.copy_public(tx, [(self._posts[post], self._people[self._world.author[post]]) for post in newest])
        progress("counters", self._world.posts + self._world.users, None)
        for readers in batches(iter(self._people[-_READERS:]), 100):
            await feed.wake(tx, readers, self._policy)
            progress("homes", len(readers), min(_READERS, self._world.users))

    def _by_author(self) -> list[int]:
        """All posts, those of one author together and in the order of time: the order of their key."""
        author = self._world.author
        return sorted(range(self._world.posts), key=author.__getitem__)

    def _sample_posts(self) -> Iterator[feed.SamplePost]:
        world, people, posts = self._world, self._people, self._posts
        for index in self._by_author():
            author, answered = world.author[index], world.reply_to[index]
            self._written[author] += 1
            refs: tuple[UUID | None, ...] = (None, None, None, None)
            if answered >= 0:
                self._replies[answered] += 1
                root = world.root_of(index)
                refs = (people[world.author[answered]], posts[answered], people[world.author[root]], posts[root])
            visibility = "public" if world.is_public(index) else "followers"
            body, language = world.text(index), world.language(index)
            yield feed.SamplePost(
                people[author], posts[index], body, visibility, language, *refs, instant(world.at[index])
            )

    def _sample_follows(self) -> Iterator[feed.SampleFollow]:
        world, people = self._world, self._people
        for follower, followees in world.follows():
            self._following[follower] = len(followees)
            for followee in followees:
                self._followers[followee] += 1
                since = world.followed_at(follower, followee)
                yield feed.SampleFollow(
                    people[follower], people[followee], world.id_of(FOLLOW, since, follower, followee)
                )

    def _sample_likes(self) -> Iterator[feed.SampleLike]:
        world, people, posts = self._world, self._people, self._posts
        for post, likers in world.likes():
            self._likes[post] = len(likers)
            author = people[world.author[post]]
            for liker in likers:
                since = world.liked_at(post, liker)
                yield feed.SampleLike(author, posts[post], people[liker], world.id_of(LIKE, since, post, liker))

    def _post_totals(self) -> Iterator[feed.PostTotals]:
        for index in self._by_author():
            if self._likes[index] or self._replies[index]:
                author = self._people[self._world.author[index]]
                yield feed.PostTotals(author, self._posts[index], self._likes[index], self._replies[index])

    def _user_totals(self) -> list[feed.UserTotals]:
        columns = zip(self._people, self._written, self._followers, self._following, strict=True)
        return [feed.UserTotals(*row) for row in columns]


def ids_of_people(world: World) -> list[UUID]:
    """Everybody's id, in the order of the world."""
    return [world.id_of(PERSON, world.somebody(index).joined, index) for index in range(world.users)]


def newcomers_of(world: World, ids: list[UUID], password_hash: str) -> Iterator[identity.Newcomer]:
    """Everybody as identity takes them in."""
    for index, person_id in enumerate(ids):
        person = world.somebody(index)
        yield identity.Newcomer(
            id=person_id,
            email=person.email,
            handle=person.handle,
            name=person.name,
            bio=person.bio,
            password_hash=password_hash,
            joined_at=instant(person.joined),
        )


def batches(rows: Iterator[T], size: int) -> Iterator[list[T]]:
    """Cut a stream into lists of at most `size`."""
    batch: list[T] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
