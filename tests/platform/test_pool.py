"""The pool gives back what nobody needs."""

import asyncio

import asyncpg

from tenfold.platform.db import Database
from tenfold.platform.db.embedded import Address


async def test_connections_that_nobody_needs_are_let_go(empty_address: Address) -> None:
    """Many processes that mostly idle would take all that the server has; who needs one again is given one."""
    database = Database(empty_address.dsn, **empty_address.options)
    await database.open()
    observer = await asyncpg.connect(**empty_address.options)
    ours = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    assert await observer.fetchval(ours) == 1

    await database.trim()

    async with asyncio.timeout(10):
        while await observer.fetchval(ours):
            await asyncio.sleep(0.01)
    async with database.read() as tx:
        assert await tx.connection.fetchval("select 1") == 1
    await observer.close()
    await database.close()
