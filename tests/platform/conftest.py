"""What the tests of the platform's parts may ask for beside a database."""

from collections.abc import AsyncIterator

import pytest

from tenfold.platform.db import Database
from tests.platform.bookshop import Site, built


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    async with built(database) as site:
        yield site
