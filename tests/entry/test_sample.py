"""The sample world: the same by deeds and in bulk, the same for the same seed, and as the modules promise."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from tenfold.entry.sample import PASSWORD, run
from tenfold.entry.sample.bulk import Bulk
from tenfold.entry.sample.deeds import Deeds
from tenfold.entry.sample.progress import silent
from tenfold.entry.sample.world import World
from tenfold.kit.refusals import CannotStart
from tenfold.modules.feed.queries import counts
from tenfold.modules.feed.shapes import FeedPolicy
from tenfold.modules.identity.rules.handles import read_handle, skeleton
from tenfold.platform.db import Database, Write
from tenfold.platform.db.embedded import Address
from tests.postgres import Cluster
from tests.world import World as Town

UNTIL = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1000
POLICY = FeedPolicy(pull_threshold=25, public_cap=40)
POSTS = (
    "select handle, body, visibility, lang, posts.created_at, left(post_id::text, 13)"
    " from posts join users on author_id = user_id"
)
LIKES = (
    "select handle, body from {} mark join users on users.user_id = mark.user_id join posts using (author_id, post_id)"
)
FOLLOWS = (
    "select a.handle, b.handle, left(follow_id::text, 13) from {} f"
    " join users a on a.user_id = {} join users b on b.user_id = {}"
)
LOOKS = (
    f"{POSTS} order by 1, 5, 2",
    FOLLOWS.format("follows", "follower_id", "followee_id") + " order by 1, 2",
    FOLLOWS.format("followers", "follower_id", "f.user_id") + " order by 1, 2",
    LIKES.format("likes") + " order by 1, 2",
    LIKES.format("user_likes") + " order by 1, 2",
    "select body from public_posts join posts using (author_id, post_id) order by left(post_id::text, 13), 1",
    "select handle from pulled_authors join users on user_id = author_id order by 1",
    "select q.body, a.body from replies r join posts q using (author_id, post_id)"
    " join posts a on a.author_id = replier_id and a.post_id = reply_id order by 1, 2",
    "select * from users order by user_id",
    "select handle, likes, replies, body from post_counts join posts using (author_id, post_id)"
    " join users on user_id = author_id where likes + replies > 0 order by 1, 4, 2, 3",
    "select * from user_counts order by user_id",
)


async def built(address: Address, kind: type[Bulk] | type[Deeds]) -> list[Any]:
    """A tiny world, what it looks like, and how many counters a reconciliation had to correct."""
    db = Database(address.dsn, **address.options)
    await db.open()
    world = World(users=60, posts=300, seed=3, until=UNTIL)
    async with db.write() as tx:
        await kind(world, password_hash="-", policy=POLICY).write(tx, silent)
    looks: list[Any] = []
    async with db.write() as tx:
        await fold(tx)
        people = [row[0] for row in await tx.connection.fetch("select user_id from users")]
        looks.append(await counts.reconcile_posts(tx, author_ids=people))
        looks.append(await counts.reconcile_users(tx, author_ids=people))
        looks += [[tuple(row) for row in await tx.connection.fetch(look)] for look in LOOKS]
    await db.close()
    return looks


async def fold(tx: Write) -> None:
    await counts.fold_post_counts(tx, limit=100_000)
    await counts.fold_user_counts(tx, limit=100_000, threshold=100_000)


async def test_deeds_and_bulk_build_the_same_world(postgres: Cluster) -> None:
    """What is measured on a large sample is what people would have made; no counter and no second home is off."""
    by_deeds, in_bulk = await postgres.copy(), await postgres.copy()

    deeds = await built(by_deeds, Deeds)
    bulk = await built(in_bulk, Bulk)

    await postgres.drop(by_deeds)
    await postgres.drop(in_bulk)
    assert deeds == bulk
    assert deeds[:2] == [0, 0]
    assert all(deeds[2:])


async def test_a_sample_can_be_looked_at(world: Town) -> None:
    """A newcomer signs in as one of the people named and sees a timeline."""
    sampled = await run(world.house, users=30, posts=200, bulk=True)

    credentials = {"email": f"{sampled.handles[0]}@example.com", "password": PASSWORD}
    signed_in = await world.visitor.post("/v1/sessions", credentials)
    headers = {"authorization": f"Bearer {signed_in.body['access_token']}"}
    home = await world.visitor.get("/v1/timelines/home", headers=headers)

    assert signed_in.status == 201
    assert home.body["items"]


async def test_the_people_of_a_small_sample_talk(world: Town) -> None:
    """Pairs and groups, in the order of time, with numbers as the doors would have given them."""
    sampled = await run(world.house, users=20, posts=20)

    credentials = {"email": f"{sampled.handles[0]}@example.com", "password": PASSWORD}
    signed_in = await world.visitor.post("/v1/sessions", credentials)
    headers = {"authorization": f"Bearer {signed_in.body['access_token']}"}
    listed = (await world.visitor.get("/v1/conversations", headers=headers)).body["items"]
    assert listed
    for conversation in listed:
        path = f"/v1/conversations/{conversation['id']}/messages"
        found = (await world.visitor.get(path, headers=headers, params={"limit": 100})).body["items"]
        assert [message["seq"] for message in found] == list(range(1, conversation["last_seq"] + 1))
        assert [message["created_at"] for message in found] == sorted(message["created_at"] for message in found)


async def test_a_small_sample_is_written_piece_by_piece(world: Town) -> None:
    """Deeds hold locks until their transaction ends: in one for all, the server would run out of room for locks."""

    def end_at_the_posts(what: str, _: int, __: int | None) -> None:
        if what == "posts":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await run(world.house, users=20, posts=20, progress=end_at_the_posts)

    async with world.db.read() as tx:
        assert await tx.connection.fetchval("select count(*) from follows") > 0


async def test_a_second_sample_is_refused(world: Town) -> None:
    """The same people cannot join twice, and nothing of the second world is left behind."""
    await run(world.house, users=10, posts=5, bulk=True)

    with pytest.raises(CannotStart):
        await run(world.house, users=20, posts=50, bulk=True)

    async with world.db.read() as tx:
        assert await tx.connection.fetchval("select count(*) from posts") == 5


def test_the_same_seed_makes_the_same_world() -> None:
    """A measurement can be repeated by somebody else."""
    one, same, other = (World(users=50, posts=200, seed=seed, until=UNTIL) for seed in (7, 7, 8))

    assert list(one.follows()) == list(same.follows())
    assert list(one.likes()) == list(same.likes())
    assert [one.text(post) for post in range(200)] == [same.text(post) for post in range(200)]
    assert list(one.author) != list(other.author)


def test_follows_go_to_few() -> None:
    """Real graphs have stars: the best known twentieth gets more than a third of all follows."""
    world = World(users=2_000, posts=0, seed=1, until=UNTIL)

    followers = Counter(followee for _, followees in world.follows() for followee in followees)

    assert sum(count for _, count in followers.most_common(100)) > sum(followers.values()) / 3


def test_handles_are_allowed_and_tell_people_apart() -> None:
    """Everybody of a large world could have signed up."""
    world = World(users=20_000, posts=0, seed=1, until=UNTIL)

    looks = {skeleton(read_handle("handle", world.somebody(person).handle)) for person in range(20_000)}

    assert len(looks) == 20_000
