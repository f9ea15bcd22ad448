"""The pool gives back what nobody needs, however the server takes it."""

import asyncio
import os
import signal

import asyncpg
import pytest

from tenfold.platform.db import Database, pool
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


async def test_a_server_that_does_not_take_a_goodbye_is_left(
    empty_address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tidies up must not fail for it, at the end neither: a gateway would fall with all its sockets."""
    monkeypatch.setattr(pool, "_MENDING", 0.1)
    database = Database(empty_address.dsn, **empty_address.options)
    await database.open()
    stopped = list[int]()
    try:
        for tidy_up in (database.trim, database.close):
            async with database.read() as tx:
                stopped.append(await tx.connection.fetchval("select pg_backend_pid()"))
            os.kill(stopped[-1], signal.SIGSTOP)

            await tidy_up()
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    assert len(set(stopped)) == 2, "who was left is not lent again"
