"""Hubs and sessions of several processes over a real Redis that dies, and what their clients are told."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tenfold.kit.actors import Actor
from tenfold.platform.realtime import errand, user_channel
from tenfold.platform.realtime.protocol import SubscribeResult
from tenfold.platform.realtime.redis import RedisBroker
from tenfold.platform.realtime.redis_presence import RedisPresence
from tenfold.platform.realtime.session import Session
from tenfold.platform.redis import partition_of
from tests.platform.realtime_world import RealtimeWorld, RecordingWire, person, say
from tests.platform.redis_world import client_of, fresh_prefix, until
from tests.redis import RedisClusterServers, RedisServer


@dataclass
class Client:
    """Somebody's connection."""

    session: Session
    wire: RecordingWire
    begun: SubscribeResult

    def heard(self) -> list[Any]:
        """What came on any channel since the last look."""
        pushes = [reply.push for reply in self.wire.take()]
        return [msgspec.json.decode(push.pub.data) for push in pushes if push and push.pub]


class Process(RealtimeWorld):
    """A hub, its sessions and its own connection to Redis."""

    def __init__(self, server: RedisServer | RedisClusterServers, prefix: str) -> None:
        self.redis = client_of(server, prefix, patience=0.5)
        super().__init__(broker=RedisBroker(self.redis), presence=RedisPresence(self.redis))

    async def connect(self, actor: Actor, since: SubscribeResult | None = None) -> Client:
        """Connect, and recover from where one was."""
        channel = user_channel(actor.id)
        sub = {"recover": True, "offset": since.offset, "epoch": since.epoch} if since else {}
        frame = {"id": 1, "connect": {"token": self.token(actor), "subs": {channel: sub}}}
        session, wire = self.session()
        await say(session, msgspec.json.encode(frame))
        reply = wire.take()[0].connect
        assert reply is not None
        return Client(session, wire, reply.subs[channel])


@asynccontextmanager
async def two(server: RedisServer | RedisClusterServers) -> AsyncIterator[tuple[Process, Process]]:
    prefix = fresh_prefix()
    here, there = Process(server, prefix), Process(server, prefix)
    await here.hub.open()
    await there.hub.open()
    try:
        yield here, there
    finally:
        await here.hub.close()
        await there.hub.close()


