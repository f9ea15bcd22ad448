"""Connections to Redis: addresses, signing in, who waits for what, and what is never shown."""

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Raw

from tenfold.kit.refusals import Unavailable
from tenfold.platform.realtime.protocol import encode_data
from tenfold.platform.realtime.redis import RedisBroker
from tenfold.platform.realtime.redis_presence import RedisPresence
from tenfold.platform.redis import Address, Redis, Refused, Script
from tenfold.platform.redis.connection import Connection
from tests.platform.redis_world import Recorder, client_of, fresh_prefix, until
from tests.platform.test_realtime_presence import somebody
from tests.redis import RedisServer

GET = Script("return redis.call('GET', KEYS[1])")
PAGE = Path(__file__).parents[2] / "docs" / "operations" / "redis.md"
SECRET = "a-password-that-nobody-may-see"
SUBSCRIBED = b">3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n"
HELLO = b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that lets in nobody but the user of the handbook, over TCP and a socket."""
    rights = re.search(r"A user with `([^`]+)`, keys and channels\n  `([^`]+)` and `([^`]+)`", PAGE.read_text())
    assert rights is not None
    user = ["user", "tenfold", "on", f">{SECRET}", *" ".join(rights.groups()).split()]
    acl = tmp_path / "users.acl"
    acl.write_text(" ".join(user) + "\nuser default off\n")
    server = RedisServer(options=("--unixsocket", str(tmp_path / "redis.sock"), "--aclfile", str(acl)))
    server.password = ("tenfold", SECRET)
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_addresses_are_read_as_redis_py_reads_them() -> None:
    """And what they hold beyond that is refused by name, so that no option is silently without effect."""
    assert Address.read("redis://host") == Address("host")
    assert Address.read("rediss://me:p%40ss@host:7000/3") == Address(
        "host", 7000, username="me", password="p@ss", db=3, tls=True
    )
    assert Address.read("unix:///run/redis.sock?db=2") == Address(path="/run/redis.sock", db=2)
    with pytest.raises(ValueError, match="looks like") as caught:
        Address.read(f"http://me:{SECRET}@host")
    assert SECRET not in str(caught.value)
    with pytest.raises(ValueError, match="takes no ssl_ca_certs"):
        Address.read("rediss://host?ssl_ca_certs=/x")
    assert SECRET not in repr(Address.read(f"redis://:{SECRET}@host"))


@pytest.mark.parametrize("way", ["tcp", "socket"])
async def test_the_user_of_the_handbook_may_do_all_that_we_do(guarded: RedisServer, tmp_path: Path, way: str) -> None:
    """Rights that are written down and not enough are found out in production."""
    where = f"127.0.0.1:{guarded.port}" if way == "tcp" else f"{tmp_path}/redis.sock"
    redis = Redis(Address.read(f"{'redis' if way == 'tcp' else 'unix'}://tenfold:{SECRET}@{where}"))
    broker, presence, hub = RedisBroker(redis), RedisPresence(redis), Recorder()
    broker.attach(hub)
    await broker.open()
    try:
        hub.wanted.add("room")
        await broker.subscribe(["room"])
        (start,) = await broker.positions(["room"])
        await broker.publish(["room"], Raw(b"1"))
        await until(lambda: hub.got)
        assert (await broker.history("room", start)).publications
        await broker.begin_anew(None)
        broker.unsubscribe(["room"])
        ana = somebody("n1")
        await presence.renew("n1")
        await presence.enter([("room", ana)])
        assert await presence.present(["room"]) == [[ana]]
        await presence.leave([("room", ana)])
        assert (await presence.last_active([ana.user_id]))[0]
        assert await presence.sweep() == []
        await presence.release("n1")
    finally:
        await broker.close()


async def test_a_wrong_password_is_said_without_showing_it(
    guarded: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The house serves on without Redis, and the log says why."""
    redis = Redis(Address.read(f"redis://tenfold:{SECRET}-no@127.0.0.1:{guarded.port}"))
    await redis.open()
    try:
        with pytest.raises(Unavailable):
            await redis.call(0, GET, ["tenfold:x"])
    finally:
        await redis.close()
    said = capsys.readouterr()
    assert "WRONGPASS" in said.out + said.err
    assert SECRET not in said.out + said.err


async def test_a_command_that_is_wrong_is_refused_alone(redis_server: RedisServer) -> None:
    """Its neighbours in the same write are answered, each with its own."""
    redis = client_of(redis_server, fresh_prefix())
    await redis.open()
    try:
        wrong, right = Script("return redis.call('INCR', KEYS[1], 'x')"), Script("return ARGV[1]")
        answers = await asyncio.gather(
            *(redis.call(0, right, [], [n]) if n % 2 else redis.call(0, wrong, ["k"]) for n in range(20)),
            return_exceptions=True,
        )
    finally:
        await redis.close()

    assert list(answers[1::2]) == [b"%d" % n for n in range(1, 20, 2)]
    assert all(isinstance(answer, Refused) for answer in answers[::2])


