"""What every test may ask for: a running Postgres, and a database of its own on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold.platform.db import Database
from tenfold.platform.db.embedded import Address
from tests.postgres import Cluster
from tests.redis import RedisClusterServers, RedisServer


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """The loop that the product runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The Postgres of this test process: the embedded one, or the one that `TENFOLD_TEST_POSTGRES` names."""
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis of this test process, for tests that share it: each takes a prefix of its own, and none ends it."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisClusterServers]:
    """The Redis Cluster of this test process: three masters, shared in the same way."""
    servers = RedisClusterServers()
    try:
        servers.start()
        yield servers
    finally:
        servers.remove()


@pytest.fixture
async def empty_address(postgres: Cluster) -> AsyncIterator[Address]:
    """The address of a new database without any table."""
    address = await postgres.empty()
    yield address
    await postgres.drop(address)


@pytest.fixture
async def database_address(postgres: Cluster) -> AsyncIterator[Address]:
    """The address of a new database with every migration applied."""
    address = await postgres.copy()
    yield address
    await postgres.drop(address)


@pytest.fixture
async def database(database_address: Address) -> AsyncIterator[Database]:
    """A new database with every migration applied, opened."""
    db = Database(database_address.dsn, **database_address.options)
    await db.open()
    yield db
    await db.close()


@pytest.fixture
async def world(database_address: Address, tmp_path: Path) -> AsyncIterator[Any]:
    """Ana, Bob and Eve in a house of their own."""
    from tests.world import worlds

    async with worlds(database_address, tmp_path) as world:
        yield world
