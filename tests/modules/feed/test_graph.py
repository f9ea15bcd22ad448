"""Follow, block and mute through the doors, and what each does to what people see of one another."""

from datetime import timedelta

from tests.modules.feed.writing import at, publish
from tests.world import Person, World

NOBODY = "01890000-0000-7000-8000-000000000000"


async def handles(person: Person, path: str) -> list[str]:
    return [item["user"]["handle"] for item in (await person.get(path)).body["items"]]


async def home(person: Person) -> list[str]:
    return [item["body"] for item in (await person.get("/v1/timelines/home")).body["items"]]


async def test_following_is_seen_from_both_sides_and_done_once(world: World) -> None:
    """Lists, counts and the relationship agree, before and after counters are folded."""
    for _ in range(2):
        assert (await world.bob.put(f"/v1/users/{world.ana.id}/follow")).status == 204
    await world.eve.put(f"/v1/users/{world.ana.id}/follow")

    assert await handles(world.visitor, f"/v1/users/{world.ana.id}/followers") == ["eve", "bob"]
    assert await handles(world.visitor, f"/v1/users/{world.bob.id}/following") == ["ana"]
    for _ in range(2):
        counted = (await world.visitor.get(f"/v1/users/{world.ana.id}/counts")).body
        assert counted == {"posts": 0, "followers": 2, "following": 0}
        await world.drain()
    between = (await world.bob.get(f"/v1/users/{world.ana.id}/relationship")).body
    assert (between["following"], between["followed_by"]) == (True, False)

    for _ in range(2):
        assert (await world.bob.delete(f"/v1/users/{world.ana.id}/follow")).status == 204
    assert await handles(world.visitor, f"/v1/users/{world.ana.id}/followers") == ["eve"]


async def test_nobody_relates_to_themselves_or_to_nobody(world: World) -> None:
    """A refusal, not a row."""
    for deed in ("follow", "block", "mute"):
        assert (await world.ana.put(f"/v1/users/{world.ana.id}/{deed}")).code == "NotOneself"
        assert (await world.ana.put(f"/v1/users/{NOBODY}/{deed}")).code == "UserNotFound"
        assert (await world.visitor.put(f"/v1/users/{world.ana.id}/{deed}")).status == 401
    for list_ in ("followers", "following", "counts"):
        assert (await world.visitor.get(f"/v1/users/{NOBODY}/{list_}")).code == "UserNotFound"


async def test_a_block_parts_two_people(world: World) -> None:
    """Neither follows, sees or finds the other; the blocked side learns nothing but an absence."""
    post, theirs = await publish(world.ana, "by ana"), await publish(world.eve, "by eve")
    await world.eve.put(f"/v1/users/{world.ana.id}/follow")
    await world.ana.put(f"/v1/users/{world.eve.id}/follow")

    await world.ana.put(f"/v1/users/{world.eve.id}/block")

    for person, other, unseen in ((world.eve, world.ana, post), (world.ana, world.eve, theirs)):
        assert (await person.get(at(unseen))).code == "PostNotFound"
        assert (await person.put(f"{at(unseen)}/like")).code == "PostNotFound"
        for list_ in ("posts", "followers", "following", "counts"):
            assert (await person.get(f"/v1/users/{other.id}/{list_}")).code == "UserNotFound"
    assert (await world.eve.put(f"/v1/users/{world.ana.id}/follow")).code == "UserNotFound"
    assert (await world.ana.put(f"/v1/users/{world.eve.id}/follow")).code == "UserIsBlocked"
    assert await handles(world.ana, "/v1/me/blocks") == ["eve"]
    assert await handles(world.eve, "/v1/me/blocks") == []
    assert await home(world.eve) == ["by eve"]

    await world.ana.delete(f"/v1/users/{world.eve.id}/block")
    assert (await world.eve.get(at(post))).status == 200
    between = (await world.eve.get(f"/v1/users/{world.ana.id}/relationship")).body
    assert between["following"] is between["followed_by"] is between["blocked_by"] is False


async def test_a_mute_is_quiet_and_ends_by_itself(world: World) -> None:
    """Out of the timelines, not out of sight; the muted one cannot tell."""
    post = await publish(world.ana, "loud")
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")
    await world.drain()
    until = (world.clock.now() + timedelta(hours=1)).isoformat()

    past = await world.bob.put(f"/v1/users/{world.ana.id}/mute", params={"until": "2020-01-01T00:00:00Z"})
    muted = await world.bob.put(f"/v1/users/{world.ana.id}/mute", params={"until": until})

    assert past.body["errors"][0]["field"] == "query.until"
    assert muted.status == 204
    assert await home(world.bob) == []
    assert (await world.bob.get("/v1/timelines/public")).body["items"] == []
    assert (await world.bob.get(at(post))).status == 200
    assert await handles(world.bob, "/v1/me/mutes") == ["ana"]
    assert (await world.ana.get(f"/v1/users/{world.bob.id}/relationship")).body["muting"] is False

    async with world.db.write() as tx:
        await tx.connection.execute("update mutes set until = now() - interval '1 second'")
    assert await home(world.bob) == ["loud"]
    assert await handles(world.bob, "/v1/me/mutes") == []
