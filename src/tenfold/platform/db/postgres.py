"""The Postgres engine: transactions, retries. It does not know which server it talks to, or who started it."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog

from tenfold.kit.clock import Clock
from tenfold.kit.refusals import Unavailable
from tenfold.platform.db.announcements import Announcements, News, Outbox
from tenfold.platform.db.pool import Pool, is_away
from tenfold.platform.events import Fact
from tenfold.platform.jobs import Enqueued, Job, Priority
from tenfold.platform.observe import metrics

T = TypeVar("T")
Taken = asyncpg.UniqueViolationError
"""Somebody else took a unique key an instant ago: run the deed again, and it will see them."""
Unfit = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""The database does not take a row: a value that it cannot hold, or one against a key or another constraint."""
_log = structlog.get_logger("tenfold.db")
_TRIES = 6
# A migration that changed a statement's result while the statement was prepared costs a second run, too.
_CONFLICTS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.InvalidCachedStatementError)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSizes:
    """How many connections a process may open, and how long it waits for one."""

    read: int = 8
    write: int = 8
    wait: timedelta = timedelta(seconds=5)
    read_timeout: timedelta = timedelta(seconds=5)
    write_timeout: timedelta = timedelta(seconds=10)


class Read:
    """A connection for reading. Each statement sees its own snapshot, unless the transaction asked for one."""

    __slots__ = ("connection", "now")

    def __init__(self, connection: asyncpg.Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now


class Write(Read):
    """A transaction. Its rows, facts, jobs and signals become true together, or not at all."""

    __slots__ = ("announcements",)

    def __init__(self, connection: asyncpg.Connection, now: datetime) -> None:
        super().__init__(connection, now)
        self.announcements = Announcements()

    def publish(self, fact: Fact) -> None:
        """State a fact: each of its followers will run at least once after the commit."""
        self.announcements.facts.append(fact)

    def enqueue(
        self,
        job: Job,
        payload: msgspec.Struct | None = None,
        *,
        key: str | None = None,
        tenant: str | None = None,
        priority: Priority | None = None,
        delay: timedelta = timedelta(),
    ) -> None:
        """Have a job run after the commit. Two with one `key` take effect once; `tenant`: whose fair share it uses."""
        self.announcements.jobs.append(
            Enqueued(job=job, payload=payload, key=key, tenant=tenant, priority=priority, delay=delay)
        )

    def signal(self, topic: str, payload: object) -> None:
        """Tell every process of the installation, at the commit, at most once (see `platform.bus`)."""
        self.announcements.signals.append((topic, payload))

    def tell(self, channel: str, data: object, *, offset: int | None = None, ephemeral: bool = False) -> None:
        """Publish to a realtime channel right after the commit (see `platform.realtime`).

        `offset` is the number that this transaction gave it in a durable channel; what is `ephemeral` has none.
        """
        self.announcements.tell(channel, data, offset=offset, ephemeral=ephemeral)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call something in this process right after the commit; never when the transaction fails."""
        self.announcements.on_commit(callback)


class Connection(asyncpg.Connection):
    """A connection on which a commit that did not happen is an error."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Run statements. A commit that the server turned into a rollback, after an error that was caught, raises."""
        tag = await super().execute(query, *args, timeout=timeout)
        if tag == "ROLLBACK" and query == "COMMIT;":
            raise asyncpg.InFailedSQLTransactionError("a statement of this transaction failed, so it was not committed")
        return tag


async def prepare_connection(connection: asyncpg.Connection) -> None:
    """Let `jsonb` columns carry plain Python values."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda raw: msgspec.json.decode(raw[1:]),
        format="binary",
    )


class Database:
    """Two pools on one database, so that a flood of writes never takes the last connection from the readers."""

    def __init__(self, dsn: str, *, sizes: PoolSizes | None = None, clock: Clock | None = None, **options: Any) -> None:
        """`dsn` is a libpq URL; `options` (host, user, password …) are passed to asyncpg. `open()` connects."""
        self.dsn = dsn
        self.options = options
        self.sizes = sizes or PoolSizes()
        self.clock = clock or Clock()
        self.outbox: Outbox | None = None
        self.before_writing: Callable[[], None] | None = None
        """Called before each transaction begins; it may refuse by raising `Unavailable`."""
        self.readers: Pool | None = None
        self.writers: Pool | None = None

    async def open(self) -> None:
        """Connect once; further connections are made when they are needed. Raises `Unavailable` without a server."""
        sizes = self.sizes
        self.readers = self._pool("read", sizes.read, sizes.read_timeout, read_only=True)
        self.writers = self._pool("write", sizes.write, sizes.write_timeout, read_only=False)
        try:
            self.readers.release(await self.readers.acquire())
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Wait for running statements, then disconnect."""
        pools, self.readers, self.writers = (self.readers, self.writers), None, None
        for pool in pools:
            if pool is not None:
                await pool.close()

    async def trim(self) -> None:
        """Close some of the connections that nobody needs now; called again and again, all of them."""
        for pool in (self.readers, self.writers):
            if pool is not None:
                await pool.trim()

    async def connect(self) -> asyncpg.Connection:
        """A connection outside the pools, for what holds session state: LISTEN, advisory locks."""
        return await self._connect({"application_name": "tenfold"})

    def read(self, *, snapshot: bool = False) -> "Reading":
        """Borrow a connection for reading; with `snapshot`, all statements see the same instant."""
        return Reading(self, snapshot)

    def write(self) -> "Writing":
        """Open a transaction: committed at the end of the block, rolled back when the block raises."""
        return Writing(self)

    async def transact(self, deed: Callable[[Write], Awaitable[T]], *, single: bool = False) -> T:
        """Run a deed in a transaction, again from the start when it lost a race (serialization failure, deadlock).

        `single`: it is one statement, without facts, jobs and signals: its own transaction, two round trips less.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                async with Writing(self, single=single) as tx:
                    return await deed(tx)
            except _CONFLICTS as conflict:
                metrics.transaction_retries.labels(type(conflict).__name__).inc()
                if attempt == _TRIES:
                    raise Unavailable("Too many others change the same thing.", retry_after=1) from conflict
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    async def announce(self, news: News) -> None:
        """Tell the world what is committed, so what fails here fails nobody; it is logged.

        Transactions do it at their end; only a deed that was committed along with those of others does it for itself.
        """
        for callback in news.callbacks:
            try:
                callback()
            except Exception:
                _log.exception("a callback after a commit failed", callback=repr(callback))
        if self.outbox is not None:
            try:
                await self.outbox.deliver(news)
            except Exception:
                _log.exception("news after a commit were not delivered")

    def _pool(self, name: str, size: int, timeout: timedelta, *, read_only: bool) -> Pool:
        settings = {
            "application_name": "tenfold",
            "statement_timeout": str(int(timeout / timedelta(milliseconds=1))),
            "idle_in_transaction_session_timeout": "60000",
            "default_transaction_read_only": "on" if read_only else "off",
        }
        return Pool(name, size, wait=self.sizes.wait.total_seconds(), connect=lambda: self._connect(settings))

    async def _connect(self, settings: dict[str, str]) -> asyncpg.Connection:
        try:
            connection = await asyncpg.connect(
                self.dsn,
                connection_class=Connection,
                statement_cache_size=1024,
                max_cached_statement_lifetime=0,
                timeout=math.ceil(self.sizes.wait.total_seconds()),
                server_settings=settings,
                **self.options,
            )
            try:
                await prepare_connection(connection)
            except BaseException:
                connection.terminate()
                raise
        except (OSError, TimeoutError) as error:
            raise _unavailable() from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if is_away(error):
                raise _unavailable() from error
            raise
        return connection


class Reading:
    """The block of `read()`. A class, because a generator's context manager costs several times as much."""

    __slots__ = ("_connection", "_database", "_pool", "_snapshot", "_transaction", "_tx")

    def __init__(self, database: Database, snapshot: bool) -> None:
        self._database = database
        self._snapshot = snapshot

    async def __aenter__(self) -> Read:
        database = self._database
        self._pool = pool = _opened(database.readers)
        self._connection = connection = await pool.acquire()
        if self._snapshot:
            self._transaction = await _begun(
                connection, pool, connection.transaction(isolation="repeatable_read", readonly=True)
            )
        self._tx = tx = Read(connection, database.clock.now())
        return tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tx.connection = _GONE
        try:
            if self._snapshot:
                await _ended(self._transaction, kind, error, trace)
        except BaseException as failure:
            error = failure
            raise
        finally:
            self._pool.release(self._connection, error)
            if error is not None and is_away(error):
                raise _unavailable() from error


class Writing:
    """The block of `write()`: a transaction, then the announcements of what it did."""

    __slots__ = ("_connection", "_database", "_pool", "_single", "_transaction", "_tx")

    def __init__(self, database: Database, *, single: bool = False) -> None:
        self._database = database
        self._single = single

    async def __aenter__(self) -> Write:
        database = self._database
        if database.before_writing is not None:
            database.before_writing()
        self._pool = pool = _opened(database.writers)
        self._connection = connection = await pool.acquire()
        self._transaction = None if self._single else await _begun(connection, pool, connection.transaction())
        self._tx = tx = Write(connection, database.clock.now())
        return tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure, committing = error, self._single
        try:
            if error is None:
                await self._write_announcements()
                committing = True
            if self._transaction is not None:
                await _ended(self._transaction, kind, error, trace)
        except BaseException as raised:
            failure = raised
            raise
        finally:
            self._tx.connection = _GONE
            self._pool.release(self._connection, failure)
            if failure is not None and is_away(failure):
                raise _unavailable(committing=committing) from failure
        if error is None:
            await self._database.announce(self._tx.announcements)

    async def _write_announcements(self) -> None:
        outbox, wanted = self._database.outbox, self._tx.announcements
        if self._single and (wanted.facts or wanted.jobs or wanted.signals):
            raise RuntimeError("a single statement has no facts, jobs or signals")
        if outbox is None or self._single:
            return
        try:
            await outbox.write(self._tx, wanted)
        except BaseException as error:
            await _ended(self._transaction, type(error), error, error.__traceback__)
            raise


class _Gone:
    """Stands where a connection was that has been given back, so that late use is an error that says so."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"this transaction has ended; {name} was called on it too late")


_GONE: Any = _Gone()


def _opened(pool: Pool | None) -> Pool:
    if pool is None:
        raise Unavailable("The database is not open.", retry_after=1)
    return pool


async def _begun(connection: asyncpg.Connection, pool: Pool, transaction: Any) -> Any:
    try:
        await transaction.__aenter__()
    except BaseException as error:
        pool.discard(connection)
        if is_away(error):
            raise _unavailable() from error
        raise
    return transaction


async def _ended(
    transaction: Any, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Commit, or roll back after an error; a rollback that fails is none of the caller's business, the error is."""
    try:
        await transaction.__aexit__(kind, error, trace)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        if error is None:
            raise


def _unavailable(*, committing: bool = False) -> Unavailable:
    if committing:
        return Unavailable(
            "The database stopped answering during the commit; the change may or may not have been made.", retry_after=1
        )
    return Unavailable("The database does not answer.", retry_after=1)
