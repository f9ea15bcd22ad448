"""The oracle of the feed: whatever happened in whatever order, a home is what a brute-force look at the graph says."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import Refusal
from tenfold.modules.feed import jobs
from tenfold.modules.feed.actions import react, relate, write
from tenfold.modules.feed.actions.homes import tend_home
from tenfold.modules.feed.queries import counts, homes, posts
from tenfold.modules.feed.shapes import Draft, Ref, Revision, UserCounts
from tenfold.platform.db import Database, many
from tests.modules.feed.stage import Stage

PEOPLE = 4
DEEDS = (
    *["follow"] * 6, "unfollow", "block", "unblock", "mute", "unmute", *["publish"] * 5, "publish_for_followers",
    "reply", "quote", "repost", "unrepost", "like", "unlike", "edit", "delete", "hide", "show", *["read"] * 5,
    "leave", "tend", "tend", "work", "work", "work_last", "fold", "reconcile",
)  # fmt: skip
steps = st.lists(
    st.tuples(st.sampled_from(DEEDS), st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1), st.integers(0, 30)),
    min_size=30,
    max_size=80,
)


@dataclass
class Written:
    """A post, as the model remembers it."""

    id: UUID
    author: int
    public: bool
    reply_to: "Written | None" = None
    quote_of: "Written | None" = None
    repost_of: "Written | None" = None
    deleted: bool = False
    likes: set[int] = field(default_factory=set)


@dataclass
class Model:
    """The brute force: sets, and a look at everything."""

    follows: set[tuple[int, int]] = field(default_factory=set)
    blocks: set[tuple[int, int]] = field(default_factory=set)
    mutes: set[tuple[int, int]] = field(default_factory=set)
    hidden: set[int] = field(default_factory=set)
    posts: list[Written] = field(default_factory=list)

    def blocked(self, a: int, b: int) -> bool:
        return (a, b) in self.blocks or (b, a) in self.blocks

    def sees(self, viewer: int, post: Written) -> bool:
        if post.deleted or post.author in self.hidden or self.blocked(viewer, post.author):
            return False
        if post.repost_of is not None and not self.sees(viewer, post.repost_of):
            return False
        return post.public or viewer == post.author or (viewer, post.author) in self.follows

    def in_home(self, viewer: int, post: Written) -> bool:
        if not self.sees(viewer, post) or (viewer, post.author) in self.mutes:
            return False
        if viewer != post.author and (viewer, post.author) not in self.follows:
            return False
        if post.repost_of is not None and (viewer, post.repost_of.author) in self.mutes:
            return False
        if post.reply_to is None or post.reply_to.author in (viewer, post.author):
            return True
        return (viewer, post.reply_to.author) in self.follows

    def home(self, viewer: int) -> list[UUID]:
        return sorted((post.id for post in self.posts if self.in_home(viewer, post)), reverse=True)

    def counts(self, post: Written) -> tuple[int, int, int, int]:
        alive = [other for other in self.posts if not other.deleted]
        return (
            len(post.likes),
            sum(other.repost_of is post for other in alive),
            sum(other.quote_of is post for other in alive),
            sum(other.reply_to is post for other in alive),
        )

    def user_counts(self, user: int) -> UserCounts:
        return UserCounts(
            sum(post.author == user and not post.deleted for post in self.posts),
            sum(followee == user for _, followee in self.follows),
            sum(follower == user for follower, _ in self.follows),
        )


class Play:
    """Does each step in the database and in the model."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.model = Model()
        self.people = [stage.person() for _ in range(PEOPLE)]

    def number(self, actor: Actor) -> int:
        return self.people.index(actor)

    def pick(self, n: int, *, alive: bool = True) -> Written | None:
        found = [post for post in self.model.posts if post.repost_of is None and not (alive and post.deleted)]
        return found[n % len(found)] if found else None

    def at(self, post: Written) -> tuple[UUID, UUID]:
        return self.people[post.author].id, post.id

    async def step(self, deed: str, a: int, b: int, n: int) -> None:
        await getattr(self, deed)(a, b, n)

    async def follow(self, a: int, b: int, n: int) -> None:
        if a != b and not self.model.blocked(a, b):
            await self.stage.do(relate.follow_user, self.people[a], self.people[b].id, policy=self.stage.policy)
            self.model.follows.add((a, b))

    async def unfollow(self, a: int, b: int, n: int) -> None:
        await self.stage.do(relate.unfollow_user, self.people[a], self.people[b].id)
        self.model.follows.discard((a, b))

    async def block(self, a: int, b: int, n: int) -> None:
        if a != b:
            await self.stage.do(relate.block_user, self.people[a], self.people[b].id)
            self.model.blocks.add((a, b))
            self.model.follows -= {(a, b), (b, a)}

    async def unblock(self, a: int, b: int, n: int) -> None:
        await self.stage.do(relate.unblock_user, self.people[a], self.people[b].id)
        self.model.blocks.discard((a, b))

    async def mute(self, a: int, b: int, n: int) -> None:
        if a != b:
            await self.stage.do(relate.mute_user, self.people[a], self.people[b].id, None)
            self.model.mutes.add((a, b))

    async def unmute(self, a: int, b: int, n: int) -> None:
        await self.stage.do(relate.unmute_user, self.people[a], self.people[b].id)
        self.model.mutes.discard((a, b))

    async def publish(self, a: int, b: int, n: int) -> None:
        await self._write(a, Draft(body="x"))

    async def publish_for_followers(self, a: int, b: int, n: int) -> None:
        await self._write(a, Draft(body="x", visibility="followers"))

    async def reply(self, a: int, b: int, n: int) -> None:
        parent = self.pick(n)
        if parent is not None and self.model.sees(a, parent):
            await self._write(a, Draft(body="x", reply_to=Ref(*self.at(parent))), reply_to=parent)

    async def quote(self, a: int, b: int, n: int) -> None:
        original = self.pick(n)
        if original is not None and original.public and self.model.sees(a, original):
            await self._write(a, Draft(body="x", quote_of=Ref(*self.at(original))), quote_of=original)

    async def _write(self, a: int, draft: Draft, **links: Written) -> None:
        rows = await self.stage.do(write.publish_post, self.people[a], draft)
        self.model.posts.append(Written(rows[0].post_id, a, draft.visibility == "public", **links))

    async def repost(self, a: int, b: int, n: int) -> None:
        original = self.pick(n)
        if original is None or not original.public or not self.model.sees(a, original):
            return
        await self.stage.do(react.repost_post, self.people[a], *self.at(original))
        again = [post for post in self.model.posts if post.repost_of is original and post.author == a]
        if all(post.deleted for post in again):
            ids = await self._own_ids(a)
            new = ids - {post.id for post in self.model.posts}
            assert len(new) == 1
            self.model.posts.append(Written(new.pop(), a, True, repost_of=original))

    async def unrepost(self, a: int, b: int, n: int) -> None:
        original = self.pick(n, alive=False)
        if original is not None:
            await self.stage.do(react.unrepost_post, self.people[a], *self.at(original))
            for post in self.model.posts:
                post.deleted |= post.repost_of is original and post.author == a

    async def like(self, a: int, b: int, n: int) -> None:
        post = self.pick(n)
        if post is not None and self.model.sees(a, post):
            await self.stage.do(react.like_post, self.people[a], *self.at(post))
            post.likes.add(a)

    async def unlike(self, a: int, b: int, n: int) -> None:
        post = self.pick(n)
        if post is not None:
            await self.stage.do(react.unlike_post, self.people[a], *self.at(post))
            post.likes.discard(a)

    async def edit(self, a: int, b: int, n: int) -> None:
        post = self.pick(n)
        if post is not None and post.author not in self.model.hidden:
            await self.stage.do(write.edit_post, self.people[post.author], post.id, Revision(body=f"y{n}"))

    async def delete(self, a: int, b: int, n: int) -> None:
        alive = [post for post in self.model.posts if not post.deleted]
        if alive:
            post = alive[n % len(alive)]
            await self.stage.do(write.delete_post, *self.at(post))
            post.deleted = True
            for repost in self.model.posts:
                repost.deleted |= repost.repost_of is post

    async def hide(self, a: int, b: int, n: int) -> None:
        await self.stage.do(homes.hide_author, author_id=self.people[a].id)
        self.model.hidden.add(a)

    async def show(self, a: int, b: int, n: int) -> None:
        await self.stage.do(homes.show_author, author_id=self.people[a].id)
        self.model.hidden.discard(a)

    async def read(self, a: int, b: int, n: int) -> None:
        """What is not there yet must be on its way; what is there must belong there, in order and once."""
        found = await self.stage.home(self.people[a], page=1 + n % 5)
        expected = self.model.home(a)
        on_its_way = {getattr(due.payload, "post_id", None) for due in self.stage.backlog.due}

        assert found == sorted(set(found), reverse=True)
        assert set(found) <= set(expected)
        assert set(expected) - set(found) <= on_its_way

    async def leave(self, a: int, b: int, n: int) -> None:
        await self.stage.do(homes.put_to_sleep, user_ids=[self.people[a].id])

    async def tend(self, a: int, b: int, n: int) -> None:
        await tend_home(self.stage.db, self.people[a].id, policy=self.stage.policy)

    async def work(self, a: int, b: int, n: int) -> None:
        if self.stage.backlog.due:
            await self.stage.work(n % len(self.stage.backlog.due))

    async def work_last(self, a: int, b: int, n: int) -> None:
        if self.stage.backlog.due:
            await self.stage.work(-1)

    async def fold(self, a: int, b: int, n: int) -> None:
        await self.stage.tick(jobs.fold_counts)

    async def reconcile(self, a: int, b: int, n: int) -> None:
        await self.stage.tick(jobs.reconcile_counts)

    async def _own_ids(self, a: int) -> set[UUID]:
        async with self.stage.db.read() as tx:
            return set(await own_ids(tx, author_id=self.people[a].id))

    async def check_homes(self) -> None:
        for number, person in enumerate(self.people):
            assert await self.stage.home(person) == self.model.home(number)

    async def check_counters(self) -> None:
        async with self.stage.db.read() as tx:
            for number, person in enumerate(self.people):
                assert await counts.count_user(tx, user_id=person.id) == self.model.user_counts(number)
            for post in self.model.posts:
                if post.repost_of is None and not post.deleted and post.author not in self.model.hidden:
                    author_id, post_id = self.at(post)
                    [row, *_] = await posts.find_post(tx, author_id=author_id, post_id=post_id, viewer_id=author_id)
                    assert (row.likes, row.reposts, row.quotes, row.replies) == self.model.counts(post)


