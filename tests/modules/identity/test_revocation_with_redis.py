"""Revocation where the bus is Redis: by its signal while it is there, by the database while it is not."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tenfold.assembly import House
from tenfold.platform.bus.redis import RedisBus
from tenfold.platform.db.embedded import Address
from tenfold.platform.realtime import codes, user_channel
from tenfold.platform.realtime.session import Session
from tests.platform.realtime_world import RecordingWire, say
from tests.platform.redis_world import until
from tests.redis import RedisServer
from tests.world import Person, World, worlds


@pytest.fixture
def mortal() -> Iterator[RedisServer]:
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def there(world: World, database_address: Address) -> AsyncIterator[House]:
    """Another process of the installation."""
    house = House(world.house.settings, database_address.dsn, database_address.options, clock=world.clock)
    await house.open()
    yield house
    await house.close()


@pytest.fixture
async def world(database_address: Address, tmp_path: Path, mortal: RedisServer) -> AsyncIterator[World]:
    async with worlds(database_address, tmp_path, settings={"redis.url": mortal.url}) as world:
        yield world


async def connected(house: House, person: Person) -> RecordingWire:
    wire = RecordingWire()
    await say(Session(house.lobby, wire), f'{{"id":1,"connect":{{"token":"{person.token}"}}}}')
    assert wire.take()[0].connect
    return wire


async def test_a_message_and_a_revocation_reach_another_process(world: World, there: House) -> None:
    """The settings alone decide: with `redis.url` both go through Redis."""
    wire = await connected(there, world.ana)
    assert isinstance(there.bus, RedisBus)

    await world.house.realtime.publish([user_channel(world.ana.id)], {"hello": "ana"})
    await until(lambda: wire.frames, seconds=1)
    await world.ana.delete("/v1/sessions")

    await until(lambda: wire.closed, seconds=1)
    assert wire.closed == codes.FORCE_DISCONNECT


async def test_without_redis_a_revocation_is_read_from_the_database(
    world: World, there: House, mortal: RedisServer
) -> None:
    """Its signal is lost, its effect is not: in the process that did it and in every other, in two seconds."""
    wires = [await connected(house, world.ana) for house in (world.house, there)]
    mortal.kill()

    answer = await world.ana.delete("/v1/sessions")

    assert answer.status == 204
    await until(lambda: all(wire.closed for wire in wires), seconds=4)
    assert {wire.closed for wire in wires} == {codes.FORCE_DISCONNECT}


async def test_whoever_came_back_with_new_claims_is_not_sent_away_again(world: World, there: House) -> None:
    """A changed role ends the sockets once, by signal or by look-up; the next look finds it again and lets it be."""
    before = await connected(there, world.bob)
    await world.admin_person.put(f"/v1/admin/users/{world.bob.id}/role", {"role": "moderator"})
    await until(lambda: before.closed, seconds=4)
    await world.sign_in(world.bob)
    after = await connected(there, world.bob)

    await there.revocations.look()
    await there.revocations.look()

    assert before.closed == codes.CONNECTION_EXPIRED
    assert after.closed is None
