"""What the gateway does beyond the web process's WebSocket: it is full in a friendly way, and speaks a little HTTP."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tenfold.platform.realtime import user_channel
from tenfold.platform.realtime.gateway import AWAY, Gateway
from tenfold.platform.realtime.gateway.server import _Protocol
from tenfold.platform.realtime.protocol import decode_replies
from tests.platform import realtime_house
from tests.platform.realtime_house import House, bare, closing_code, house
from tests.platform.realtime_world import person
from tests.waiting import until

HANDSHAKE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime_house, "transport", "picows")


@asynccontextmanager
async def raw(at: House) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that says what it likes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def signed_in(at: House, connection: Any, token: str) -> Any:
    await connection.send(f'{{"id":1,"connect":{{"token":"{token}"}}}}')
    return decode_replies(await connection.recv())[0].connect


async def test_pings_count_as_commands() -> None:
    """Who sends nothing else is no cheaper: some are answered, and whoever goes on is let go."""
    async with house() as at, bare(at) as connection:
        await (await connection.ping())
        with suppress(ConnectionClosed):
            for _ in range(1000):
                await connection.ping()
                await asyncio.sleep(0)

        assert await closing_code(connection) == 3013


async def test_who_comes_when_it_is_full_is_told_to_try_again() -> None:
    """503 with a time, for a handshake and for a page; who is there stays, and room that comes free is given."""
    async with house(capacity=2) as at, bare(at) as first:
        async with bare(at):
            with pytest.raises(InvalidStatus) as refused:
                async with bare(at):
                    pass
            async with httpx2.AsyncClient() as client:
                page = await client.get(f"http://127.0.0.1:{at.port}/ready")

            assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (503, "2")
            assert page.status_code == 503
        await until(lambda: at.endpoint.connections == 1)

        async with bare(at) as third:
            assert await signed_in(at, first, at.world.token(person()))
            assert await signed_in(at, third, at.world.token(person()))


async def test_a_crowd_that_comes_at_once_is_taken_in_together() -> None:
    """Not one in each turn of the loop: each would pay for all that a turn costs."""
    async with house() as at:
        crowd = [socket.create_connection(("127.0.0.1", at.port)) for _ in range(30)]
        for _ in range(5):
            await asyncio.sleep(0)

        assert at.endpoint.accepted == 30
        for one in crowd:
            one.close()


async def test_a_crowd_that_says_nothing_is_let_go() -> None:
    """Connections without a handshake are ended in time, and count for the capacity until then."""
    async with house(capacity=3, handshake_timeout=0.3) as at:
        idlers = [await asyncio.open_connection("127.0.0.1", at.port) for _ in range(3)]
        await until(lambda: at.endpoint.accepted == 3)
        with pytest.raises(InvalidStatus, match="503"):
            async with bare(at):
                pass

        await until(lambda: at.endpoint.accepted == 0)
        async with bare(at):
            assert at.endpoint.connections == 1
        for _, writer in idlers:
            writer.close()


async def test_many_beyond_the_capacity_are_closed_without_a_word() -> None:
    """A flood gets no memory; the process answers again when it is over."""
    async with house(capacity=1) as at, bare(at):
        flood = []
        for _ in range(200):
            one = socket.create_connection(("127.0.0.1", at.port))
            one.setblocking(False)
            flood.append(one)
        await until(lambda: at.endpoint.accepted <= 1 + 128)
        for one in flood:
            one.close()

        await until(lambda: at.endpoint.accepted == 1)


async def test_firefox_may_connect() -> None:
    """It says `keep-alive, Upgrade`, as it may."""
    async with house() as at, raw(at) as (reader, writer):
        writer.write(HANDSHAKE % b"")

        assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /health HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /health?probe=1 HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /ready HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /connection/websocket HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
        (b"POST /connection/websocket HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", b"400"),
        (HANDSHAKE.replace(b"13", b"12") % b"", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_handshake_is_answered_and_closed(request_: bytes, status: bytes) -> None:
    """Load balancers and scrapers are served; everybody else learns why not. Nothing is left of them."""
    async with house() as at, raw(at) as (reader, writer):
        writer.write(request_)
        answer = await reader.read()

        assert answer.split(b" ")[1] == status
        await until(lambda: at.endpoint.accepted == 0)


async def test_a_handshake_without_end_is_cut_off() -> None:
    """At 16 KB."""
    async with house() as at, raw(at) as (reader, writer):
        writer.write(HANDSHAKE % (b"X-Long: " + b"x" * 40_000))

        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        await until(lambda: at.endpoint.accepted == 0)


async def test_nothing_of_the_handshake_is_kept() -> None:
    """Its headers would cost more than the session."""
    async with house() as at, bare(at, additional_headers={"X-Mark": "kept-or-not"}) as connection:
        assert await signed_in(at, connection, at.world.token(person()))
        (carried,) = at.endpoint._open

        request = carried._transport.request
        assert request.method is request.path is request.version is request.headers is None
        assert not carried._is_at_work
        assert carried._inbox is carried._parts is carried._frames is None


async def test_commands_wait_their_turn() -> None:
    """Many at once are answered in order, however long each takes; reading pauses meanwhile."""
    async with house() as at, bare(at) as connection:
        assert await signed_in(at, connection, at.world.token(person()))
        for number in range(200):
            await connection.send(f'{{"id":{number + 2},"ping":{{}}}}')
        answered: list[int] = []
        while len(answered) < 200:
            answered += [reply.id for reply in decode_replies(await connection.recv())]

        assert answered == list(range(2, 202))


async def test_what_one_turn_of_the_loop_brings_is_one_frame() -> None:
    """A burst costs each reader one write."""
    async with house() as at, bare(at) as connection:
        ana = person()
        assert await signed_in(at, connection, at.world.token(ana))
        (carried,) = at.endpoint._open

        for number in range(3):
            carried.send(b'{"push":{"channel":"a","pub":{"data":%d}}}' % number)
        carried.send(b"{}")
        pushes = decode_replies(await connection.recv())

        assert [bytes(push.push.pub.data) for push in pushes if push.push and push.push.pub] == [b"0", b"1", b"2"]
        assert len(pushes) == 4
        await at.world.hub.publish([user_channel(ana.id)], "after")
        assert b"after" in (await connection.recv()).encode()


async def test_what_a_room_hears_in_one_turn_is_put_together_once() -> None:
    """And each hears it whole and in order, what is too long to be copied again and again as well."""
    async with house() as at, bare(at) as one, bare(at) as two:
        for connection in (one, two):
            assert await signed_in(at, connection, at.world.token(person()))
        said = [b'{"push":{"channel":"a","pub":{"data":"%s"}}}' % (text * size) for text, size in _SAID]
        first, second = at.endpoint._open

        for frame in said[:2]:
            for carried in (first, second):
                carried.send(frame)
        assert first._frames is second._frames
        for frame in said[2:]:
            for carried in (first, second):
                carried.send(frame)
        assert first._frames[1] is second._frames[1] is said[2], "long ones are not copied for each"

        for connection in (one, two):
            assert (await connection.recv()).encode() == b"\n".join(said)


_SAID = ((b"x", 1), (b"y", 1), (b"long", 2_000), (b"z", 1), (b"last", 2_000))


async def test_connections_go_without_the_garbage_collector() -> None:
    """It runs rarely there; what is over must not wait for it."""
    async with house() as at:
        gc.collect()
        before = sum(type(one) is _Protocol for one in gc.get_objects())
        gc.disable()
        try:
            for _ in range(5):
                async with bare(at) as connection:
                    await signed_in(at, connection, at.world.token(person()))
            await until(lambda: at.endpoint.accepted == 0)
            await until(lambda: sum(type(one) is _Protocol for one in gc.get_objects()) <= before)
        finally:
            gc.enable()


async def test_others_may_read_how_many_there_are_until_it_is_leaving() -> None:
    """Who leads people to the emptiest process reads it there; to one that drains, nobody must be led."""
    async with house() as at:
        gateway = at.endpoint
        assert isinstance(gateway, Gateway)
        seat = gateway._seat
        async with bare(at), bare(at):
            assert list(seat) == [2]
        await until(lambda: list(seat) == [0])
        async with bare(at) as connection:
            assert await signed_in(at, connection, at.world.token(person()))
            await gateway.drain(timedelta(0))

            assert await closing_code(connection) == 3001
            assert (list(seat), gateway.accepted) == ([AWAY], 0)


async def test_a_drain_is_spread_over_its_span() -> None:
    """So that a million do not come back at once."""
    async with house() as at, bare(at) as first, bare(at) as second:
        started = asyncio.get_running_loop().time()
        draining = asyncio.create_task(at.endpoint.drain(timedelta(seconds=0.6)))
        ends = [await closing_code(connection) for connection in (first, second)]
        took = asyncio.get_running_loop().time() - started
        await draining

        assert ends == [3001, 3001]
        assert took >= 0.25  # half of the span, less what a clock's tick may take away
