"""What applications do with the official SDKs, unchanged, on the house as it is served: JavaScript's, and Python's."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tenfold.platform.db.embedded import Address
from tenfold.platform.realtime import EVERYONE, user_channel
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


async def test_it_connects_and_hears_its_own_channel_and_everyones(scene: Scene) -> None:
    """With nothing but the access token; what is for somebody else it does not hear."""
    ana, bob = scene.world.ana, scene.world.bob
    client = await scene.come(ana)

    await scene.realtime.publish([user_channel(bob.id)], "for bob")
    await scene.realtime.publish([user_channel(ana.id)], {"for": "ana"})
    await scene.realtime.publish([EVERYONE], ["all"])

    assert await client.published(user_channel(ana.id)) == [{"for": "ana"}]
    assert await client.published(EVERYONE) == [["all"]]
    assert client.data_of(user_channel(bob.id)) == []


async def test_a_deed_through_a_door_reaches_the_socket_of_another(scene: Scene) -> None:
    """A follower's screen shows a post when it is published."""
    ana, bob = scene.world.ana, scene.world.bob
    await bob.put(f"/v1/users/{ana.id}/follow")
    await bob.get("/v1/timelines/home")
    client = await scene.come(bob)

    published = await (await scene.come(ana)).rpc("POST /v1/posts", {"body": "Hello"})
    await scene.world.drain()

    (news,) = await client.published(user_channel(bob.id))
    assert (news["type"], news["post"]["id"]) == ("post.published", published["id"])


async def test_an_expired_token_is_renewed_before_it_connects(scene: Scene) -> None:
    """Error 109 has the SDK ask the application for a new one."""
    ana, asked = scene.world.ana, []
    old = ana.token or ""
    scene.world.clock.advance(timedelta(hours=1))
    await scene.world.sign_in(ana)

    async def give(channel: str | None) -> str:
        asked.append(channel)
        return ana.token or ""

    client = await scene.come(ana, give, token=old)

    assert asked == [None]
    assert await client.state() == "connected"


async def test_a_token_is_renewed_on_the_open_connection(database_address: Address, tmp_path: Path, sdk: str) -> None:
    """The SDK does it when the time comes, and nothing is interrupted."""
    async with scenes(database_address, tmp_path, sdk, settings=SHORT) as scene:
        ana, given = scene.world.ana, asyncio.Event()

        async def give(channel: str | None) -> str:
            given.set()
            return ana.token or ""

        client = await scene.come(ana, give)
        async with asyncio.timeout(20):
            await given.wait()
        await client.rpc("GET /v1/me", {})

        assert len(client.all("connected")) == 1
        assert client.all("disconnected") == []


async def test_a_forged_token_is_refused_for_good(scene: Scene) -> None:
    """The SDK stops and says why."""
    client = await scene.start(scene.world.ana, token="forged")

    (ended,) = await client.heard("disconnected")

    assert (ended["code"], ended["reason"]) == (3500, "invalid token")
    assert await client.state() == "disconnected"


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
            asked.append(channel)
            return await subscription_token(ana, channel)

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


async def test_it_calls_doors(scene: Scene) -> None:
    """A method is a request line; what is refused over HTTP is refused here, in the same words."""
    client = await scene.come(scene.world.ana)

    post = await client.rpc("POST /v1/posts", {"body": "By a socket"})
    address = f"/v1/users/{scene.world.ana.id}/posts/{post['id']}"
    liked = await client.rpc(f"PUT {address}/like", {})
    read = await client.rpc(f"GET {address}", {})
    page = await client.rpc(f"GET /v1/users/{scene.world.ana.id}/posts?limit=1", {})

    assert liked == {}
    assert (read["body"], page["items"][0]["id"]) == ("By a socket", post["id"])
    refusals: list[tuple[str, Any, int, str]] = [
        (f"GET {address[:-1]}x", {}, 1404, "UnknownPath: "),
        ("GET /v1/users/01890000-0000-7000-8000-000000000000", {}, 1404, "UserNotFound: "),
        ("POST /v1/posts", {"body": 7}, 1400, "Invalid: body.body: "),
        ("PATCH /v1/timelines/home", {}, 1405, "MethodNotAllowed: "),
        ("GET /v1/admin/users", {}, 1404, "UnknownPath: "),
        ("levitate", {}, 104, "method not found"),
    ]
    for method, data, code, message in refusals:
        with pytest.raises(Refused) as refusal:
            await client.rpc(method, data)
        assert refusal.value.code == code, method
        assert refusal.value.message.startswith(message), method


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


