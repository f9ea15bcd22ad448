"""Live, from the door of one to the socket of another: the official SDK, unchanged, on the house as it is served."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from centrifuge import Client, ClientState

from tenfold.assembly import House
from tenfold.platform.db.embedded import Address
from tenfold.platform.http.server import bind, serving
from tests.house.lively import done
from tests.platform.realtime_house import Diary
from tests.waiting import until
from tests.world import Person, World, settings_of, worlds

SOON = 1.0


@dataclass
class Wire:
    """A TCP connection's way to the server, which can be cut at any time without a word to either side."""

    port: int
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    is_down: bool = False

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.transport.abort()
            return
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers += [writer, onward_writer]
        for source, target in ((reader, onward_writer), (onward_reader, writer)):
            task = asyncio.create_task(carry(source, target))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def cut(self) -> None:
        """Break all connections, and let nobody through until `mend`."""
        self.is_down = True
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    def mend(self) -> None:
        """Let people through again."""
        self.is_down = False


async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(65536):
            target.write(chunk)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        target.transport.abort()


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[tuple[Wire, str]]:
    wire = Wire(int(url.rpartition(":")[2]))
    server = await asyncio.start_server(wire.connect, "127.0.0.1", 0)
    try:
        yield wire, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        wire.cut()
        await asyncio.gather(*wire.tasks)


@asynccontextmanager
async def listening(url: str, person: Person, **options: Any) -> AsyncIterator[tuple[Client, Diary]]:
    """The SDK, connected with somebody's access token; what it is told stands in the diary."""
    diary = Diary()
    quick = {"min_reconnect_delay": 0.02, "max_reconnect_delay": 0.05, "proxy": None}
    address = f"{url.replace('http', 'ws')}/connection/websocket"
    client = Client(address, events=diary, token=person.token or "", **{**quick, **options})
    await client.connect()
    try:
        await client.ready()
        await until(lambda: diary.recoveries)
        yield client, diary
    finally:
        await client.disconnect()
        await asyncio.sleep(0.01)


async def say(author: Person, body: str) -> None:
    done(await author.post("/v1/posts", {"body": body}))


def bodies(diary: Diary) -> list[str]:
    """What the posts say that were heard of, in the order of hearing."""
    return [news["post"]["body"] for news in diary.heard if news["type"] == "post.published"]


async def stays_away(client: Client, diary: Diary) -> bool:
    """Whether the SDK has given up for good: ten times its pause between attempts, and no new one."""
    await asyncio.sleep(0.5)
    return client.state == ClientState.DISCONNECTED and diary.connects == 1


def refreshing(person: Person) -> Callable[[], Any]:
    """How an application gives the SDK a new access token: by the refresh token that it keeps."""

    async def get_token() -> str:
        answer = await Person(person.client).post("/v1/sessions/refresh", {"refresh_token": person.refresh_token})
        signed_in = done(answer)
        person.token, person.refresh_token = signed_in["access_token"], signed_in["refresh_token"]
        return signed_in["access_token"]

    return get_token


async def test_a_post_reaches_the_sockets_of_followers(world: World) -> None:
    """And of its author; nobody else hears of it."""
    done(await world.bob.put(f"/v1/users/{world.ana.id}/follow"))
    async with (
        listening(world.url, world.bob) as (_, bob),
        listening(world.url, world.ana) as (_, ana),
        listening(world.url, world.eve) as (_, eve),
    ):
        await say(world.ana, "hello")
        await world.drain()
        await until(lambda: bodies(bob) and bodies(ana), timeout=SOON)

        assert bodies(bob) == bodies(ana) == ["hello"]
        assert bob.heard[0]["post"]["viewer"]["follows_author"] is True
        assert eve.heard == []


