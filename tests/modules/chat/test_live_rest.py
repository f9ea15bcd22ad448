"""Live, by the official SDK: typing, reactions, pins and holds; presence is heard by those who know somebody."""

from typing import Any

from centrifuge import SubscriptionEventHandler

from tests.house.test_live import listening
from tests.modules.chat.rooms import befriended, done, group_of, opened, say
from tests.modules.chat.test_live_conversation import Screen, showing
from tests.platform.realtime_house import until
from tests.world import World


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
