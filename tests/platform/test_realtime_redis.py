"""The Redis engine of the broker beyond the promise of all: many groups, and servers that die, stall, fill or move."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from msgspec import Raw

from tenfold.kit.refusals import Unavailable
from tenfold.platform.realtime.broker import Unreached
from tenfold.platform.realtime.protocol import StreamPosition
from tenfold.platform.redis import partition_of
from tests.platform.redis_world import Process, processes, until
from tests.redis import RedisClusterServers, RedisServer

HELLO = Raw(b'"hello"')


@pytest.fixture(params=["one server", "cluster"])
def server(request: pytest.FixtureRequest) -> RedisServer | RedisClusterServers:
    return request.getfixturevalue("redis_server" if request.param == "one server" else "redis_cluster")


@pytest.fixture
async def pair(server: RedisServer | RedisClusterServers) -> AsyncIterator[list[Process]]:
    async with processes(server, history_size=3) as found:
        yield found


@pytest.fixture
def mortal() -> Iterator[RedisServer]:
    """A server of this test's own, that it may kill."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def durable() -> Iterator[RedisServer]:
    """The same, with its data kept."""
    server = RedisServer(keep=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_many_channels_at_once_go_to_all_their_groups(pair: list[Process]) -> None:
    """In a cluster they are on all servers; their order and their answers stay."""
    here, there = pair
    names = [f"user:{number}" for number in range(700)]
    await there.listen(*names)
    positions = await here.broker.positions(names)
    await asyncio.gather(*(here.broker.subscribe([name]) for name in names))

    await here.broker.publish(names, HELLO)
    await until(lambda: len(there.hub.got) == 700 and len(here.hub.got) == 700)

    epochs = {name: epoch for name, _, epoch, _ in there.hub.got}
    assert [epochs[name] for name in names] == [position.epoch for position in positions]
    assert await here.broker.positions(names) == [StreamPosition(offset=1, epoch=epochs[name]) for name in names]


async def test_history_is_complete_or_says_that_it_is_not(pair: list[Process]) -> None:
    """A stream of three keeps three: who missed four must not be given three."""
    here, there = pair
    (start,) = await here.broker.positions(["room"])
    for number in range(5):
        await here.broker.publish(["room"], Raw(b"%d" % number))

    def at(offset: int) -> StreamPosition:
        return StreamPosition(offset=offset, epoch=start.epoch)

    async def numbers(since: StreamPosition | None, **how: object) -> list[int] | None:
        found = (await there.broker.history("room", since, **how)).publications  # pyright: ignore[reportArgumentType]
        assert found is None or all(int(bytes(p.data)) == p.offset - 1 for p in found)
        return None if found is None else [p.offset for p in found]

    assert (await there.broker.history("room", limit=0)).position == at(5)
    assert await numbers(None) == [3, 4, 5]
    assert await numbers(None, limit=2) == [3, 4]
    assert await numbers(None, limit=2, reverse=True) == [5, 4]
    assert await numbers(at(2)) == [3, 4, 5]
    assert await numbers(at(3), limit=1) == [4]
    assert await numbers(at(5)) == []
    assert await numbers(at(5), reverse=True) == [4, 3]
    assert await numbers(at(4), reverse=True, limit=1) == [3]
    assert await numbers(at(1)) is None
    assert await numbers(at(6)) is None
    assert await numbers(StreamPosition(offset=5, epoch="other")) is None


async def test_what_nobody_listened_to_lately_is_neither_numbered_nor_kept(pair: list[Process]) -> None:
    """A notice to a million people who are away must not fill Redis."""
    here, there = pair
    await here.broker.publish(["user:9"], HELLO)
    await there.listen("user:8")
    await here.broker.publish(["user:8"], HELLO)
    await until(lambda: there.hub.got)

    assert (await here.broker.positions(["user:9"]))[0].offset == 0
    assert (await here.broker.positions(["user:8"]))[0].offset == 1


async def test_history_goes_with_its_time(server: RedisServer | RedisClusterServers) -> None:
    """What is no longer kept is not recovered, though the place is still known."""
    async with processes(server, 1, history_ttl=timedelta(milliseconds=50)) as (only,):
        (start,) = await only.broker.positions(["room"])
        await only.broker.publish(["room"], HELLO)
        assert (await only.broker.history("room", start)).publications

        async with asyncio.timeout(5):
            while (await only.broker.history("room", start)).publications is not None:
                await asyncio.sleep(0.02)

        assert (await only.broker.positions(["room"]))[0] == StreamPosition(offset=1, epoch=start.epoch)


async def test_what_is_left_is_received_no_more_unless_it_is_wanted_again(pair: list[Process]) -> None:
    """Leaving is not hurried, and a new subscription wins over one that is being given up."""
    here, there = pair
    await there.listen("left", "again")
    there.hub.wanted.clear()
    there.broker.unsubscribe(["left", "again"])
    await there.listen("again")

    async def counts() -> list[int]:
        await here.broker.publish(["left", "again"], HELLO)
        await asyncio.sleep(0.05)
        return [sum(name == wanted for name, *_ in there.hub.got) for wanted in ("left", "again")]

    async with asyncio.timeout(10):
        before = await counts()
        while (after := await counts())[0] != before[0]:
            before = after

    assert after[1] > before[1]


async def test_streams_that_begin_anew_fit_no_position_from_before(pair: list[Process]) -> None:
    """Some, or all of the installation."""
    here, there = pair
    names = [f"room:{number}" for number in range(50)]
    before = await here.broker.positions(names)
    await here.broker.publish(names, HELLO)

    await here.broker.begin_anew(names[:1])
    some = await there.broker.positions(names)
    await here.broker.begin_anew(None)
    everything = await there.broker.positions(names)

    assert [now.epoch == then.epoch for now, then in zip(some, before, strict=True)] == [False, *[True] * 49]
    assert all(now.epoch != then.epoch and now.offset == 0 for now, then in zip(everything, some, strict=True))
    assert (await here.broker.history(names[1])).publications == []


@pytest.mark.parametrize("data", ["kept", "lost"])
async def test_after_its_death_redis_is_found_again(durable: RedisServer, data: str) -> None:
    """Subscriptions are made anew before the gap is told. With its data, positions hold; else the epoch is another."""
    async with processes(durable) as (here, there):
        await there.listen("room")
        (before,) = await there.broker.positions(["room"])
        await here.broker.publish(["room"], HELLO)
        await until(lambda: there.hub.got)
        gaps = there.hub.gaps
        durable.kill()
        await until(lambda: here.redis.links()[0].connection is None)
        with pytest.raises(Unavailable):
            await here.broker.publish(["room"], HELLO)
        with pytest.raises(Unavailable):
            await there.broker.subscribe(["other"])
        there.hub.wanted.add("other")
        if data == "lost":
            for path in durable.folder.iterdir():
                (shutil.rmtree(path) if path.is_dir() else path.unlink())

        durable.start()
        await until(lambda: there.hub.gaps > gaps and here.redis.links()[0].connection)

        (after,) = await there.broker.positions(["room"])
        assert (after == StreamPosition(offset=1, epoch=before.epoch)) == (data == "kept")
        await here.broker.publish(["room", "other"], HELLO)
        await until(lambda: len(there.hub.got) == 3)
        assert {name for name, *_ in there.hub.got[1:]} == {"room", "other"}


async def test_a_server_that_is_not_there_at_the_start_is_found_later(mortal: RedisServer) -> None:
    """The house opens without Redis."""
    mortal.kill()
    async with processes(mortal, 1) as (only,):
        with pytest.raises(Unavailable):
            await only.broker.publish(["room"], HELLO)
        only.hub.wanted.add("room")

        mortal.start()
        await until(lambda: only.hub.gaps)

        await only.broker.publish(["room"], HELLO)
        await until(lambda: only.hub.got)


async def test_a_server_that_stalls_counts_as_gone(mortal: RedisServer) -> None:
    """A half-open connection says nothing: nobody waits for it longer than three times the patience."""
    async with processes(mortal, 1, patience=0.5) as (only,):
        await only.listen("room")
        mortal.signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(4):
                with pytest.raises(Unavailable):
                    await only.broker.publish(["room"], HELLO)
            async with asyncio.timeout(2):
                with pytest.raises(Unavailable):
                    await only.broker.positions(["room"])
            gaps = only.hub.gaps
        finally:
            mortal.signal(signal.SIGCONT)
        await until(lambda: only.hub.gaps > gaps)

        await only.broker.publish(["room"], Raw(b'"again"'))
        await until(lambda: b'"again"' in only.hub.data())


async def test_an_idle_connection_that_died_is_noticed(mortal: RedisServer) -> None:
    """Without anything to ask, a listener would wait for ever for what cannot come."""
    async with processes(mortal, 1, patience=0.1) as (only,):
        mortal.signal(signal.SIGSTOP)
        try:
            await until(lambda: only.redis.links()[0].connection is None, seconds=3)
        finally:
            mortal.signal(signal.SIGCONT)


async def test_a_redis_that_is_full_is_as_good_as_gone(mortal: RedisServer) -> None:
    """Its refusal is no bug of ours: publishing goes on locally."""
    async with processes(mortal, 1) as (only,):
        await only.listen("room")
        with mortal.client() as client:
            client.config_set("maxmemory", "1")

            with pytest.raises(Unavailable):
                await only.broker.positions(["room"])


async def test_scripts_that_the_server_forgot_are_sent_again(mortal: RedisServer) -> None:
    """A restart or `SCRIPT FLUSH` empties its memory of them."""
    async with processes(mortal, 1) as (only,):
        await only.listen("room")
        await only.broker.publish(["room"], HELLO)
        with mortal.client() as client:
            client.script_flush()

        await only.broker.publish(["room"], HELLO)
        await until(lambda: len(only.hub.got) == 2)


async def test_a_slot_that_moves_takes_its_channels_along(redis_cluster: RedisClusterServers) -> None:
    """The old owner ends the subscriptions; they are made at the new one, nothing fails, and the gap is told."""
    async with processes(redis_cluster) as (here, there):
        await there.listen("room", "else")
        (before,) = await here.broker.positions(["room"])
        await here.broker.publish(["room"], HELLO)
        await until(lambda: there.hub.got)
        gaps = there.hub.gaps
        slot = here.redis.slot_of(partition_of("room"))  # pyright: ignore[reportAttributeAccessIssue]

        await asyncio.to_thread(redis_cluster.move, slot)
        await here.broker.publish(["room"], HELLO)
        await until(lambda: there.hub.gaps > gaps)
        await here.broker.publish(["room"], Raw(b'"moved"'))
        await until(lambda: b'"moved"' in there.hub.data())

        assert await here.broker.positions(["room"]) == [StreamPosition(offset=3, epoch=before.epoch)]
        history = await there.broker.history("room", before)
        assert [p.offset for p in history.publications or ()] == [1, 2, 3]


async def test_while_a_slot_is_moving_what_has_left_is_asked_for_where_it_goes(
    redis_cluster: RedisClusterServers,
) -> None:
    """ASK and TRYAGAIN are no errors of the asker."""
    async with processes(redis_cluster, 1) as (only,):
        (before,) = await only.broker.positions(["room"])
        await only.broker.publish(["room"], HELLO)
        slot = only.redis.slot_of(partition_of("room"))  # pyright: ignore[reportAttributeAccessIssue]

        with redis_cluster.moving(slot):
            history = await only.broker.history("room", before)
            await only.broker.publish(["room"], HELLO)
            new = next(name for name in map(str, range(10_000)) if partition_of(name) == partition_of("room"))
            async with asyncio.timeout(2):
                entered = await only.broker.enter(new)

        assert (await only.broker.positions([new])) == [entered]
        assert [p.offset for p in history.publications or ()] == [1]
        assert (await only.broker.positions(["room"]))[0].offset == 2


async def test_a_cluster_without_one_of_its_masters_serves_the_rest_and_mends() -> None:
    """What is on the others goes on; what was on it is `Unavailable` until it is back."""
    servers = RedisClusterServers(full_coverage=False)
    try:
        await asyncio.to_thread(servers.start)
        async with processes(servers, 2, patience=0.5) as (here, there):
            names = [f"user:{number}" for number in range(64)]
            await there.listen(*names)
            await here.broker.positions(names)
            gaps = there.hub.gaps
            servers.nodes[1].kill()
            await until(lambda: any(link.connection is None for link in here.redis.links()))
            outcomes = await asyncio.gather(
                *(here.broker.publish([name], HELLO) for name in names), return_exceptions=True
            )
            refused = sum(isinstance(outcome, Unavailable) for outcome in outcomes)
            gone = [name for name, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, Unavailable)]
            for together in (
                here.broker.publish(names, HELLO),
                here.broker.route(names, HELLO),
                here.broker.positions(names),
            ):
                with pytest.raises(Unreached) as unreached:
                    await together
                assert sorted(unreached.value.channels) == sorted(gone)
            joined = await asyncio.gather(*(there.broker.positions([name]) for name in names), return_exceptions=True)
            assert [isinstance(a, Unavailable) for a in joined] == [isinstance(b, Unavailable) for b in outcomes]
            await until(lambda: len(there.hub.got) == 3 * (64 - refused))

            await asyncio.to_thread(servers.nodes[1].start)
            await until(lambda: there.hub.gaps > gaps)
            there.hub.got.clear()
            async with asyncio.timeout(20):
                while await _is_refused(here, names):
                    await asyncio.sleep(0.05)
            await until(lambda: {name for name, *_ in there.hub.got} == set(names))

            assert 0 < refused < 64
    finally:
        servers.remove()