async def test_a_revoked_session_stays_away(scene: Scene) -> None:
    """Within a second; the same person's other device notices nothing."""
    ana = scene.world.ana
    here = await scene.come(ana)
    await scene.world.sign_in(ana, device="laptop")
    there = await scene.come(ana)

    async with asyncio.timeout(1):
        await ana.delete("/v1/sessions/others")
        (ended,) = await here.heard("disconnected")

    assert (ended["code"], ended["reason"]) == (3503, "force disconnect")
    assert (await here.state(), await there.state()) == ("disconnected", "connected")
    assert len(here.all("connected")) == 1


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


async def test_a_changed_account_comes_back_with_a_new_token(scene: Scene) -> None:
    """What a token says is outdated: the SDK is sent for a new one, and comes back with it by itself."""
    ana = scene.world.ana

    async def give(channel: str | None) -> str:
        answer = await scene.world.visitor.post("/v1/sessions/refresh", {"refresh_token": ana.refresh_token})
        ana.token, ana.refresh_token = answer.body["access_token"], answer.body["refresh_token"]
        return ana.token or ""

    client = await scene.come(ana, give)
    with pytest.raises(Refused) as refusal:
        await client.rpc("GET /v1/admin/users", {})
    assert refusal.value.code == 1404

    await scene.world.admin.put(f"/v1/admin/users/{ana.id}/role", {"role": "admin"})
    await client.heard("connected", count=2)

    assert (await client.rpc("GET /v1/admin/users", {}))["items"]
    assert client.all("connecting")[1]["code"] == 3005


async def test_a_stopping_server_sends_its_clients_to_come_back(scene: Scene) -> None:
    """3001, which the SDK takes as an invitation."""
    client = await scene.come(scene.world.ana)

    await scene.world.socket.drain(timedelta(milliseconds=50))

    told = (await client.heard("connecting", count=2))[1]
    assert (told["code"], told["reason"]) == (3001, "shutdown")
    assert client.all("disconnected") == []


async def test_pings_keep_an_idle_connection(database_address: Address, tmp_path: Path, sdk: str) -> None:
    """Both sides hear that the other is there: nobody reconnects."""
    async with scenes(database_address, tmp_path, sdk, settings={"realtime.ping": "1s"}) as scene:
        client = await scene.come(scene.world.ana)
        await asyncio.sleep(2.5)

        assert await client.state() == "connected"
        assert len(client.all("connecting")) == 1
        assert await client.rpc("GET /v1/me", {})


async def test_calls_are_sent_together(database_address: Address, tmp_path: Path, packages: None) -> None:
    """One frame for many commands (`startBatching`), which only the SDK for JavaScript has."""
    async with scenes(database_address, tmp_path, "javascript") as scene:
        client: Any = await scene.come(scene.world.ana)

        answers, frames = await client.batch(*[("GET /v1/me", {})] * 5)

        assert [answer["id"] for answer in answers] == [str(scene.world.ana.id)] * 5
        assert frames == 1


async def test_an_event_source_listens_without_an_sdk(database_address: Address, tmp_path: Path) -> None:
    """The one-way fallback, at the same port: its own channel, and rooms that it asks for."""
    async with scenes(database_address, tmp_path, "python") as scene:
        room, ana = a_room(), scene.world.ana
        asked = json.dumps({"token": ana.token, "subs": {room: {}}})
        async with scene.world.client.stream("GET", "/connection/uni_sse", params={"cf_connect": asked}) as answer:
            lines = answer.aiter_lines()
            connect = await next_event(lines)
            await scene.realtime.publish([room], "hello")
            push = await next_event(lines)

        assert answer.headers["x-request-id"]
        assert {room, user_channel(ana.id), EVERYONE} == set(connect["connect"]["subs"])
        assert (push["channel"], push["pub"]["data"]) == (room, "hello")


async def next_event(lines: Any) -> Any:
    async with asyncio.timeout(10):
        async for line in lines:
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
    return None
