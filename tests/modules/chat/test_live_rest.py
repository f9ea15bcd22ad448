"""Live, by the official SDK: typing, reactions, pins and holds; presence is heard by those who know somebody."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from centrifuge import SubscriptionEventHandler
from centrifuge.exceptions import ReplyError

from tenfold.platform.db.embedded import Address
from tenfold.platform.realtime.protocol import StreamPosition
from tests.house.test_live import listening
from tests.modules.chat.rooms import befriended, done, group_of, opened, say
from tests.modules.chat.test_live_conversation import Screen, showing
from tests.platform.realtime_world import Ear
from tests.waiting import until
from tests.world import World, worlds


def named(room: str) -> dict[str, str]:
    """A conversation, as the helpers for live tests name it."""
    return {"id": room.rpartition("/")[2]}


async def test_typing_is_heard_from_the_door_and_from_the_socket(world: World) -> None:
    """By those who look at the conversation; nothing is stored, and no number is spent."""
    room = await befriended(world.ana, world.bob)
    before = done(await world.ana.get(room))["last_change"]
    async with (
        showing(world.url, world.bob, named(room)) as (_, screen),
        listening(world.url, world.ana) as (client, _diary),
    ):
        mine = client.new_subscription(f"conversation:{named(room)['id']}", events=Screen())
        await mine.subscribe()
        await mine.ready()
        await mine.publish({"type": "typing"})
        await until(lambda: typing(screen) == 1)
        done(await world.ana.put(f"{room}/typing"))
        await until(lambda: typing(screen) == 2)

    assert {news["user_id"] for news in screen.said if news["type"] == "conversation.typing"} == {str(world.ana.id)}
    assert done(await world.ana.get(room))["last_change"] == before


def typing(screen: Screen) -> int:
    return sum(news["type"] == "conversation.typing" for news in screen.said)


async def test_whatever_happens_to_a_message_is_heard_as_its_new_state(world: World) -> None:
    """Reactions, pins and holds arrive in order, and the screen is as a fresh load; the hearer's own kinds aside."""
    room = await group_of(world.ana, world.bob)
    at = f"{room}/messages/{(await say(world.ana, room, 'hi'))['seq']}"
    seq = int(at.rpartition("/")[2])
    async with showing(world.url, world.bob, named(room)) as (_, screen):
        done(await world.ana.put(f"{at}/reactions/👍"))
        done(await world.bob.put(f"{at}/pin"))
        await until(lambda: seq in screen.messages and screen.messages[seq].get("pinned_at"))
        assert screen.messages[seq] == done(await world.bob.get(at))
        verdict = at.replace("/v1/", "/v1/admin/") + "/verdict"
        done(await world.admin.put(verdict, {"outcome": "held", "reason": "spam"}))
        await until(lambda: screen.messages[seq].get("deleted_at"))
        assert screen.messages[seq] == done(await world.bob.get(at))
        assert screen.offsets == sorted(screen.offsets)


