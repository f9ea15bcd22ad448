"""What the official SDKs do with channels: listen, with tokens or without, publish, look around, recover."""

import asyncio
from pathlib import Path

import pytest

from tenfold.platform.db.embedded import Address
from tenfold.platform.realtime import user_channel
from tests.sdk.clients import Refused
from tests.sdk.conftest import Scene, scenes
from tests.sdk.rooms import SHUT, a_room
from tests.world import Person

SHORT = {"tokens.access_lifetime": "3s"}


async def subscription_token(person: Person, channel: str | None) -> str:
    """What an application does when the SDK asks for a token."""
    if channel is None:
        return person.token or ""
    answer = await person.post("/v1/realtime/subscription-tokens", {"channel": channel})
    assert answer.status == 201, answer
    return answer.body["token"]


async def test_it_subscribes_reads_history_and_unsubscribes(scene: Scene) -> None:
    """A channel on demand."""
    client, room = await scene.come(scene.world.ana), a_room()
    await client.subscribe(room)
    await client.heard("subscribed", room)

    for n in range(3):
        await scene.realtime.publish([room], n)

    assert await client.published(room, count=3) == [0, 1, 2]
    assert await client.history(room, limit=2) == [0, 1]
    assert await client.history(room, limit=2, reverse=True) == [2, 1]
    await client.unsubscribe(room)
    await client.heard("unsubscribed", room)
    with pytest.raises(Refused) as refusal:
        await client.publish(room, "late")
    assert refusal.value.code == 103


async def test_it_is_told_why_it_may_not_subscribe(scene: Scene) -> None:
    """A refusal ends the attempt, and touches nothing else."""
    client = await scene.come(scene.world.ana)
    shut = f"room:{SHUT}"
    for channel in (shut, "nothing:here"):
        await client.subscribe(channel)

    assert [(end["code"], end["reason"]) for end in await client.heard("unsubscribed", shut)] == [
        (103, "permission denied")
    ]
    assert [end["code"] for end in await client.heard("unsubscribed", "nothing:here")] == [102]
    assert await client.state() == "connected"


async def test_it_subscribes_with_a_token(scene: Scene) -> None:
    """The application asks a door for it; the SDK shows it, and nobody is looked up."""
    ana, room = scene.world.ana, a_room()
    client = await scene.come(ana, lambda channel: subscription_token(ana, channel))
    await client.subscribe(room, asks=True)
    await client.heard("subscribed", room)

    await scene.realtime.publish([room], "hello")

    assert await client.published(room) == ["hello"]


async def test_a_token_for_somebody_else_or_another_channel_is_refused(scene: Scene) -> None:
    """It opens what it names to whom it names, and nothing else."""
    ana, bob, room, other = scene.world.ana, scene.world.bob, a_room(), a_room()

    async def give(channel: str | None) -> str:
        if channel == room:
            return await subscription_token(bob, room)
        return await subscription_token(ana, room) if channel else ana.token or ""

    client = await scene.come(ana, give)
    for channel in (room, other):
        await client.subscribe(channel, asks=True)
        assert [end["code"] for end in await client.heard("unsubscribed", channel)] == [103]


async def test_a_subscription_token_is_renewed_in_time(database_address: Address, tmp_path: Path, sdk: str) -> None:
    """`sub_refresh`, by the SDK's own clock; the subscription goes on."""
    async with scenes(database_address, tmp_path, sdk, settings=SHORT) as scene:
        ana, room, asked = scene.world.ana, a_room(), []

        async def give(channel: str | None) -> str:
            token = await scene.renewed(ana)
            asked.append(channel)
            return await subscription_token(ana, channel) if channel else token

        client = await scene.come(ana, give)
        await client.subscribe(room, asks=True)
        async with asyncio.timeout(20):
            while asked.count(room) < 2:
                await asyncio.sleep(0.01)
        await scene.realtime.publish([room], "still here")

        assert await client.published(room) == ["still here"]
        assert len(client.all("subscribed", room)) == 1


