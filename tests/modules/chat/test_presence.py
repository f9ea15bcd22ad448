"""Presence and typing: told to those who know somebody, never stored, never to strangers."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from tenfold.assembly import FeedTies
from tenfold.modules.chat.live import conversation, presence, type_live
from tenfold.modules.chat.shapes import ChatPolicy
from tests.house.test_live import listening
from tests.modules.chat.rooms import befriended, done, group_of, opened
from tests.world import Person, World


async def seen(asker: Person, *people: Person) -> dict[str, Any]:
    ids = ",".join(str(person.id) for person in people)
    return {one["user_id"]: one for one in done(await asker.get("/v1/presence", params={"user_ids": ids}))["items"]}


async def test_one_sees_whom_one_knows(world: World) -> None:
    """By an accepted direct conversation or a shared group; nobody else, and oneself always."""
    await befriended(world.ana, world.bob)
    await opened(world.ana, world.eve)

    assert set(await seen(world.ana, world.bob, world.eve, world.admin, world.ana)) == {
        str(world.bob.id),
        str(world.ana.id),
    }
    await group_of(world.eve, world.ana)
    assert str(world.eve.id) in await seen(world.ana, world.eve)
    await group_of(world.admin, world.bob, kind="channel", access="open")
    assert await seen(world.bob, world.admin) == {}


async def test_who_is_connected_is_online_then_idle(world: World) -> None:
    """Idle after five minutes without a sign of life, online again with one, offline when the last device is gone."""
    await befriended(world.ana, world.bob)
    bob = str(world.bob.id)

    before = await seen(world.ana, world.bob)
    async with listening(world.url, world.bob):
        online = await seen(world.ana, world.bob)
        world.clock.advance(timedelta(minutes=6))
        idle = await seen(world.ana, world.bob)
        done(await world.bob.put("/v1/me/activity"))
        awake = await seen(world.ana, world.bob)

    assert before[bob]["state"] == "offline"
    assert (online[bob]["state"], online[bob]["connections"]) == ("online", 1)
    assert idle[bob]["state"] == "idle"
    assert awake[bob]["state"] == "online"
    assert awake[bob]["last_active_at"] > idle[bob]["last_active_at"]


async def test_only_acquaintances_may_listen_to_somebodys_presence(world: World) -> None:
    """And only who is in a conversation may listen there."""
    room = await befriended(world.ana, world.bob)
    asked = await opened(world.eve, world.ana)
    id_ = UUID(room.rpartition("/")[2])
    asked_of: dict[str, Any] = {"db": world.db, "policy": ChatPolicy(), "ties": FeedTies()}

    assert world.bob.actor is not None
    assert world.ana.actor is not None
    assert world.eve.actor is not None
    assert await presence.may_listen(world.bob.actor, world.ana.id, **asked_of)
    assert not await presence.may_listen(world.eve.actor, world.ana.id, **asked_of)
    assert await conversation.may_listen(world.bob.actor, id_, db=world.db)
    assert not await conversation.may_listen(world.eve.actor, id_, db=world.db)
    assert not await conversation.may_listen(world.ana.actor, UUID(asked.rpartition("/")[2]), db=world.db)


async def test_a_client_publishes_that_somebody_types_and_nothing_else(world: World) -> None:
    """Everybody would see it."""
    room = await befriended(world.ana, world.bob)
    id_ = UUID(room.rpartition("/")[2])
    assert world.ana.actor is not None

    told = await type_live(world.ana.actor, msgspec.Raw(b'{"type":"typing"}'), id_, db=world.db)

    assert told is not None
    assert told.user_id == world.ana.id
    for data in (b'{"type":"conversation.change"}', b'{"type":"typing","user_id":"x"}', b"[]", b"{", b"null", b"1"):
        assert await type_live(world.ana.actor, msgspec.Raw(data), id_, db=world.db) is None


async def test_typing_is_for_who_may_write(world: World) -> None:
    """In a channel its admins; strangers find nothing."""
    room = await group_of(world.ana, world.bob, kind="channel", posting="admins")

    assert (await world.ana.put(f"{room}/typing")).status == 204
    assert (await world.bob.put(f"{room}/typing")).code == "OnlyAdminsWriteHere"
    assert (await world.eve.put(f"{room}/typing")).code == "ConversationNotFound"


async def test_ids_that_are_none_are_refused(world: World) -> None:
    """With the name of the field."""
    for ids in ("x" * 40, ",".join(["01890000-0000-7000-8000-000000000000"] * 101), "", "," * 36):
        answer = await world.ana.get("/v1/presence", params={"user_ids": ids})
        assert answer.status == 400, ids
        assert answer.body["errors"][0]["field"] == "query.user_ids"
