"""What the tests of the platform's parts may ask for beside a database."""

from collections.abc import AsyncIterator

import pytest

from tenfold.platform.db import Database
from tests.platform import realtime_house
from tests.platform.bookshop import Site, built
from tests.postgres import Cluster


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    async with built(database) as site:
        yield site


@pytest.fixture(scope="module")
async def shared_database(postgres: Cluster) -> AsyncIterator[Database]:
    """A migrated database for all tests of one file, for those that clean up, or do not mind what others left."""
    address = await postgres.copy()
    db = Database(address.dsn, **address.options)
    await db.open()
    yield db
    await db.close()
    await postgres.drop(address)


@pytest.fixture(params=list(realtime_house.TRANSPORTS))
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which transport `realtime_house.house` uses: the test runs once over each."""
    monkeypatch.setattr(realtime_house, "transport", request.param)
    return str(request.param)