class Watch(SubscriptionEventHandler):
    """What is heard on a channel of presence."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.refused: list[Any] = []

    async def on_publication(self, ctx: Any) -> None:
        self.heard.append(ctx.pub.data)

    async def on_unsubscribed(self, ctx: Any) -> None:
        self.refused.append(ctx)


async def test_who_knows_somebody_hears_them_come_and_go(world: World) -> None:
    """A stranger whose request waits is turned away."""
    await befriended(world.ana, world.bob)
    await opened(world.eve, world.bob)
    async with listening(world.url, world.ana) as (ana, _), listening(world.url, world.eve) as (eve, _diary):
        watches = [Watch(), Watch()]
        for client, watch in zip((ana, eve), watches, strict=True):
            await client.new_subscription(f"presence:{world.bob.id}", events=watch).subscribe()
        await until(lambda: watches[1].refused)
        async with listening(world.url, world.bob):
            await until(lambda: watches[0].heard, timeout=5)
        await until(lambda: len(watches[0].heard) >= 2, timeout=5)

    assert watches[1].heard == []
    assert watches[0].heard[0] != watches[0].heard[-1]


async def test_who_came_after_a_deletion_is_not_given_what_was_deleted(world: World) -> None:
    """What servers remember of a conversation is what a fresh load would show; so it is with holds and edits."""
    room = await group_of(world.ana, world.bob, access="open")
    channel, hub = f"conversation:{named(room)['id']}", world.house.realtime
    start = await hub.join(Ear(actor=world.bob.actor), channel)

    async def given() -> list[str]:
        position = StreamPosition(offset=start.offset, epoch=start.epoch)
        joined = await hub.join(Ear(actor=world.eve.actor), channel, position)
        assert joined.recovered
        changes = [msgspec.json.decode(publication.data) for publication in joined.missed]
        return [message["body"] for change in changes for message in change.get("messages", [])]

    secret, illegal = await say(world.ana, room, "a secret"), await say(world.ana, room, "for sale")
    edited = await say(world.ana, room, "in anger")
    assert await given() == ["a secret", "for sale", "in anger"]
    done(await world.ana.delete(f"{room}/messages/{secret['seq']}"))
    verdict = f"{room}/messages/{illegal['seq']}/verdict".replace("/v1/", "/v1/admin/")
    done(await world.admin.put(verdict, {"outcome": "held", "reason": "spam"}))
    done(await world.ana.patch(f"{room}/messages/{edited['seq']}", {"body": "in peace"}))

    assert await given() == ["", "", "in peace"]
    await say(world.ana, room, "later")
    assert await given() == ["", "", "in peace", "later"]


async def test_who_listens_to_a_conversation_is_told_to_nobody(world: World) -> None:
    """In an open channel anybody would see anybody, across blocks too; presence is for those who know each other."""
    room = await group_of(world.ana, world.bob, kind="channel", access="open")
    done(await world.eve.put(f"{room}/membership"))
    async with listening(world.url, world.eve) as (client, _), showing(world.url, world.bob, named(room)):
        mine = client.new_subscription(f"conversation:{named(room)['id']}", join_leave=True)
        await mine.subscribe()
        await mine.ready()

        for question in (mine.presence, mine.presence_stats):
            with pytest.raises(ReplyError) as refusal:
                await question()
            assert refusal.value.code == 108


async def test_presence_ends_with_the_group_that_made_it_known(world: World) -> None:
    """Who was removed hears of nobody there any more, and is not heard of; who knows somebody otherwise goes on."""
    await befriended(world.bob, world.ana)
    room = await group_of(world.ana, world.bob, world.eve)
    async with listening(world.url, world.bob) as (bob, _), listening(world.url, world.eve) as (eve, _diary):
        watches = [Watch() for _ in range(3)]
        for client, of, watch in zip((bob, bob, eve), (world.eve, world.ana, world.bob), watches, strict=True):
            subscription = client.new_subscription(f"presence:{of.id}", events=watch)
            await subscription.subscribe()
            await subscription.ready()
        done(await world.ana.delete(f"{room}/members/{world.bob.id}"))
        await world.drain()
        await until(lambda: watches[0].refused and watches[2].refused, timeout=5)

        assert [watch.refused[0].code for watch in (watches[0], watches[2])] == [2000, 2000]
        assert watches[1].refused == []


async def test_presence_ends_when_a_group_has_become_a_crowd(database_address: Address, tmp_path: Path) -> None:
    """The size of groups bounds what coming and going costs, for those who listened before as well."""
    async with worlds(database_address, tmp_path, settings={"chat.acquainted_in": 2}) as world:
        room = await group_of(world.ana, world.bob)
        async with listening(world.url, world.bob) as (bob, _):
            watch = Watch()
            subscription = bob.new_subscription(f"presence:{world.ana.id}", events=watch)
            await subscription.subscribe()
            await subscription.ready()
            done(await world.ana.put(f"{room}/members/{world.eve.id}"))
            done(await world.eve.put(f"{room}/membership"))
            await world.drain()
            await until(lambda: watch.refused, timeout=5)

        assert watch.refused[0].code == 2000


async def test_a_block_closes_what_shows_one_to_the_other(world: World) -> None:
    """Who listens to a conversation is seen there, so across a block nobody does; presence ends as well."""
    room = await befriended(world.ana, world.bob)
    channels = [f"conversation:{named(room)['id']}", f"presence:{world.ana.id}"]
    async with listening(world.url, world.bob) as (bob, _):
        open_, again = [Watch(), Watch()], [Watch(), Watch()]
        for channel, watch in zip(channels, open_, strict=True):
            subscription = bob.new_subscription(channel, events=watch)
            await subscription.subscribe()
            await subscription.ready()
        done(await world.ana.put(f"/v1/users/{world.bob.id}/block"))
        await world.drain()
        await until(lambda: all(watch.refused for watch in open_), timeout=5)
    async with listening(world.url, world.bob) as (bob, _):
        for channel, watch in zip(channels, again, strict=True):
            await bob.new_subscription(channel, events=watch).subscribe()
        await until(lambda: all(watch.refused for watch in again), timeout=5)

    assert [watch.refused[0].code for watch in open_ + again] == [2000, 2000, 103, 103]
