"""Migrations: they bring a database to the schema that this code needs, forward only, one runner at a time."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

import asyncpg

from tenfold.kit.refusals import CannotStart
from tenfold.platform.db import backfills
from tenfold.platform.db.ledger import Ledger, make_tables, must_agree, read_ledger, write_entry
from tenfold.platform.db.migration_files import Migration, Source, index_of, read_source
from tenfold.platform.db.postgres import Database

State = Literal["applied", "running", "pending", "waiting"]

_LOCK = 0x74656E666F6C64  # "tenfold"
_LOCK_TRIES = 20
_LOCK_CONFLICTS = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


class UnfinishedBackfill(CannotStart):
    """A contract migration waits for a backfill that has not come to its end."""


class MigrationFailed(CannotStart):
    """A migration's SQL was refused by the database, or could not get its locks."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one migration stands. `running` is a backfill that goes on, `waiting` a migration that waits for one."""

    migration: Migration
    state: State
    applied_at: datetime | None
    batches: int | None


class Migrations:
    """The migrations of several sources on one database, in the order of the sources."""

    def __init__(self, db: Database, sources: Sequence[Source], *, lock_timeout: float = 2.0) -> None:
        self.db = db
        self.sources = list(sources)
        self._lock_timeout = lock_timeout

    @cached_property
    def files(self) -> list[Migration]:
        """Every migration of every source, in order; raises when the files themselves are not in order."""
        return [migration for source in self.sources for migration in read_source(source)]

    async def status(self) -> list[Standing]:
        """How every migration stands. Raises when database and files contradict each other."""
        async with self.db.read() as tx:
            ledger = await read_ledger(tx.connection)
        must_agree(ledger, self.files)
        return [self._standing(migration, ledger) for migration in self.files]

    async def pending(self) -> list[Migration]:
        """What `apply` would apply now: not what waits for a backfill."""
        return [standing.migration for standing in await self.status() if standing.state == "pending"]

    async def apply(
        self, *, strict: bool = False, on_applied: Callable[[Migration, float], None] | None = None
    ) -> list[Migration]:
        """Apply every pending migration and say which; another process that does the same is waited for.

        Backfills are put up for `run_backfills`; on a new database, which has no rows, they run at once. A contract
        migration is held back until the backfills before it are finished: it and what follows it in its source wait
        for a later `apply`, or with `strict` raise `UnfinishedBackfill`.
        """
        files = self.files
        applied: list[Migration] = []
        async with self._alone() as connection:
            ledger = await read_ledger(connection)
            must_agree(ledger, files)
            new = not ledger
            await make_tables(connection)
            for migration in files:
                state = self._standing(migration, ledger).state
                if state == "waiting" and strict:
                    raise UnfinishedBackfill(
                        f"The migration {migration.label} waits for a backfill that is still running; "
                        "let the worker finish it."
                    )
                if state != "pending":
                    continue
                took = await self._apply_one(connection, migration)
                if new and migration.kind == "backfill":
                    await backfills.run_one(self.db, migration, deadline=None)
                ledger = await read_ledger(connection)
                applied.append(migration)
                if on_applied is not None:
                    on_applied(migration, took)
        return applied

    async def run_backfills(self, *, seconds: float | None = None) -> bool:
        """Run the backfills that are put up, batch by batch, for at most so long; True when none is left unfinished.

        Each batch is a transaction that also moves the backfill's position, so a kill loses or repeats nothing.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        running = [standing.migration for standing in await self.status() if standing.state == "running"]
        finished = [await backfills.run_one(self.db, migration, deadline=deadline) for migration in running]
        return all(finished)

    def _standing(self, migration: Migration, ledger: Ledger) -> Standing:
        entry = ledger.get((migration.source, migration.number))
        if entry is not None:
            return Standing(migration, "applied" if entry.is_done else "running", entry.applied_at, entry.batches)
        return Standing(migration, "waiting" if self._must_wait(migration, ledger) else "pending", None, None)

    def _must_wait(self, migration: Migration, ledger: Ledger) -> bool:
        """Whether it, or one before it, is a contract that has an unfinished backfill before it."""
        unfinished = False
        for earlier in self.files:
            if earlier.source != migration.source or earlier.number > migration.number:
                continue
            entry = ledger.get((earlier.source, earlier.number))
            if entry is not None:
                unfinished = unfinished or not entry.is_done
            elif earlier.kind == "contract" and unfinished:
                return True
            elif earlier.kind == "backfill":
                unfinished = True
        return False

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of its own that holds the installation's migration lock.

        The lock is polled: a session that sat in `pg_advisory_lock` would hold a snapshot, and the holder's
        `create index concurrently` waits for every older snapshot, so that the two would wait for each other.
        """
        connection = await self.db.connect()
        try:
            while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110
                await asyncio.sleep(random.uniform(0.05, 0.2))  # noqa: S311
            yield connection
        finally:
            await connection.close()

    async def _apply_one(self, connection: asyncpg.Connection, migration: Migration) -> float:
        started = time.perf_counter()
        try:
            if migration.concurrently and migration.kind != "backfill":
                for statement in migration.statements():
                    await self._with_locks(connection, migration, lambda text=statement: _run_alone(connection, text))
                await self._note(connection, migration, started)
            else:
                await self._with_locks(
                    connection, migration, lambda: self._run_together(connection, migration, started)
                )
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if connection.is_closed():
                raise MigrationFailed(
                    f"The connection to the database was lost during the migration {migration.label}; run it again."
                ) from error
            raise MigrationFailed(
                f"The migration {migration.label} failed: {error}; correct it, then run it again."
            ) from error
        return time.perf_counter() - started

    async def _with_locks(
        self, connection: asyncpg.Connection, migration: Migration, step: Callable[[], Awaitable[None]]
    ) -> None:
        """Run a step that waits for locks for two seconds at a time, so that readers behind it never wait longer."""
        await connection.execute(f"set lock_timeout = '{int(self._lock_timeout * 1000)}ms'")
        for attempt in range(1, _LOCK_TRIES + 1):
            try:
                return await step()
            except _LOCK_CONFLICTS as conflict:
                if attempt == _LOCK_TRIES:
                    raise MigrationFailed(
                        f"The migration {migration.label} did not get its locks in {_LOCK_TRIES} tries; end the long "
                        "transactions that hold them (see pg_stat_activity), then try again."
                    ) from conflict
                await asyncio.sleep(random.uniform(0.5, 1.5) * self._lock_timeout)  # noqa: S311 - jitter
        return None

    async def _run_together(self, connection: asyncpg.Connection, migration: Migration, started: float) -> None:
        async with connection.transaction():
            if migration.kind != "backfill":
                await connection.execute(migration.sql)
            await self._note(connection, migration, started)

    async def _note(self, connection: asyncpg.Connection, migration: Migration, started: float) -> None:
        await write_entry(connection, migration, applied_at=self.db.clock.now(), duration=time.perf_counter() - started)


async def _run_alone(connection: asyncpg.Connection, statement: str) -> None:
    """Run a statement outside a transaction; pass by a valid index, and first drop what a broken build left of one."""
    index = index_of(statement)
    if index is not None:
        valid = await connection.fetchval("select indisvalid from pg_index where indexrelid = to_regclass($1)", index)
        if valid:
            return
        if valid is False:
            await connection.execute(f"drop index concurrently {index}")
    await connection.execute(statement)
