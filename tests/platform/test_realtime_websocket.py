"""Both transports of realtime through a real server: their limits, their manners, and how they let go."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import pytest
from centrifuge import (
    ClientState,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from tenfold.platform.limits.address import networks
from tenfold.platform.realtime import user_channel
from tenfold.platform.realtime.lobby import SessionRules
from tenfold.platform.realtime.protocol import decode_replies
from tests.platform.realtime_house import bare, closing_code, house, sdk
from tests.platform.realtime_world import RealtimeWorld, metric, person
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("transport")
UMLAUTS = '{"id":1,"connect":{"name":"' + "ä" * 40_000 + '"}}'


async def test_a_connection_whose_token_ends_is_closed() -> None:
    """Without a refresh, after the grace, with a code that lets the client come back."""
    world = RealtimeWorld(rules=SessionRules(expired_grace=0.1))
    async with house(world) as at, bare(at) as connection:
        token = world.token(person(), lives=timedelta(seconds=2))
        await connection.send(f'{{"id":1,"connect":{{"token":"{token}"}}}}')

        assert await closing_code(connection) == 3005


async def test_pings_keep_a_live_connection_and_close_a_dead_one() -> None:
    """The SDK answers; a client that does not is told so."""
    world = RealtimeWorld(rules=SessionRules(ping_interval=1, pong_timeout=1))
    async with house(world) as at, sdk(at, world.token(person())) as (client, diary), bare(at) as connection:
        await connection.send(f'{{"id":1,"connect":{{"token":"{world.token(person())}"}}}}')

        assert await closing_code(connection) == 3012
        assert (client.state, diary.connects) == (ClientState.CONNECTED, 1)


@pytest.mark.parametrize(
    "frame",
    ["hello", "", b"\xff\xfe", '{"id":1,"subscribe":{"channel":"a"}}', '{"id":1}', "x" * 100_000, UMLAUTS],
    ids=["words", "empty", "bytes", "order", "nothing", "large", "large in bytes"],
)
async def test_what_is_not_the_protocol_is_closed_with_a_reason(frame: str | bytes) -> None:
    """3501 tells an SDK not to try the same again."""
    async with house() as at, bare(at) as connection:
        await connection.send(frame)

        assert await closing_code(connection) == 3501
        assert connection.close_reason == "bad request"


async def test_a_frame_beyond_what_the_server_reads_is_closed_before_it_is_held() -> None:
    """1009, from the server's own limit."""
    async with house() as at, bare(at) as connection:
        await connection.send("x" * 300_000)

        assert await closing_code(connection) == 1009
        await until(lambda: not at.endpoint.connections)


async def test_binary_frames_of_json_and_batches_are_understood() -> None:
    """As the protocol has them."""
    async with house() as at, bare(at, subprotocols=["centrifuge-json"]) as connection:
        connect_command = f'{{"id":1,"connect":{{"token":"{at.world.token(person())}"}}}}'
        await connection.send(f'{connect_command}\n{{"id":2,"ping":{{}}}}\n{{"id":3,"rpc":{{}}}}'.encode())
        replies = decode_replies(await connection.recv())

        assert connection.subprotocol == "centrifuge-json"
        assert [reply.id for reply in replies] == [1, 2, 3]


@pytest.mark.parametrize(
    ("origin", "allowed", "status"),
    [
        ("http://evil.example", [], 403),
        ("http://evil.example", ["https://app.example"], 403),
        ("https://app.example", ["https://app.example"], None),
        ("http://evil.example", ["*"], None),
        ("http://HOST", [], None),
        ("null", [], 403),
        ("http://[", [], 403),
    ],
)
async def test_foreign_pages_are_kept_out(origin: str, allowed: list[str], status: int | None) -> None:
    """Our own pages and the listed ones may connect."""
    async with house(admission={"allowed_origins": allowed}) as at:
        try:
            async with bare(at, origin=origin.replace("HOST", f"127.0.0.1:{at.port}")):
                answer = None
        except InvalidStatus as refused:
            answer = refused.response.status_code

        assert answer == status


async def test_a_client_of_another_protocol_is_refused() -> None:
    """We speak JSON."""
    async with house() as at:
        with pytest.raises(InvalidStatus, match="400"):
            async with bare(at, subprotocols=["centrifuge-protobuf"]):
                pass


async def test_a_slow_reader_is_disconnected_and_recovers() -> None:
    """It takes a bounded piece of memory, others hear everything at once, and nothing is lost."""
    async with house(queue_size=64 * 1024) as at:
        ana, bob = person(), person()
        channels = [user_channel(ana.id), user_channel(bob.id)]
        slow = metric("tenfold_realtime_disconnects_total", reason="slow")
        async with (
            bare(at, max_queue=1) as connection,
            sdk(at, at.world.token(bob)) as (_, diary),
        ):
            await until(lambda: diary.recoveries)
            await connection.send(f'{{"id":1,"connect":{{"token":"{at.world.token(ana)}"}}}}')
            began = decode_replies(await connection.recv())[0].connect
            assert began is not None
            sent = 0
            while metric("tenfold_realtime_disconnects_total", reason="slow") == slow:
                assert sent < 2000
                await at.world.hub.publish(channels, {"n": sent, "pad": "x" * 20_000})
                sent += 1
                await asyncio.sleep(0)
            await until(lambda: len(diary.heard) == sent)
            heard = 0
            with suppress(ConnectionClosed):
                while True:
                    heard += len(decode_replies(await connection.recv()))
            assert connection.close_code == 3008
            assert heard < sent

        async with bare(at) as connection:
            own = user_channel(ana.id)
            position = f'"recover":true,"offset":{sent - 3},"epoch":"{began.subs[own].epoch}"'
            token = at.world.token(ana)
            await connection.send(f'{{"id":1,"connect":{{"token":"{token}","subs":{{"{own}":{{{position}}}}}}}}}')
            back = decode_replies(await connection.recv())[0].connect
            assert back is not None
            assert back.subs[own].recovered
            assert [publication.offset for publication in back.subs[own].publications] == [sent - 2, sent - 1, sent]


