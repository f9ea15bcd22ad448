"""A small sample world, built by the deeds that people do: each follow, post and like goes through its action.

Each deed happens in its own time. The facts of this invented past are told to nobody: no mail leaves. What
their followers would have kept (the public timeline, pulled authors) is written at the end; homes are built when read.
A deed may take locks that last as long as its transaction, so there are many transactions, each with a few deeds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from tenfold.entry.sample.bulk import batches, ids_of_people, instant, newcomers_of
from tenfold.entry.sample.progress import Progress
from tenfold.entry.sample.world import World
from tenfold.kit.actors import Actor
from tenfold.kit.ids import minting_at
from tenfold.modules.feed import sample as feed
from tenfold.modules.feed.actions.react import like_post
from tenfold.modules.feed.actions.relate import follow_user
from tenfold.modules.feed.actions.write import publish_post
from tenfold.modules.feed.shapes import Draft, FeedPolicy, Ref
from tenfold.modules.identity import sample as identity
from tenfold.platform.db import Write

_FOLLOWERS = 10
_POSTS = 200
_LIKED = 100


class Deeds:
    """Lets the people of a world do what they did."""

    def __init__(self, world: World, *, password_hash: str, policy: FeedPolicy) -> None:
        self._world = world
        self._password_hash = password_hash
        self._policy = policy
        self._people = ids_of_people(world)
        self._posts: list[UUID] = []

    async def write(self, tx: Write, progress: Progress) -> None:
        """Do everything, chunk by chunk; within a transaction of the caller's each chunk is a savepoint."""
        async with tx.connection.transaction():
            for newcomers in batches(newcomers_of(self._world, self._people, self._password_hash), 1_000):
                await identity.copy_accounts(tx, newcomers)
                progress("people", len(newcomers), self._world.users)
        await self._follow(tx, progress)
        await self._publish(tx, progress)
        await self._like(tx, progress)

    async def _follow(self, tx: Write, progress: Progress) -> None:
        followers: Counter[int] = Counter()
        for chunk in batches(self._world.follows(), _FOLLOWERS):
            async with tx.connection.transaction():
                for follower, followees in chunk:
                    followers.update(followees)
                    await self._follow_all(tx, follower, followees)
                    progress("follows", len(followees), None)
        pulled = [person for person, count in followers.items() if count >= self._policy.pull_threshold]
        await feed.copy_pulled(tx, [self._people[person] for person in pulled])

    async def _follow_all(self, tx: Write, follower: int, followees: Iterable[int]) -> None:
        for followee in followees:
            with at(tx, self._world.followed_at(follower, followee)) as then:
                await follow_user(then, self._actor(follower), self._people[followee], policy=self._policy)

    async def _publish(self, tx: Write, progress: Progress) -> None:
        world = self._world
        for chunk in batches(iter(range(world.posts)), _POSTS):
            async with tx.connection.transaction():
                for post in chunk:
                    self._posts.append(await self._publish_one(tx, post))
            progress("posts", len(chunk), world.posts)
        newest = world.newest_public(self._policy.public_cap)
        await feed.copy_public(tx, [(self._posts[post], self._people[world.author[post]]) for post in newest])

    async def _publish_one(self, tx: Write, post: int) -> UUID:
        world = self._world
        draft = Draft(
            body=world.text(post),
            visibility="public" if world.is_public(post) else "followers",
            lang=world.language(post),
            reply_to=self._ref(world.reply_to[post]) if world.reply_to[post] >= 0 else None,
        )
        with at(tx, world.at[post]) as then:
            rows = await publish_post(then, self._actor(world.author[post]), draft)
        return rows[0].post_id

    async def _like(self, tx: Write, progress: Progress) -> None:
        for chunk in batches(self._world.likes(), _LIKED):
            async with tx.connection.transaction():
                for post, likers in chunk:
                    await self._like_one(tx, post, likers)
                    progress("likes", len(likers), None)

    async def _like_one(self, tx: Write, post: int, likers: Iterable[int]) -> None:
        ref = self._ref(post)
        for liker in likers:
            with at(tx, self._world.liked_at(post, liker)) as then:
                await like_post(then, self._actor(liker), ref.author_id, ref.id)

    def _actor(self, person: int) -> Actor:
        return Actor(id=self._people[person], session_id=self._people[person], verified=True)

    def _ref(self, post: int) -> Ref:
        return Ref(self._people[self._world.author[post]], self._posts[post])


@contextmanager
def at(tx: Write, milliseconds: int) -> Iterator[Write]:
    """The same transaction at another time; what is announced in it is forgotten."""
    then = instant(milliseconds)
    with minting_at(then):
        yield Write(tx.connection, then)
