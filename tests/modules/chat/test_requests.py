"""Messages of strangers wait, blocks are silent, slow mode says how long: through the doors, unless two collide."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tenfold.assembly.ties import FeedTies
from tenfold.modules.chat.actions.open import open_direct
from tenfold.modules.chat.jobs.blocks import close_direct, reopen_direct, withdraw_invitations
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.modules.chat.ties import Tie
from tenfold.modules.identity import UserBlocked, UserUnblocked
from tenfold.platform.db import Write
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence
from tests.modules.chat.rooms import befriended, done, group_of, opened, read, say
from tests.world import Person, World


class Meanwhile(FeedTies):
    """Ties after whose answer something else begins, and goes as far as it can."""

    def __init__(self, deed: Callable[[], Awaitable[None]]) -> None:
        self._deed = deed
        self.begun: list[asyncio.Future[None]] = []

    async def hold(self, tx: Write, user_id: UUID, other_id: UUID) -> Tie:
        """As ever; then let the other thing go on for a while."""
        tie = await super().hold(tx, user_id, other_id)
        self.begun.append(asyncio.ensure_future(self._deed()))
        await asyncio.wait(self.begun, timeout=0.3)
        return tie


def blocking(world: World, person: Person, other: Person) -> Callable[[], Awaitable[None]]:
    async def block() -> None:
        done(await person.put(f"/v1/users/{other.id}/block"))
        await world.drain()

    return block


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


async def members_seen(person: Person, room: str) -> list[Any]:
    return done(await person.get(f"{room}/members"))["items"]


async def test_that_a_request_was_declined_is_seen_nowhere(world: World) -> None:
    """Neither in the list of members, nor by a change, whether they said no or blocked; an answer is seen."""
    for decline in ("membership", "block"):
        asker = world.eve if decline == "membership" else world.bob
        room = await opened(asker, world.ana)
        await say(asker, room, "hello")
        before = done(await asker.get(room)), await members_seen(asker, room)
        world.clock.advance(timedelta(minutes=1))
        if decline == "membership":
            done(await world.ana.delete(f"{room}/membership"))
        else:
            done(await world.ana.put(f"/v1/users/{asker.id}/block"))
            await world.drain()

        assert (done(await asker.get(room)), await members_seen(asker, room)) == before
        assert {member["user"]["handle"]: member["state"] for member in before[1]}["ana"] == "invited"

    room = await opened(world.ana, world.eve)
    assert {member["state"] for member in await members_seen(world.eve, room)} == {"joined"}


async def test_nobody_opens_across_a_block_what_was_open_before(world: World) -> None:
    """As little as what was not: the other would see that one is back."""
    friends = await befriended(world.ana, world.bob)
    asked = await opened(world.eve, world.ana)
    for other in (world.bob, world.eve):
        done(await world.ana.put(f"/v1/users/{other.id}/block"))
    await world.drain()

    for other in (world.bob, world.eve):
        assert (await world.ana.put(f"/v1/users/{other.id}/conversation")).code == "UserNotFound"
        assert (await other.put(f"/v1/users/{world.ana.id}/conversation")).code == "UserNotFound"
    assert await requests_of(world.ana) == []
    done(await world.ana.delete(f"/v1/users/{world.eve.id}/block"))
    await world.drain()

    assert await opened(world.ana, world.eve) == asked
    assert await read(world.bob, friends) == []


async def test_who_opens_while_the_other_blocks_writes_nothing(world: World) -> None:
    """A block that began after the look is one that the look comes before, with all that follows from it."""
    done(await world.bob.put(f"/v1/users/{world.ana.id}/follow"))
    ties = Meanwhile(blocking(world, world.bob, world.ana))
    ana = world.ana.actor
    assert ana is not None

    room = await world.db.transact(lambda tx: open_direct(tx, ana, world.bob.id, policy=ChatPolicy(), ties=ties))
    await asyncio.gather(*ties.begun)

    assert (await world.ana.post(f"/v1/conversations/{room}/messages", {"body": "hey"})).code == "ConversationNotFound"


async def test_a_late_unblock_does_not_lift_a_new_block(world: World) -> None:
    """Its follower looks, and at that instant there is another block, whose follower is faster."""
    room = await befriended(world.ana, world.bob)
    await blocking(world, world.bob, world.ana)()
    done(await world.bob.delete(f"/v1/users/{world.ana.id}/block"))
    late = UserUnblocked(user_id=world.bob.id, other_id=world.ana.id)
    ties = Meanwhile(blocking(world, world.bob, world.ana))

    await world.db.transact(lambda tx: reopen_direct.function(tx, late, ties))
    await asyncio.gather(*ties.begun)

    assert (await world.ana.post(f"{room}/messages", {"body": "hey"})).code == "ConversationNotFound"


async def test_a_block_withdraws_what_the_other_asked_one_into(world: World) -> None:
    """A title would go on to be read there; what others asked into waits on."""
    theirs = [await group_of(world.eve), await group_of(world.eve, kind="channel"), await opened(world.eve, world.ana)]
    for room in theirs[:2]:
        done(await world.eve.put(f"{room}/members/{world.ana.id}"))
    other = await group_of(world.bob, world.eve)
    done(await world.bob.put(f"{other}/members/{world.ana.id}"))
    assert done(await world.ana.get("/v1/me/unread"))["requests"] == 4

    done(await world.ana.put(f"/v1/users/{world.eve.id}/block"))
    await world.drain()

    assert [waiting["id"] for waiting in await requests_of(world.ana)] == [other.rpartition("/")[2]]
    for room in theirs:
        assert (await world.ana.put(f"{room}/membership")).code == "ConversationNotFound"


async def test_what_one_has_asked_oneself_waits_while_one_blocks(world: World) -> None:
    """The other's shelf would tell them of a block; the request is taken when it is lifted, and not before."""
    room = await opened(world.ana, world.eve)
    await say(world.ana, room, "hello")
    await blocking(world, world.ana, world.eve)()

    waits = [waiting["id"] for waiting in await requests_of(world.eve)]
    across = await world.eve.put(f"{room}/membership")
    done(await world.ana.delete(f"/v1/users/{world.eve.id}/block"))
    await world.drain()

    assert waits == [room.rpartition("/")[2]]
    assert across.code == "ConversationNotFound"
    done(await world.eve.put(f"{room}/membership"))
    assert [message["body"] for message in await read(world.eve, room)] == ["hello"]