async def test_it_publishes_where_a_module_allows(scene: Scene) -> None:
    """Others hear it with its sender's name; elsewhere it is refused."""
    ana, bob, room, hall = scene.world.ana, scene.world.bob, a_room(), a_room().replace("room", "hall")
    speaker, listener = await scene.come(ana), await scene.come(bob)
    for client in (speaker, listener):
        for channel in (room, hall):
            await client.subscribe(channel)
            await client.heard("subscribed", channel)

    await speaker.publish(room, {"typing": True})
    with pytest.raises(Refused) as refusal:
        await speaker.publish(hall, {"typing": True})

    assert await listener.published(room) == [{"typing": True}]
    (said,) = listener.all("publication", room)
    assert said["info"]["user"] == str(ana.id)
    assert refusal.value.code == 103


async def test_it_sees_who_is_there_who_comes_and_who_goes(scene: Scene) -> None:
    """Presence, its figures, joins and leaves; only where a channel has them."""
    ana, bob, room, hall = scene.world.ana, scene.world.bob, a_room(), a_room().replace("room", "hall")
    first, second, third = await scene.come(ana), await scene.come(bob), await scene.come(bob)
    for client in (first, second, third):
        await client.subscribe(room)
        await client.heard("subscribed", room)
    await first.subscribe(hall)
    await first.heard("subscribed", hall)

    assert sorted(await first.presence(room)) == sorted([str(ana.id), str(bob.id), str(bob.id)])
    assert await first.presence_stats(room) == (3, 2)
    with pytest.raises(Refused) as refusal:
        await first.presence(hall)
    assert refusal.value.code == 108
    joins = [join["info"]["user"] for join in await first.heard("join", room, count=2)]
    assert joins[-2:] == [str(bob.id)] * 2
    await third.disconnect()
    (leave,) = await first.heard("leave", room)
    assert leave["info"]["user"] == str(bob.id)
    assert await first.presence_stats(room) == (2, 2)


async def test_it_recovers_what_it_missed(scene: Scene) -> None:
    """On every channel, after each break: complete, in order, nothing twice."""
    client, room = await scene.come(scene.world.ana), a_room()
    own = user_channel(scene.world.ana.id)
    await client.subscribe(room)
    await client.heard("subscribed", room)

    for round_ in range(3):
        scene.wire.cut()
        await client.heard("connecting", count=2 + round_)
        for n in range(3):
            await scene.realtime.publish([own, room], 3 * round_ + n)
        scene.wire.mend()
        await client.published(room, count=3 * round_ + 3)
        await client.published(own, count=3 * round_ + 3)

    assert client.data_of(room) == client.data_of(own) == list(range(9))
    subscribed = client.all("subscribed", room)
    assert [(told["wasRecovering"], told["recovered"]) for told in subscribed] == [(False, False), *[(True, True)] * 3]


async def test_it_is_told_when_it_cannot_recover(database_address: Address, tmp_path: Path, sdk: str) -> None:
    """`recovered: false`: the application loads anew, and hears what comes next."""
    async with scenes(database_address, tmp_path, sdk, settings={"realtime.history_size": 2}) as scene:
        client, room = await scene.come(scene.world.ana), a_room()
        await client.subscribe(room)
        await client.heard("subscribed", room)
        await scene.realtime.publish([room], "known")
        await client.published(room)

        scene.wire.cut()
        for n in range(5):
            await scene.realtime.publish([room], n)
        scene.wire.mend()
        told = (await client.heard("subscribed", room, count=2))[1]
        await scene.realtime.publish([room], "live")

        assert (told["wasRecovering"], told["recovered"]) == (True, False)
        assert (await client.published(room, count=2))[-1] == "live"


async def test_a_lost_right_ends_the_subscription_for_good(scene: Scene) -> None:
    """The SDK does not come back to the channel, and the connection goes on."""
    client, room = await scene.come(scene.world.ana), a_room()
    await client.subscribe(room)
    await client.heard("subscribed", room)

    await scene.realtime.unsubscribe(scene.world.ana.id, room)
    (ended,) = await client.heard("unsubscribed", room)
    await scene.realtime.publish([room], "secret")
    await scene.realtime.publish([user_channel(scene.world.ana.id)], "after")
    await client.published(user_channel(scene.world.ana.id))

    assert ended["code"] == 2000
    assert client.data_of(room) == []
    assert await client.state() == "connected"