async def test_a_replica_that_takes_over_is_followed() -> None:
    """The dead master's channels are subscribed to at its successor, with all that the replica had."""
    servers = RedisClusterServers()
    try:
        await asyncio.to_thread(servers.start)
        async with processes(servers, 2, patience=0.5) as (here, there):
            names = [f"user:{number}" for number in range(64)]
            await there.listen(*names)
            before = await here.broker.positions(names)
            await here.broker.publish(names, HELLO)
            await until(lambda: len(there.hub.got) == 64)
            take_over = await asyncio.to_thread(servers.replicate, 1)

            servers.nodes[1].kill()
            await asyncio.to_thread(take_over)
            async with asyncio.timeout(60):
                while await _is_refused(here, names):
                    await asyncio.sleep(0.05)
                there.hub.got.clear()
                while {name for name, *_ in there.hub.got} != set(names):
                    await here.broker.publish(names, HELLO)
                    await asyncio.sleep(0.05)

            after = await there.broker.positions(names)
            assert [now.epoch for now in after] == [then.epoch for then in before]
            assert all(now.offset >= 2 for now in after)
    finally:
        servers.remove()


async def _is_refused(process: Process, names: list[str]) -> bool:
    try:
        await process.broker.publish(names, HELLO)
    except Unavailable:
        return True
    return False