own_ids = many(UUID, "select post_id from posts where author_id = :author_id")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=steps)
async def test_a_home_is_what_brute_force_says(database: Database, script: list[tuple[str, int, int, int]]) -> None:
    """Follow, block, publish, delete, absence, threshold, jobs late or out of order: home and counters are exact."""
    play = Play(Stage(database))
    for number in range(PEOPLE):
        await play.publish(number, 0, 0)
        await play.read(number, 0, 0)

    for step in script:
        await play.step(*step)
    await play.stage.drain()

    await play.check_homes()
    await play.check_counters()
    await play.stage.tick(jobs.fold_counts)
    await play.check_homes()
    await play.check_counters()
    await play.stage.tick(jobs.reconcile_counts)
    await play.check_counters()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_home_is_exact_after_everything_happened_at_once(database: Database, seed: int) -> None:
    """Deeds, jobs, readers and sleepers race; when all is quiet nobody misses a post or sees one too many."""
    dice = random.Random(seed)
    play = Play(Stage(database))
    people = range(PEOPLE)

    async def live(a: int) -> None:
        for _ in range(40):
            b, n = dice.choice(people), dice.randrange(30)
            deed = dice.choice(
                ["publish", "publish", "follow", "unfollow", "block", "unblock", "home", "leave", "work"]
            )
            try:
                if deed == "home":
                    await play.stage.home(play.people[a])
                elif deed == "work" or a != b:
                    await play.step(deed, a, b, n)
            except Refusal:
                continue
            await asyncio.sleep(0)

    await asyncio.gather(*(live(a) for a in people for _ in range(2)))
    await play.stage.drain()

    await settle(play)
    await play.check_homes()
    await play.stage.tick(jobs.fold_counts)
    await play.check_homes()
    await play.check_counters()


