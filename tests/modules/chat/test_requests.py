"""Messages of strangers wait, blocks are silent, slow mode says how long: all through the doors."""

from typing import Any

from tests.modules.chat.rooms import befriended, done, group_of, opened, read, say
from tests.world import Person, World


async def requests_of(person: Person) -> list[Any]:
    return done(await person.get("/v1/conversations", params={"shelf": "requests"}))["items"]


async def test_a_stranger_writes_little_until_they_are_let_in(world: World) -> None:
    """What they wrote waits in the requests; to accept it lets them go on."""
    room = await opened(world.eve, world.ana)
    for n in range(3):
        await say(world.eve, room, f"hello {n}")

    assert (await world.eve.post(f"{room}/messages", {"body": "hello?"})).code == "RequestIsWaiting"
    assert [waiting["id"] for waiting in await requests_of(world.ana)] == [room.rpartition("/")[2]]
    assert done(await world.ana.get("/v1/me/unread"))["requests"] == 1
    assert [message["body"] for message in await read(world.ana, room)] == ["hello 0", "hello 1", "hello 2"]
    done(await world.ana.put(f"{room}/membership"))
    assert await requests_of(world.ana) == []
    await say(world.eve, room, "thank you")


async def test_an_answer_accepts(world: World) -> None:
    """Who writes back has let the stranger in."""
    room = await opened(world.eve, world.ana)
    await say(world.eve, room, "hello")

    await say(world.ana, room, "who are you?")

    for n in range(4):
        await say(world.eve, room, f"I am {n}")
    assert await requests_of(world.ana) == []


async def test_whom_one_follows_is_no_stranger(world: World) -> None:
    """Their message is in the list at once."""
    done(await world.ana.put(f"/v1/users/{world.eve.id}/follow"))

    room = await opened(world.eve, world.ana)
    for n in range(5):
        await say(world.eve, room, f"hello {n}")

    assert await requests_of(world.ana) == []
    assert len(done(await world.ana.get("/v1/conversations"))["items"]) == 1


async def test_a_stranger_learns_nothing_of_who_reads_them(world: World) -> None:
    """No receipt, no reaction, no typing and no presence before they are let in."""
    room = await opened(world.eve, world.ana)
    said = await say(world.eve, room, "hello")

    done(await world.ana.put(f"{room}/read", {"seq": said["seq"]}))
    done(await world.ana.put(f"{room}/delivered", {"seq": said["seq"]}))
    receipts = done(await world.eve.get(f"{room}/receipts"))["items"]

    assert str(world.ana.id) not in [receipt["user"]["id"] for receipt in receipts]
    assert (await world.ana.put(f"{room}/typing")).code == "ConversationNotFound"
    assert (await world.ana.put(f"{room}/messages/{said['seq']}/reactions/👍")).code == "ConversationNotFound"
    assert done(await world.eve.get("/v1/presence", params={"user_ids": str(world.ana.id)}))["items"] == []
    done(await world.ana.put(f"{room}/membership"))
    [mine] = [
        one for one in done(await world.eve.get(f"{room}/receipts"))["items"] if one["user"]["id"] == str(world.ana.id)
    ]
    assert (mine["read_seq"], mine["delivered_seq"]) == (0, 0)


async def test_a_declined_request_is_gone(world: World) -> None:
    """The stranger is not told, and cannot go on."""
    room = await opened(world.eve, world.ana)
    await say(world.eve, room, "hello")
    before = done(await world.eve.get(room))

    done(await world.ana.delete(f"{room}/membership"))

    assert done(await world.eve.get(room)) == before
    assert await requests_of(world.ana) == []
    assert (await world.ana.get(f"{room}/messages")).code == "ConversationNotFound"


async def test_across_a_block_there_is_nobody(world: World) -> None:
    """In both directions, refused like what is not there; afterwards it goes on."""
    room = await befriended(world.ana, world.bob)
    await say(world.ana, room, "hello")
    done(await world.ana.put(f"/v1/users/{world.bob.id}/block"))
    await world.drain()

    for person in (world.ana, world.bob):
        assert (await person.post(f"{room}/messages", {"body": "hey"})).code == "ConversationNotFound"
        assert (await person.put(f"{room}/typing")).code == "ConversationNotFound"
    assert done(await world.bob.get("/v1/presence", params={"user_ids": str(world.ana.id)}))["items"] == []
    done(await world.eve.put(f"/v1/users/{world.ana.id}/block"))
    await world.drain()
    assert (await world.ana.put(f"/v1/users/{world.eve.id}/conversation")).code == "UserNotFound"
    done(await world.ana.delete(f"/v1/users/{world.bob.id}/block"))
    await world.drain()
    await say(world.bob, room, "peace?")


async def test_slow_mode_says_how_long_to_wait(world: World) -> None:
    """Members wait, admins do not; a message that is sent again is no second one."""
    room = await group_of(world.ana, world.bob)
    done(await world.ana.patch(room, {"slow_mode_seconds": 60}))
    first = await say(world.bob, room, "one", client_msg_id="a")

    refused = await world.bob.post(f"{room}/messages", {"body": "two"})
    again = await say(world.bob, room, "one", client_msg_id="a")
    for n in range(2):
        await say(world.ana, room, f"admin {n}")

    assert refused.code == "TooSoon"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert again["seq"] == first["seq"]


async def test_who_declined_may_begin_anew(world: World) -> None:
    """To open the conversation oneself is to come back to it."""
    room = await opened(world.eve, world.ana)
    await say(world.eve, room, "hello")
    done(await world.ana.delete(f"{room}/membership"))

    assert await opened(world.ana, world.eve) == room
    await say(world.ana, room, "well, hello")

    assert [message["body"] for message in await read(world.eve, room)][-1] == "well, hello"


async def test_nobody_is_invited_or_watched_across_a_block(world: World) -> None:
    """A group's title would be a message, and a shared group a window; refused as if there was nobody."""
    shared = await group_of(world.eve, world.ana, world.bob)
    mine = await group_of(world.bob)
    done(await world.ana.put(f"/v1/users/{world.bob.id}/block"))

    opening = {"title": "look at this", "members": [str(world.ana.id)]}
    assert (await world.bob.post("/v1/conversations", opening)).code == "UserNotFound"
    assert (await world.bob.put(f"{mine}/members/{world.ana.id}")).code == "UserNotFound"
    for person, other in ((world.ana, world.bob), (world.bob, world.ana)):
        looked = done(await person.get("/v1/presence", params={"user_ids": f"{other.id},{world.eve.id}"}))["items"]
        assert [one["user_id"] for one in looked] == [str(world.eve.id)]
    await say(world.bob, shared, "hello all")


async def test_a_block_declines_what_waits(world: World) -> None:
    """Who blocks a stranger has answered; the request is not back when the block is lifted."""
    room = await opened(world.eve, world.ana)
    await say(world.eve, room, "hello")

    done(await world.ana.put(f"/v1/users/{world.eve.id}/block"))
    await world.drain()

    assert await requests_of(world.ana) == []
    assert done(await world.ana.get("/v1/me/unread"))["requests"] == 0
    done(await world.ana.delete(f"/v1/users/{world.eve.id}/block"))
    await world.drain()
    assert await requests_of(world.ana) == []