class CutOff(Hub):
    """A hub whose process ends at the first word of it; one that came in its place goes on."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker(), MemoryPresence())
        self.ends = 1
        self.ended: set[tuple[UUID, str]] = set()

    async def unsubscribe(self, user_id: UUID, channel: str) -> None:
        """Note what nobody may listen to any more."""
        if self.ends:
            self.ends -= 1
            raise asyncio.CancelledError
        self.ended.add((user_id, channel))


async def test_a_block_ends_what_is_heard_though_a_process_ends_in_between(world: World) -> None:
    """It is written by then, and the job is done again: otherwise one would go on listening to the other."""
    room = await befriended(world.ana, world.bob)
    done(await world.ana.put(f"/v1/users/{world.bob.id}/block"))
    fact, live = UserBlocked(user_id=world.ana.id, other_id=world.bob.id), CutOff()

    with pytest.raises(asyncio.CancelledError):
        await close_direct.function(world.db, fact, FeedTies(), live=live)
    await close_direct.function(world.db, fact, FeedTies(), live=live)

    people, channel = {world.ana.id, world.bob.id}, f"conversation:{room.rpartition('/')[2]}"
    shown = {(person, f"presence:{other}") for person in people for other in people - {person}}
    assert live.ended == shown | {(person, channel) for person in people}


async def test_a_block_withdraws_nothing_that_somebody_else_asked_meanwhile(world: World) -> None:
    """Its follower looked at what waits, and was late; the invitation that waits there now is another's."""
    room = await group_of(world.eve, world.bob)
    done(await world.eve.patch(f"{room}/members/{world.bob.id}", {"role": "admin"}))
    done(await world.eve.put(f"{room}/members/{world.ana.id}"))
    done(await world.ana.put(f"/v1/users/{world.eve.id}/block"))

    async def ask_anew() -> None:
        done(await world.ana.delete(f"{room}/membership"))
        done(await world.bob.put(f"{room}/members/{world.ana.id}"))

    ties = Meanwhile(ask_anew)
    await withdraw_invitations.function(world.db, UserBlocked(user_id=world.ana.id, other_id=world.eve.id), ties)
    await asyncio.gather(*ties.begun)

    assert [waiting["id"] for waiting in await requests_of(world.ana)] == [room.rpartition("/")[2]]


async def test_what_was_unblocked_meanwhile_is_not_withdrawn(world: World) -> None:
    """A follower that comes late finds no block, and takes nothing back."""
    room = await group_of(world.eve)
    done(await world.eve.put(f"{room}/members/{world.ana.id}"))
    done(await world.ana.put(f"/v1/users/{world.eve.id}/block"))

    class Late(FeedTies):
        async def between(self, tx: Any, user_id: UUID, other_id: UUID) -> Tie:
            tie = await super().between(tx, user_id, other_id)
            done(await world.ana.delete(f"/v1/users/{world.eve.id}/block"))
            return tie

    await withdraw_invitations.function(world.db, UserBlocked(user_id=world.ana.id, other_id=world.eve.id), Late())

    assert [waiting["id"] for waiting in await requests_of(world.ana)] == [room.rpartition("/")[2]]
