"""Transactions on a real server: what is kept, what is retried, and what is said when the server is away."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from tenfold.kit.refusals import NotFound, Unavailable
from tenfold.platform.db import Announcements, Database, News, PoolSizes, Read, Taken, Write, many, maybe, run
from tenfold.platform.db.embedded import Address, EmbeddedPostgres
from tests.postgres import IN_A_HURRY, binaries

SIZES = PoolSizes(read=2, write=2, wait=timedelta(seconds=0.3), read_timeout=timedelta(seconds=0.4))

balance_of = maybe(int, "select amount from balances where name = :name")
put_balance = run("insert into balances values (:name, :amount)")
set_balance = run("update balances set amount = :amount where name = :name")


@pytest.fixture
async def db(empty_address: Address) -> AsyncIterator[Database]:
    db = Database(empty_address.dsn, sizes=SIZES, **empty_address.options)
    await db.open()
    async with db.write() as tx:
        await tx.connection.execute("create table balances (name text primary key, amount integer not null)")
        await put_balance(tx, name="ana", amount=10)
        await put_balance(tx, name="bob", amount=10)
    yield db
    await db.close()


async def amount(db: Database, name: str) -> int | None:
    async with db.read() as tx:
        return await balance_of(tx, name=name)


async def test_a_block_that_ends_is_committed(db: Database) -> None:
    """What a deed wrote is there for every later reader."""
    async with db.write() as tx:
        await set_balance(tx, name="ana", amount=11)

    assert await amount(db, "ana") == 11


async def test_a_block_that_raises_is_rolled_back(db: Database) -> None:
    """A refusal half-way leaves nothing behind, and reaches the caller as it is."""

    async def deed(tx: Write) -> None:
        await set_balance(tx, name="ana", amount=11)
        raise NotFound

    with pytest.raises(NotFound):
        await db.transact(deed)

    assert await amount(db, "ana") == 10


async def test_a_failed_statement_cannot_be_committed_around(db: Database) -> None:
    """The server turns the commit of a failed transaction into a rollback; that must not look like success."""

    async def deed(tx: Write) -> None:
        await set_balance(tx, name="ana", amount=11)
        with contextlib.suppress(asyncpg.UniqueViolationError):
            await put_balance(tx, name="bob", amount=0)

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await db.transact(deed)

    assert await amount(db, "ana") == 10


async def test_readers_cannot_write(db: Database) -> None:
    """A read that writes would be lost on a replica, so it is refused on the primary as well."""
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with db.read() as tx:
            await set_balance(tx, name="ana", amount=11)


async def test_a_snapshot_sees_one_instant(db: Database) -> None:
    """Two statements of a snapshot agree, whatever is committed between them."""
    async with db.read(snapshot=True) as tx:
        before = await balance_of(tx, name="ana")
        async with db.write() as other:
            await set_balance(other, name="ana", amount=99)
        after = await balance_of(tx, name="ana")

    assert (before, after, await amount(db, "ana")) == (10, 10, 99)


async def test_a_transaction_that_has_ended_cannot_be_used(db: Database) -> None:
    """Its connection is somebody else's by then."""
    async with db.read() as tx:
        pass

    with pytest.raises(RuntimeError, match="has ended"):
        await balance_of(tx, name="ana")


async def test_a_deadlock_is_run_again(db: Database) -> None:
    """Two deeds that lock two rows in opposite order both succeed in the end."""
    both_hold_one = asyncio.Barrier(2)
    tries: list[str] = []

    async def move(first: str, second: str) -> None:
        async def deed(tx: Write) -> None:
            tries.append(first)
            await tx.connection.execute("update balances set amount = amount + 1 where name = $1", first)
            if len(tries) <= 2:
                await both_hold_one.wait()
            await tx.connection.execute("update balances set amount = amount + 1 where name = $1", second)

        await db.transact(deed)

    await asyncio.gather(move("ana", "bob"), move("bob", "ana"))

    assert len(tries) == 3
    assert (await amount(db, "ana"), await amount(db, "bob")) == (12, 12)


