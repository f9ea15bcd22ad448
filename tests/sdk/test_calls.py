"""Doors called by the official SDKs over the socket, and a listener that has no SDK at all."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tenfold.platform.db.embedded import Address
from tenfold.platform.realtime import EVERYONE, user_channel
from tests.sdk.clients import Refused
from tests.sdk.conftest import Scene, scenes
from tests.sdk.rooms import a_room


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