async def test_a_refused_subscription_is_not_taken_for_another_answer(redis_server: RedisServer) -> None:
    """Redis confirms by messages and refuses by an answer: the two must not get out of step."""
    redis = client_of(redis_server, fresh_prefix())
    await redis.open()
    try:
        connection = redis.links()[0].use()
        refused = connection.tell([("SSUBSCRIBE",)])
        answer = connection.ask("ECHO", "in step")
        confirmed = connection.tell([("SSUBSCRIBE", "a", "b")])
        again = connection.ask("ECHO", "still")

        with pytest.raises(Refused, match="wrong number of arguments"):
            await refused
        assert [await answer, await confirmed, await again] == [b"in step", None, b"still"]
    finally:
        await redis.close()


async def test_a_redis_that_cannot_save_answers_everybody_with_their_own() -> None:
    """It refuses what writes, and PING; a subscription between two questions must not shift the answers."""
    server = RedisServer(options=("--save", "1 1"))
    server.start()
    redis = client_of(server, fresh_prefix())
    broker, names = RedisBroker(redis), ["user:ana", "user:bob", "user:eve"]
    broker.attach(Recorder())
    try:
        await broker.open()
        await broker.positions(names)
        for name in names:
            await broker.publish([name], encode_data(name))
            await broker.history(name)
        with server.client() as client:
            shutil.rmtree(server.folder)
            client.set("x", 1)
            await until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        connection = redis.links()[0].use()

        async with asyncio.timeout(10):
            subscribing = asyncio.create_task(broker.subscribe(["user:new"]))
            found = await asyncio.gather(*(broker.history(name) for name in names))
            await subscribing

        heard = [[bytes(publication.data) for publication in history.publications or ()] for history in found]
        assert heard == [[bytes(encode_data(name))] for name in names]
        with pytest.raises(Unavailable):
            await broker.publish(names, encode_data("more"))
        assert redis.links()[0].use() is connection
    finally:
        await broker.close()
        server.remove()


@pytest.mark.parametrize(
    ("said", "subscribed"),
    [
        (SUBSCRIBED + HELLO, None),
        (b"-MOVED 7 h:1\r\n" + HELLO, Refused),
        (SUBSCRIBED + b"-LOADING Redis is loading\r\n", Unavailable),
        (b"-LOADING Redis is loading\r\n-LOADING Redis is loading\r\n", Unavailable),
        (SUBSCRIBED, Unavailable),
    ],
    ids=["confirmed", "refused", "fence refused", "both refused", "no fence"],
)
async def test_whatever_is_refused_nobody_gets_the_answer_to_another(
    said: bytes, subscribed: type[Exception] | None
) -> None:
    """Answers stay in step, or the connection is given up: they hold what one person alone may read."""
    connection = Connection(lambda _message: None, patience=100)
    connection.connection_made(_Line())
    told = connection.tell([("SSUBSCRIBE", "a")])
    asked = [connection.ask("ECHO", who) for who in ("ana", "bob")]

    connection.data_received(said + b"$3\r\nana\r\n$3\r\nbob\r\n")
    async with asyncio.timeout(1):
        outcome, *answers = await asyncio.gather(told, *asked, return_exceptions=True)

    assert outcome is None if subscribed is None else isinstance(outcome, subscribed)
    if connection.ended.done():
        assert all(isinstance(answer, Unavailable) for answer in answers)
    else:
        assert answers == [b"ana", b"bob"]
    assert connection.ended.done() is (subscribed is Unavailable)
    connection.close()


async def test_who_asks_in_the_turn_in_which_the_server_goes_is_told() -> None:
    """The command is dropped with the connection: nothing is written to what is closed already."""

    async def greet_and_go(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+OK\r\n")
        await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(greet_and_go, "127.0.0.1", 0)
    async with server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        connection = await Connection.to(address, lambda _message: None, patience=1.0)
        asked: list[asyncio.Future[object]] = []

        async def ask_in_every_turn() -> None:
            while True:
                asked.append(connection.ask("PING"))
                await asyncio.sleep(0)

        with pytest.raises(Unavailable):
            await ask_in_every_turn()
        assert all(isinstance(answer, Unavailable) for answer in await asyncio.gather(*asked, return_exceptions=True))


async def test_one_who_gives_up_waiting_disturbs_nobody(redis_server: RedisServer) -> None:
    """A cancelled caller's answer is thrown away when it comes."""
    redis = client_of(redis_server, fresh_prefix())
    await redis.open()
    try:
        connection = redis.links()[0].use()
        given_up, kept = connection.ask("ECHO", "1"), connection.ask("ECHO", "2")
        given_up.cancel()

        assert await kept == b"2"
    finally:
        await redis.close()


class _Line(asyncio.Transport):
    """A transport that takes everything and sends it nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        return

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        return