@pytest.fixture
def durable() -> Iterator[RedisServer]:
    server = RedisServer(keep=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_a_client_recovers_in_another_process(redis_server: RedisServer) -> None:
    """The position of one process is good in all: nothing is reloaded because a load balancer chose differently."""
    ana = person()
    async with two(redis_server) as (here, there):
        client = await here.connect(ana)
        client.session.lost()
        await there.hub.publish([user_channel(ana.id)], "missed")

        back = await there.connect(ana, client.begun)

        assert back.begun.recovered
        assert [msgspec.json.decode(p.data) for p in back.begun.publications] == ["missed"]
        await here.hub.publish([user_channel(ana.id)], "live")
        await until(lambda: back.wire.frames)
        assert back.heard() == ["live"]


async def test_without_redis_connections_stay_and_hear_their_own_process(durable: RedisServer) -> None:
    """What is published here is heard here; with Redis back, what lacks it is not taken for complete."""
    ana, bob = person(), person()
    async with two(durable) as (here, there):
        of_ana, of_bob = await here.connect(ana), await there.connect(bob)
        durable.kill()
        await until(lambda: here.redis.links()[0].connection is None and there.redis.links()[0].connection is None)

        await here.hub.publish([user_channel(ana.id)], "local")

        assert of_ana.heard() == ["local"]
        assert of_ana.wire.closed is None
        durable.start()
        await until(lambda: of_ana.wire.closed or of_ana.wire.frames)
        back = await there.connect(ana, of_ana.begun)
        assert back.begun.recovered is False
        await _heard_across(here, of_bob, bob, "again")
        assert of_bob.wire.closed is None


async def test_with_its_data_redis_comes_back_and_everything_is_recovered(durable: RedisServer) -> None:
    """What was published before it died, and what a process that was cut off for a while has missed."""
    ana = person()
    async with two(durable) as (here, there):
        client = await here.connect(ana)
        await there.hub.publish([user_channel(ana.id)], "before")
        await until(lambda: client.wire.frames)
        assert client.heard() == ["before"]
        here.redis.links()[0].drop()
        await there.hub.publish([user_channel(ana.id)], "meanwhile")
        await until(lambda: client.wire.frames)
        assert client.heard() == ["meanwhile"]

        durable.kill()
        await until(lambda: here.redis.links()[0].connection is None)
        durable.start()
        await until(lambda: there.redis.links()[0].connection)
        await there.hub.publish([user_channel(ana.id)], "after")
        await until(lambda: client.wire.frames)
        assert client.heard() == ["after"]

        assert client.wire.closed is None
        back = await there.connect(ana, client.begun)
        assert back.begun.recovered
        assert [msgspec.json.decode(p.data) for p in back.begun.publications] == ["before", "meanwhile", "after"]


async def test_redis_that_lost_its_data_makes_clients_come_back(durable: RedisServer) -> None:
    """Their positions fit nothing any more: they are told so, and not left to believe that nothing happened."""
    ana = person()
    async with two(durable) as (here, there):
        client = await here.connect(ana)
        durable.kill()
        for path in durable.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        durable.start()

        await until(lambda: client.wire.closed or client.wire.frames)
        await until(lambda: there.redis.links()[0].connection)
        back = await there.connect(ana, client.begun)

        assert back.begun.recovered is False
        await _heard_across(here, back, ana, "new")


async def test_presence_is_known_in_every_process_and_written_again_when_it_is_lost(durable: RedisServer) -> None:
    """Gone with Redis, it is nobody's; a node whose lease is not known any more writes anew who is there."""
    ana = person()
    async with two(durable) as (here, there):
        await here.connect(ana)

        async def is_seen() -> bool:
            (found,) = await there.hub.present([user_channel(ana.id)])
            return [entry.user_id for entry in found] == [ana.id]

        await _until(is_seen)
        with durable.client() as client:
            client.delete(*client.keys("*:nodes"), *client.keys("*:p:*"), *client.keys("*:n:*"))
        assert not await is_seen()
        await _until(is_seen)

        durable.kill()
        await until(lambda: there.redis.links()[0].connection is None)
        assert await there.hub.present([user_channel(ana.id)]) == [[]]
        durable.start()
        await _until(is_seen)


async def test_a_redis_that_is_full_for_a_while_loses_nothing_in_silence(
    durable: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its connections, so nobody hears of a gap; clients everywhere are told to reload all the same."""
    monkeypatch.setattr(errand, "AGAIN", 0.05)
    ana = person()
    async with two(durable) as (here, there):
        near, far = await here.connect(ana), await there.connect(ana)
        with durable.client() as client:
            client.config_set("maxmemory", "1")
            await here.hub.publish([user_channel(ana.id)], "alone")
            assert (near.heard(), far.heard()) == (["alone"], [])
            client.config_set("maxmemory", "0")

        await until(lambda: near.wire.closed)
        await here.hub.publish([user_channel(ana.id)], "after")
        await until(lambda: far.wire.closed)

        back = await there.connect(ana, far.begun)
        assert back.begun.recovered is False


async def test_in_a_cluster_without_a_master_the_rest_is_known() -> None:
    """Also to whoever asks about people of both at once. (Leases are kept by the master of the first partition.)"""
    servers = RedisClusterServers(full_coverage=False)
    try:
        await asyncio.to_thread(servers.start)
        async with two(servers) as (here, there):
            gone = next(node for node in servers.nodes if node.port != _port(here, 0))
            people = [person() for _ in range(30)]
            for one in people:
                await here.connect(one)
            names = [user_channel(one.id) for one in people]
            reachable = [_port(here, partition_of(name)) != gone.port for name in names]
            await here.hub.roll.flush()
            gone.kill()
            await until(lambda: all(any(link.connection is None for link in p.redis.links()) for p in (here, there)))

            found = await there.hub.present(names)
            assert [bool(entries) for entries in found] == reachable
            assert 0 < sum(reachable) < len(people)
    finally:
        servers.remove()


def _port(process: Process, partition: int) -> int:
    return process.redis._link_of(partition).address.port


async def _heard_across(publisher: Process, client: Client, actor: Actor, word: str) -> None:
    """Publish until it is heard: while one of the processes has not found Redis again, it is not."""
    heard: list[Any] = []

    async def told() -> bool:
        await publisher.hub.publish([user_channel(actor.id)], word)
        await asyncio.sleep(0.02)
        heard.extend(client.heard())
        return word in heard

    await _until(told)


async def _until(done: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await done():
            await asyncio.sleep(0.02)