async def test_a_reader_that_never_reads_is_cut_off() -> None:
    """Not even its dismissal: its session, its memory and its tasks are gone soon after."""
    async with house(queue_size=1024, close_timeout=timedelta(seconds=0.2)) as at:
        ana = person()
        async with bare(at, max_queue=1, close_timeout=0.1) as connection:
            await connection.send(f'{{"id":1,"connect":{{"token":"{at.world.token(ana)}"}}}}')
            await connection.recv()
            while len(at.world.hub.guests):
                await at.world.hub.publish([user_channel(ana.id)], "x" * 200_000)
                await asyncio.sleep(0)
            await until(lambda: not at.endpoint.connections)
            connection.transport.abort()


async def test_pings_of_a_client_that_does_not_read_fill_no_memory() -> None:
    """Each is owed an answer, which waits like any message; who reads has it."""
    ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=True)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    async with house(queue_size=64 * 1024) as at:
        narrow.connect(("127.0.0.1", at.port))
        connection = await connect(at.url, sock=narrow)
        await (await connection.ping())
        connection.transport.pause_reading()
        most = 0
        for _ in range(160):
            connection.transport.write(ping * 500)
            while connection.transport.get_write_buffer_size() and at.endpoint.connections:
                await asyncio.sleep(0)
            most = max(most, at.unsent())
        connection.transport.abort()

        assert most < 512 * 1024


async def test_draining_sends_clients_away_to_come_back(transport: str) -> None:
    """Each is told so with the code for it, over a span, and nobody new is let in.

    The gateway leaves its port at once, so that its successor can have it; the web process still answers requests.
    """
    async with house() as at:
        clients = [person() for _ in range(5)]
        async with bare(at) as connection, sdk(at, at.world.token(clients[0])) as (client, diary):
            await client.ready()
            draining = asyncio.create_task(at.endpoint.drain(timedelta(seconds=0.2)))
            assert await closing_code(connection) == 3001
            await draining
            await until(lambda: 3001 in diary.reconnects)
            await until(lambda: diary.errors)

            answer = pytest.raises(InvalidStatus, match="503")
            with answer if transport == "uvicorn" else pytest.raises(ConnectionRefusedError):
                async with bare(at):
                    pass
            assert client.state == ClientState.CONNECTING


async def test_everything_is_let_go_when_connections_end() -> None:
    """However they end, no session, listener or task stays behind."""
    async with house() as at:
        before, tasks = metric("tenfold_realtime_sockets"), len(asyncio.all_tasks())
        for _ in range(3):
            async with bare(at), sdk(at, at.world.token(person())) as (client, _):
                await client.ready()
                at.cut()
        await until(lambda: not at.endpoint.connections and not len(at.world.hub.guests))
        await until(lambda: len(asyncio.all_tasks()) <= tasks)

        assert metric("tenfold_realtime_sockets") == before


async def test_an_address_may_hold_so_many_connections() -> None:
    """One more is refused with when to try again, until one has gone; this machine's own address is not limited."""
    proxied = {"admission": {"sockets_per_address": 2, "trusted_proxies": networks(["127.0.0.0/8"])}}
    eve, ana = {"X-Forwarded-For": "192.0.2.7"}, {"X-Forwarded-For": "198.51.100.1, 127.0.0.1"}
    async with house(**proxied) as at, bare(at), bare(at), bare(at):
        async with bare(at, additional_headers=eve), bare(at, additional_headers=eve):
            with pytest.raises(InvalidStatus) as refused:
                async with bare(at, additional_headers=eve):
                    pass
            assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (429, "30")
            async with bare(at, additional_headers=ana):
                pass
        await until(lambda: at.endpoint.connections == 3)

        async with bare(at, additional_headers=eve):
            assert at.endpoint.connections == 4


async def test_an_address_may_connect_so_often() -> None:
    """Handshakes cost more than anything else that a stranger can ask for."""
    rules = {"handshakes_per_address": 2, "trusted_proxies": networks(["127.0.0.0/8"])}
    async with house(admission=rules) as at:
        for _ in range(2):
            async with bare(at, additional_headers={"X-Forwarded-For": "192.0.2.7"}):
                pass

        with pytest.raises(InvalidStatus, match="429"):
            async with bare(at, additional_headers={"X-Forwarded-For": "192.0.2.7"}):
                pass


async def test_a_message_in_pieces_is_one_message() -> None:
    """As browsers and libraries may send it."""
    async with house() as at, bare(at) as connection:
        await connection.send(['{"id":1,"connect":', f'{{"token":"{at.world.token(person())}"}}', "}"])

        assert decode_replies(await connection.recv())[0].connect is not None


async def test_pieces_without_end_are_not_held() -> None:
    """Not one of them is too large."""

    async def pieces() -> AsyncIterator[str]:
        while True:
            yield "x" * 50_000

    async with house() as at, bare(at) as connection:
        with suppress(ConnectionClosed):
            await connection.send(pieces())

        assert await closing_code(connection) == 1009
