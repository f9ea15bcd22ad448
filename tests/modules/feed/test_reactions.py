"""Likes, bookmarks and reposts through the doors: done twice is done once, and every counter knows at once."""

import asyncio

from tenfold.modules.feed import jobs
from tests.modules.feed.writing import at, publish, ref
from tests.world import World


async def test_reactions_are_idempotent_and_counted_at_once(world: World) -> None:
    """Before any job has run, and after counters were folded."""
    post = await publish(world.ana)

    for _ in range(2):
        for deed in ("like", "bookmark", "repost"):
            assert (await world.bob.put(f"{at(post)}/{deed}")).status == 204
    await world.eve.put(f"{at(post)}/like")
    seen = (await world.bob.get(at(post))).body
    await world.drain()
    folded = (await world.bob.get(at(post))).body

    assert seen["counts"] == folded["counts"] == {"likes": 2, "reposts": 1, "quotes": 0, "replies": 0}
    assert seen["viewer"] == {"liked": True, "bookmarked": True, "reposted": True, "follows_author": False}

    for _ in range(2):
        for deed in ("like", "bookmark", "repost"):
            assert (await world.bob.delete(f"{at(post)}/{deed}")).status == 204
    after = (await world.bob.get(at(post))).body
    assert after["counts"] == {"likes": 1, "reposts": 0, "quotes": 0, "replies": 0}
    assert after["viewer"] == post["viewer"]


async def test_who_liked_and_reposted_is_listed_newest_first(world: World) -> None:
    """Page by page; people in a block with the reader are left out."""
    post = await publish(world.ana)
    for person in (world.ana, world.bob, world.eve):
        await person.put(f"{at(post)}/like")
        await person.put(f"{at(post)}/repost")

    first = (await world.ana.get(f"{at(post)}/likes", params={"limit": 2})).body
    rest = (await world.ana.get(f"{at(post)}/likes", params={"limit": 2, "cursor": first["next"]})).body
    await world.ana.put(f"/v1/users/{world.eve.id}/block")
    reposts = (await world.ana.get(f"{at(post)}/reposts")).body

    assert [item["user"]["handle"] for item in first["items"] + rest["items"]] == ["eve", "bob", "ana"]
    assert rest["next"] is None
    assert [item["user"]["handle"] for item in reposts["items"]] == ["bob", "ana"]
    assert (await world.ana.get(f"{at(post)}/likes", params={"cursor": "!"})).body["errors"][0][
        "field"
    ] == "query.cursor"


async def test_bookmarks_and_likes_of_ones_own_are_listed(world: World) -> None:
    """In the order in which they were made, newest first."""
    older, newer = await publish(world.ana, "older"), await publish(world.ana, "newer")
    for post in (newer, older):
        await world.bob.put(f"{at(post)}/bookmark")
        await world.bob.put(f"{at(post)}/like")

    bookmarks = (await world.bob.get("/v1/me/bookmarks")).body["items"]
    first = (await world.bob.get("/v1/me/likes", params={"limit": 1})).body
    second = (await world.bob.get("/v1/me/likes", params={"limit": 1, "cursor": first["next"]})).body

    assert [post["body"] for post in bookmarks] == ["older", "newer"]
    assert [post["body"] for post in first["items"] + second["items"]] == ["older", "newer"]
    assert (await world.eve.get("/v1/me/bookmarks")).body["items"] == []


async def test_a_repost_points_to_its_original_and_has_no_life_of_its_own(world: World) -> None:
    """Who likes, answers or quotes it is told where the original is."""
    post = await publish(world.ana, "original")
    await world.bob.put(f"{at(post)}/repost")
    [repost] = (await world.bob.get(f"/v1/users/{world.bob.id}/posts")).body["items"]

    answers = [
        await world.eve.put(f"{at(repost)}/like"),
        await world.eve.put(f"{at(repost)}/repost"),
        await world.eve.post("/v1/posts", {"body": "x", "reply_to": ref(repost)}),
        await world.bob.patch(at(repost), {"body": "x"}),
    ]

    assert repost["repost_of"]["id"] == post["id"]
    assert repost["repost_of"]["viewer"]["reposted"] is True
    assert {answer.code for answer in answers} == {"ThisIsARepost"}
    assert answers[0].body["id"] == post["id"]
    await world.ana.delete(at(post))
    assert (await world.bob.get(f"/v1/users/{world.bob.id}/posts")).body["items"] == []


async def test_deleting_a_repost_takes_the_repost_back(world: World) -> None:
    """By its own address or by the original's: the same."""
    post = await publish(world.ana)
    await world.bob.put(f"{at(post)}/repost")
    [repost] = (await world.bob.get(f"/v1/users/{world.bob.id}/posts")).body["items"]

    await world.bob.delete(at(repost))

    assert (await world.bob.get(at(post))).body["viewer"]["reposted"] is False
    assert (await world.bob.get(at(post))).body["counts"]["reposts"] == 0
    await world.bob.put(f"{at(post)}/repost")
    assert (await world.bob.get(at(post))).body["counts"]["reposts"] == 1


async def test_a_storm_of_likes_is_counted_exactly(world: World) -> None:
    """One post, many likes and counts folded meanwhile: no row is fought over and none is lost."""
    post = await publish(world.ana)
    people = (world.ana, world.bob, world.eve)

    async def fold() -> None:
        for _ in range(5):
            await world.db.transact(lambda tx: jobs.fold_counts(tx, policy=world.house.parts.get(jobs.FeedPolicy)))

    await asyncio.gather(
        fold(),
        *(person.put(f"{at(post)}/like") for _ in range(4) for person in people),
        *(person.delete(f"{at(post)}/like") for _ in range(4) for person in people),
    )
    await asyncio.gather(*(person.put(f"{at(post)}/like") for person in people))

    assert (await world.visitor.get(at(post))).body["counts"]["likes"] == 3
    async with world.db.read() as tx:
        assert await tx.connection.fetchval("select count(*) from likes") == 3
        assert await tx.connection.fetchval("select count(*) from user_likes") == 3


async def test_a_repost_that_is_taken_back_many_times_at_once_is_taken_back(world: World) -> None:
    """Whoever comes second finds nothing to do, and is not told that the post is gone."""
    post = await publish(world.ana, "repeated")
    for _ in range(5):
        await world.bob.put(f"{at(post)}/repost")

        answers = await asyncio.gather(*(world.bob.delete(f"{at(post)}/repost") for _ in range(5)))

        assert {answer.status for answer in answers} == {204}
    assert (await world.bob.get(at(post))).body["counts"]["reposts"] == 0