async def test_a_lost_race_is_run_again(db: Database) -> None:
    """A deed that read before another one wrote sees the new state when it is run again."""
    runs = 0

    async def add_one(tx: Write) -> None:
        nonlocal runs
        runs += 1
        await tx.connection.execute("set transaction isolation level repeatable read")
        seen = await balance_of(tx, name="ana")
        assert seen is not None
        if runs == 1:
            async with db.write() as other:
                await set_balance(other, name="ana", amount=50)
        await set_balance(tx, name="ana", amount=seen + 1)

    await db.transact(add_one)

    assert (runs, await amount(db, "ana")) == (2, 51)


async def test_a_migration_beside_running_code_costs_a_second_run(db: Database) -> None:
    """A statement that was prepared before a column came is prepared again, and no caller sees it."""
    everything = many(str, "select * from balances")

    async def look(tx: Write) -> list[str]:
        return await everything(tx)

    await db.transact(look)
    connection = await db.connect()
    await connection.execute("alter table balances add column note text")
    await connection.close()

    assert sorted(await db.transact(look)) == ["ana", "bob"]


async def test_closing_waits_for_what_is_running(empty_address: Address) -> None:
    """A statement in flight is answered; whoever comes later, or was waiting, is told that the database closes."""
    db = Database(empty_address.dsn, sizes=replace(SIZES, read=1), **empty_address.options)
    await db.open()

    async def slow() -> int:
        async with db.read() as tx:
            return await tx.connection.fetchval("select 1 from pg_sleep(0.1)")

    running, waiting = asyncio.create_task(slow()), asyncio.create_task(slow())
    await asyncio.sleep(0.02)
    await db.close()

    assert await running == 1
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable):
        await slow()


async def test_an_endless_conflict_is_refused(db: Database) -> None:
    """After some tries the caller is told to come back, and nothing is stored."""
    runs = 0

    async def lose(tx: Write) -> None:
        nonlocal runs
        runs += 1
        raise asyncpg.SerializationError

    with pytest.raises(Unavailable):
        await db.transact(lose)

    assert runs > 1


async def test_a_slow_statement_is_cut_off(db: Database) -> None:
    """One slow query costs its caller an answer, never the pool a connection."""
    with pytest.raises(Unavailable):
        async with db.read() as tx:
            await tx.connection.execute("select pg_sleep(5)")

    assert await amount(db, "ana") == 10


async def test_waiting_for_a_connection_has_an_end(db: Database) -> None:
    """When all connections are lent, the next caller is told so in time, and served when one is back."""
    async with db.read(), db.read():
        with pytest.raises(Unavailable, match="came free"):
            async with db.read():
                pass

    assert await amount(db, "ana") == 10


async def test_many_callers_share_few_connections(db: Database) -> None:
    """Sixty callers at once are all served by two connections, none of which is lent twice."""
    served: list[int] = []

    async def ask(number: int) -> None:
        async with db.read() as tx:
            await tx.connection.fetchval("select 1")
            served.append(number)

    await asyncio.gather(*(ask(number) for number in range(60)))

    assert sorted(served) == list(range(60))


async def test_cancelled_callers_take_no_connection_with_them(db: Database) -> None:
    """Clients that hang up in the middle, however many, leave the pool whole."""

    async def slow(seconds: float) -> None:
        async with db.read() as tx:
            await tx.connection.execute(f"select pg_sleep({seconds})")

    for round_ in range(10):
        tasks = [asyncio.create_task(slow(0.2)) for _ in range(6)]
        await asyncio.sleep(0.001 * round_)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async with db.read() as one, db.read() as two:
        assert await asyncio.gather(balance_of(one, name="ana"), balance_of(two, name="bob")) == [10, 10]


async def test_a_cancelled_write_is_rolled_back(db: Database) -> None:
    """A deed whose client is gone is undone, and the row it had locked is free again."""

    async def interrupted() -> None:
        async with db.write() as tx:
            await set_balance(tx, name="ana", amount=0)
            await tx.connection.execute("select pg_sleep(5)")

    task = asyncio.create_task(interrupted())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with db.write() as tx:
        await set_balance(tx, name="ana", amount=11)

    assert await amount(db, "ana") == 11


