"""A revocation ends everything of a session within a second: requests, open sockets, and the next connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest
import websockets

from tests.modules.identity.people import promote
from tests.world import Person, World


@asynccontextmanager
async def connected(world: World, person: Person) -> AsyncIterator[websockets.ClientConnection]:
    """A socket on which somebody is signed in."""
    url = world.url.replace("http", "ws") + "/connection/websocket"
    async with websockets.connect(url) as socket:
        await socket.send(msgspec.json.encode({"id": 1, "connect": {"token": person.token}}).decode())
        reply = msgspec.json.decode(await asyncio.wait_for(socket.recv(), 2))
        assert "connect" in reply, reply
        yield socket


async def sign_out(world: World) -> None:
    await world.ana.delete("/v1/sessions/current")


async def erase(world: World) -> None:
    await world.ana.delete("/v1/me", {"password": "correct horse battery staple 7"})


async def ban(world: World) -> None:
    await promote(world, world.bob)
    await world.bob.put(f"/v1/admin/users/{world.ana.id}/ban", {"reason": "enough"})


async def replay(world: World) -> None:
    token = {"refresh_token": world.ana.refresh_token}
    await world.visitor.post("/v1/sessions/refresh", token)
    world.clock.advance(timedelta(seconds=31))
    await world.visitor.post("/v1/sessions/refresh", token)


@pytest.mark.parametrize("deed", [sign_out, erase, ban, replay])
async def test_an_open_socket_is_closed_within_a_second(world: World, deed: Callable[[World], Awaitable[None]]) -> None:
    """Whoever stole a telephone hears nothing more."""
    async with connected(world, world.ana) as socket:
        await deed(world)

        async with asyncio.timeout(1):
            await socket.wait_closed()

    assert (await world.ana.get("/v1/me")).status == 401
    url = world.url.replace("http", "ws") + "/connection/websocket"
    async with websockets.connect(url) as again:
        await again.send(msgspec.json.encode({"id": 1, "connect": {"token": world.ana.token}}).decode())
        try:
            reply = msgspec.json.decode(await asyncio.wait_for(again.recv(), 2))
        except websockets.ConnectionClosed:
            return
        assert "error" in reply


async def test_the_socket_of_another_session_stays_open(world: World) -> None:
    """Signing out here is not signing out there."""
    other = Person(world.client, email=world.ana.email)
    await world.sign_in(other)
    async with connected(world, other) as socket:
        await sign_out(world)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.wait_closed(), 0.3)


async def test_an_expired_access_token_does_not_hinder_renewing(world: World) -> None:
    """Clients send it along with everything."""
    world.clock.advance(timedelta(minutes=11))

    answer = await world.ana.post("/v1/sessions/refresh", {"refresh_token": world.ana.refresh_token})

    assert answer.status == 200
    assert (await world.ana.get("/v1/keys")).status == 401


async def test_neither_does_one_of_a_session_that_is_over_hinder_signing_in(world: World) -> None:
    """A forged one does: its bearer must learn that it is none."""
    await sign_out(world)
    asked = {"email": world.ana.email, "password": "correct horse battery staple 7"}

    assert (await world.ana.post("/v1/sessions", asked)).status == 201
    forged = Person(world.client, token=(world.ana.token or "")[:-6] + "AAAAAA")
    assert (await forged.post("/v1/sessions", asked)).status == 401