async def test_what_was_missed_while_the_line_was_cut_is_recovered(world: World) -> None:
    """All of it, in order, once."""
    done(await world.bob.put(f"/v1/users/{world.ana.id}/follow"))
    async with wired(world.url) as (wire, url), listening(url, world.bob) as (_, bob):
        await say(world.ana, "one")
        await world.drain()
        await until(lambda: bodies(bob))
        wire.cut()
        await until(lambda: len(bob.reconnects) > 1)
        for body in ("two", "three"):
            await say(world.ana, body)
            await world.drain()
        assert bodies(bob) == ["one"]
        wire.mend()
        await until(lambda: len(bodies(bob)) == 3)
        await say(world.ana, "four")
        await world.drain()
        await until(lambda: len(bodies(bob)) == 4)

        assert bodies(bob) == ["one", "two", "three", "four"]
        assert bob.recoveries == [(False, False), (True, True)]


async def test_signing_out_elsewhere_closes_the_socket_for_good(world: World) -> None:
    """Within a second; the device that signed the other one out stays connected."""
    phone = Person(world.client, handle="bob", email=world.bob.email)
    await world.sign_in(phone)
    async with (
        listening(world.url, world.bob, get_token=refreshing(world.bob)) as (laptop, diary),
        listening(world.url, phone) as (other, _),
    ):
        done(await phone.delete("/v1/sessions/others"))
        await until(lambda: diary.ended, timeout=SOON)

        assert await stays_away(laptop, diary)
        assert other.state == ClientState.CONNECTED
        assert (await world.bob.get("/v1/me")).status == 401


async def test_a_ban_closes_every_socket_for_good(world: World) -> None:
    """Within a second, on every device."""
    phone = Person(world.client, handle="bob", email=world.bob.email)
    await world.sign_in(phone)
    async with (
        listening(world.url, world.bob) as (one, first),
        listening(world.url, phone) as (two, second),
        listening(world.url, world.eve) as (other, _),
    ):
        done(await world.admin.put(f"/v1/admin/users/{world.bob.id}/ban", {"reason": "spam"}))
        await until(lambda: first.ended and second.ended, timeout=SOON)

        assert await stays_away(one, first)
        assert await stays_away(two, second)
        assert other.state == ClientState.CONNECTED


async def test_an_expired_token_is_refreshed_on_the_way_back(world: World) -> None:
    """A laptop that slept for a quarter of an hour: its token is old, its session is not, and nothing was missed."""
    done(await world.bob.put(f"/v1/users/{world.ana.id}/follow"))
    old = world.bob.token
    async with (
        wired(world.url) as (wire, url),
        listening(url, world.bob, get_token=refreshing(world.bob)) as (client, diary),
    ):
        wire.cut()
        world.clock.advance(timedelta(minutes=15))
        await world.sign_in(world.ana)
        await say(world.ana, "good morning")
        await world.drain()
        wire.mend()
        await until(lambda: bodies(diary))

        assert 109 in diary.errors
        assert world.bob.token != old
        assert client.state == ClientState.CONNECTED
        assert diary.recoveries[-1] == (True, True)


async def test_an_open_socket_renews_its_token_before_it_expires(database_address: Address, tmp_path: Path) -> None:
    """The SDK asks for a new one when the server says that it is due, and the connection goes on."""
    async with worlds(database_address, tmp_path, settings={"tokens.access_lifetime": "3s"}) as world:
        await world.sign_in(world.bob)
        first = world.bob.token
        async with listening(world.url, world.bob, get_token=refreshing(world.bob)) as (client, diary):
            await until(lambda: world.bob.token != first)
            await asyncio.sleep(0.1)

            assert (client.state, diary.connects) == (ClientState.CONNECTED, 1)


@dataclass
class Two:
    """Two processes' worth of one installation: `world` serves and does not work, `other` does both."""

    world: World
    other: House
    url: str
    client: httpx2.AsyncClient

    def at_other(self, person: Person) -> Person:
        """The same person with the same token, at the door of the other process."""
        return Person(self.client, id=person.id, email=person.email, token=person.token)