async def test_errors_of_the_caller_are_not_the_databases(db: Database) -> None:
    """A timeout or a wrong type in a deed is a bug of that deed, not a database that is away."""
    with pytest.raises(TimeoutError):
        async with db.write():
            raise TimeoutError
    with pytest.raises(asyncpg.DataError):
        async with db.read() as tx:
            await tx.connection.fetchval("select $1::int", "text")


class Followed:
    """An outbox that notes what it was given, and can be told to fail."""

    def __init__(self) -> None:
        self.delivered: list[Announcements] = []
        self.fails: Exception | None = None

    async def write(self, tx: Write, announcements: Announcements) -> None:
        await tx.connection.execute("update balances set amount = amount + 1 where name = 'bob'")
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure

    async def deliver(self, news: News) -> None:
        self.delivered.append(news)
        raise ConnectionError("nobody listens")


async def test_announcements_are_part_of_the_transaction(db: Database) -> None:
    """A conflict while facts are written undoes the rows too, and the whole deed is run again, told once."""
    outbox = db.outbox = Followed()
    outbox.fails = asyncpg.SerializationError()
    heard: list[str] = []

    async def deed(tx: Write) -> None:
        await tx.connection.execute("update balances set amount = amount + 1 where name = 'ana'")
        tx.on_commit(lambda: heard.append("committed"))

    await db.transact(deed)

    assert (await amount(db, "ana"), await amount(db, "bob")) == (11, 11)
    assert heard == ["committed"]


async def test_a_single_statement_is_its_own_transaction(db: Database) -> None:
    """Nothing is begun and nothing committed around it; what it tells is told, and what it could lose is refused."""
    outbox = db.outbox = Followed()
    heard: list[str] = []

    async def deed(tx: Write) -> bool:
        await set_balance(tx, name="ana", amount=11)
        tx.on_commit(lambda: heard.append("committed"))
        return tx.connection.is_in_transaction()

    async def failing(tx: Write) -> None:
        await put_balance(tx, name="bob", amount=1)

    async def promising(tx: Write) -> None:
        tx.signal("somebody", None)

    assert await db.transact(deed, single=True) is False
    with pytest.raises(Taken):
        await db.transact(failing, single=True)
    with pytest.raises(RuntimeError, match="single statement"):
        await db.transact(promising, single=True)

    assert (await amount(db, "ana"), await amount(db, "bob")) == (11, 10)
    assert heard == ["committed"]
    assert len(outbox.delivered) == 1


async def test_what_fails_after_the_commit_fails_nobody(db: Database) -> None:
    """The change is there, so the caller must hear success even when telling the others did not work."""
    outbox = db.outbox = Followed()

    async with db.write() as tx:
        tx.on_commit(lambda: 1 / 0)
        await set_balance(tx, name="ana", amount=12)

    assert await amount(db, "ana") == 12
    assert len(outbox.delivered) == 1


async def test_a_database_that_is_not_there_is_said_to_be_away(empty_address: Address, tmp_path: Path) -> None:
    """Nobody listens on the socket: the refusal that becomes 503, not a stack of connection errors."""
    db = Database(empty_address.dsn, sizes=SIZES, **{**empty_address.options, "host": str(tmp_path)})

    with pytest.raises(Unavailable):
        await db.open()
    with pytest.raises(Unavailable):
        async with db.read():
            pass


async def test_a_killed_server_is_away_and_then_back(tmp_path: Path) -> None:
    """What was answered is kept, calls in between are refused in time, and the pools recover by themselves."""
    async with EmbeddedPostgres(tmp_path, binaries=binaries(), settings=IN_A_HURRY) as server:
        db = Database(server.address.dsn, sizes=replace(SIZES, wait=timedelta(seconds=1)), **server.address.options)
        await db.open()
        async with db.write() as tx:
            await tx.connection.execute("create table kept as select 1 as one")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            async with db.write() as tx:
                await tx.connection.execute("select pg_sleep(0.3)")

        answer = await _answer_of(db)
        await db.close()

    assert answer == 1


async def _answer_of(db: Database) -> int:
    deadline = time.monotonic() + 10
    while True:
        try:
            async with db.read() as tx:
                return await _kept(tx)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def _kept(tx: Read) -> int:
    return await tx.connection.fetchval("select one from kept")