async def settle(play: Play) -> None:
    """Tell the model who follows and blocks whom in the end: the order of racing deeds is the database's."""
    number = {person.id: index for index, person in enumerate(play.people)}
    async with play.stage.db.read() as tx:
        pairs = await tx.connection.fetch("select follower_id, followee_id from follows")
        mirrored = await tx.connection.fetch("select follower_id, user_id from followers")
        blocks = await tx.connection.fetch("select user_id, other_id from blocks where side = 'out'")
    assert set(map(tuple, pairs)) == set(map(tuple, mirrored))
    play.model.follows = {(number[a], number[b]) for a, b in pairs}
    play.model.blocks = {(number[a], number[b]) for a, b in blocks}
    assert not any(play.model.blocked(a, b) for a, b in play.model.follows)


async def test_a_reader_is_put_to_sleep_and_finds_everything_on_return(database: Database) -> None:
    """Two weeks away: nothing is kept for the absent, and nothing is missing when they come back."""
    play = Play(Stage(database))
    await play.follow(0, 1, 0)
    await play.publish(1, 0, 0)
    await play.stage.drain()
    await play.read(0, 0, 4)
    await play.stage.rest(timedelta(days=15))

    await play.stage.tick(jobs.put_homes_to_sleep)
    await play.publish(1, 0, 0)
    await play.stage.drain()

    async with database.read() as tx:
        assert await tx.connection.fetchval("select count(*) from home_entries") == 0
    await play.check_homes()