@pytest.fixture
async def two(database_address: Address, tmp_path: Path) -> AsyncIterator[Two]:
    async with worlds(database_address, tmp_path, alone=False) as world:
        settings = settings_of(data=str(tmp_path / "other"))
        at = database_address
        other = House(settings, at.dsn, at.options, clock=world.clock, mailer=world.mailer)
        await other.open()
        listener, socket = bind("127.0.0.1", 0), other.socket()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with (
                serving(other.application(socket), listener, grace=2, drain=socket.drain),
                httpx2.AsyncClient(base_url=url) as client,
            ):
                yield Two(world, other, url, client)
        finally:
            await other.close()


async def comes_true(ask: Callable[[], Any], timeout: float = SOON) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(timeout):
        while not await ask():
            await asyncio.sleep(0.01)


async def test_a_revocation_in_one_process_is_effective_in_the_other(two: Two) -> None:
    """At its doors and on its sockets, within a second."""
    world, bob = two.world, two.world.bob
    there = two.at_other(bob)
    done(await there.get("/v1/me"))
    async with listening(two.url, bob) as (client, diary):
        done(await bob.delete("/v1/sessions/current"))
        await until(lambda: diary.ended, timeout=SOON)

        async def is_refused() -> bool:
            return (await there.get("/v1/me")).status == 401

        await comes_true(is_refused)
        assert await stays_away(client, diary)
    assert (await world.ana.get("/v1/me")).status == 200


async def test_a_role_that_is_taken_away_in_one_process_is_gone_in_the_other(two: Two) -> None:
    """Claims that are out of date open no door anywhere."""
    world = two.world
    await world.appoint(world.bob, "moderator")
    there = two.at_other(world.bob)
    done(await there.get("/v1/me"))

    done(await world.admin.put(f"/v1/admin/users/{world.bob.id}/role", {"role": "user"}))

    async def is_refused() -> bool:
        return (await there.get("/v1/me")).status == 401

    await comes_true(is_refused)


async def test_what_one_process_drops_from_its_cache_the_other_drops_too(two: Two) -> None:
    """A new name stands beside old posts, wherever they are read."""
    ana = two.world.ana
    await say(ana, "hello")

    async def names_seen() -> set[str]:
        page = done(await two.at_other(two.world.bob).get(f"/v1/users/{ana.id}/posts"))
        return {post["author"]["name"] for post in page["items"]}

    assert await names_seen() == {"Ana"}
    done(await ana.patch("/v1/me", {"name": "Ana Maria"}))

    async def is_new() -> bool:
        return await names_seen() == {"Ana Maria"}

    await comes_true(is_new)


async def test_a_worker_of_another_process_reaches_the_sockets_of_all(two: Two) -> None:
    """A fact that is published in one is worked in the other, woken by a signal, and told to listeners of both."""
    world = two.world
    for fan in (world.bob, world.eve):
        done(await fan.put(f"/v1/users/{world.ana.id}/follow"))
    worker = two.other.worker()
    await worker.start()
    try:
        async with listening(world.url, world.bob) as (_, here), listening(two.url, world.eve) as (_, there):
            for body in ("one", "two"):
                await say(world.ana, body)
                await until(lambda body=body: bodies(here)[-1:] == bodies(there)[-1:] == [body], timeout=3)

            assert bodies(here) == bodies(there) == ["one", "two"]
    finally:
        await worker.stop()


async def test_a_worker_that_joined_reaches_the_sockets_of_a_house_alone(
    world: World, database_address: Address, tmp_path: Path
) -> None:
    """`tenfold worker` beside `tenfold serve`: what it tells is not lost on its way to the only sockets there are."""
    settings = settings_of(data=str(tmp_path / "other"))
    at = database_address
    other = House(settings, at.dsn, at.options, clock=world.clock, mailer=world.mailer)
    await other.open()
    try:
        async with listening(world.url, world.bob) as (_, bob):
            done(await world.bob.put(f"/v1/users/{world.ana.id}/follow"))
            await world.drain()
            await say(world.ana, "hello")
            await other.worker().drain(strict=True)
            await until(lambda: bodies(bob), timeout=SOON)

            assert bodies(bob) == ["hello"]
    finally:
        await other.close()
