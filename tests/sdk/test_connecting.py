"""How the official SDKs connect, stay and come back, on the house as it is served and on the gateway."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from tenfold.platform.db.embedded import Address
from tenfold.platform.realtime import EVERYONE, user_channel
from tests.sdk.clients import Refused
from tests.sdk.conftest import Scene, scenes

SHORT = {"tokens.access_lifetime": "3s"}


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
            token = await scene.renewed(ana)
            given.set()
            return token

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


async def test_a_changed_account_comes_back_with_a_new_token(scene: Scene) -> None:
    """What a token says is outdated: the SDK is sent for a new one, and comes back with it by itself."""
    ana = scene.world.ana

    async def give(channel: str | None) -> str:
        return await scene.renewed(ana)

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

    await scene.drain(timedelta(milliseconds=50))

    told = (await client.heard("connecting", count=2))[1]
    assert (told["code"], told["reason"]) == (3001, "shutdown")
    assert client.all("disconnected") == []


async def test_pings_keep_an_idle_connection(database_address: Address, tmp_path: Path, sdk: str) -> None:
    """An SDK that hears nothing for longer than it was told takes the connection for dead: this one never does."""
    async with scenes(database_address, tmp_path, sdk, settings={"realtime.ping": "1s"}) as scene:
        client = await scene.come(scene.world.ana, patience=1.5)
        for _ in range(4):
            await asyncio.sleep(0.9)

        assert await client.state() == "connected"
        assert len(client.all("connecting")) == 1
