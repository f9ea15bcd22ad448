"""The Postgres engine: pools, transactions, retries. It knows nothing of which server it talks to, or who started it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import asyncpg
import msgspec

from tenfold.kit.clock import Clock
from tenfold.kit.refusals import Unavailable
from tenfold.platform.events import Fact
from tenfold.platform.jobs import Enqueued, Job, Priority
from tenfold.platform.observe import metrics

T = TypeVar("T")
_TRIES = 6
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.QueryCanceledError,
    ConnectionError,
    FileNotFoundError,
    TimeoutError,
)
_CONFLICTS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSizes:
    """How many connections a process may open, and how long it waits for one."""

    read: int = 8
    write: int = 8
    wait: timedelta = timedelta(seconds=5)
    read_timeout: timedelta = timedelta(seconds=5)
    write_timeout: timedelta = timedelta(seconds=10)


@dataclass(slots=True)
class Announcements:
    """What a transaction wants known: facts and jobs leave with its commit, the rest right after it."""

    facts: list[Fact] = field(default_factory=list)
    jobs: list[Enqueued] = field(default_factory=list)
    signals: list[tuple[str, Any]] = field(default_factory=list)
    tells: list[tuple[str, Any]] = field(default_factory=list)
    callbacks: list[Callable[[], None]] = field(default_factory=list)


class Outbox(Protocol):
    """Where announcements go: `write` inside the transaction, `deliver` after its commit."""

    async def write(self, tx: "Write", announcements: Announcements) -> None: ...

    async def deliver(self, announcements: Announcements) -> None: ...


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
        """Have a job run after the commit. Two with the same `key` take effect once; `tenant` is whose fair share it uses."""
        self.announcements.jobs.append(
            Enqueued(job=job, payload=payload, key=key, tenant=tenant, priority=priority, delay=delay)
        )

    def signal(self, topic: str, payload: object) -> None:
        """Tell every process of the installation, at the commit, at most once (see `platform.bus`)."""
        self.announcements.signals.append((topic, payload))

    def tell(self, channel: str, data: object) -> None:
        """Publish to a realtime channel right after the commit (see `platform.realtime`)."""
        self.announcements.tells.append((channel, data))

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call something in this process right after the commit; never when the transaction fails."""
        self.announcements.callbacks.append(callback)


class Connection(asyncpg.Connection):
    """A connection that is given back as it is: no code sets session state, so no reset round trip is needed."""

    def get_reset_query(self) -> str:
        return ""


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
        self._readers: asyncpg.Pool | None = None
        self._writers: asyncpg.Pool | None = None
        self._waits = {name: metrics.pool_wait_seconds.labels(name) for name in ("read", "write")}

    async def open(self) -> None:
        """Connect. Raises `Unavailable` when the server does not answer."""
        with _unavailable_when_away():
            self._readers = await self._pool(self.sizes.read, self.sizes.read_timeout, read_only=True)
            self._writers = await self._pool(self.sizes.write, self.sizes.write_timeout, read_only=False)

    async def close(self) -> None:
        """Wait for running statements, then disconnect."""
        for pool in (self._readers, self._writers):
            if pool is not None:
                try:
                    await asyncio.wait_for(pool.close(), 10)
                except TimeoutError:
                    pool.terminate()

    async def connect(self) -> asyncpg.Connection:
        """A connection outside the pools, for what holds session state: LISTEN, advisory locks."""
        with _unavailable_when_away():
            connection = await asyncpg.connect(self.dsn, **self.options)
            await prepare_connection(connection)
            return connection

    @asynccontextmanager
    async def read(self, *, snapshot: bool = False) -> AsyncIterator[Read]:
        """Borrow a connection for reading; with `snapshot`, all statements see the same instant."""
        async with self._borrow("read", self._readers) as connection:
            if not snapshot:
                yield Read(connection, self.clock.now())
                return
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield Read(connection, self.clock.now())

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Write]:
        """Open a transaction: committed at the end of the block, rolled back when the block raises."""
        async with self._borrow("write", self._writers) as connection:
            tx = Write(connection, self.clock.now())
            async with connection.transaction():
                yield tx
                if self.outbox is not None:
                    await self.outbox.write(tx, tx.announcements)
        for callback in tx.announcements.callbacks:
            callback()
        if self.outbox is not None:
            await self.outbox.deliver(tx.announcements)

    async def transact(self, deed: Callable[[Write], Awaitable[T]]) -> T:
        """Run a deed in a transaction, again from the start when it lost a race (serialization failure, deadlock)."""
        for attempt in range(1, _TRIES + 1):
            try:
                async with self.write() as tx:
                    return await deed(tx)
            except _CONFLICTS as conflict:
                metrics.transaction_retries.labels(type(conflict).__name__).inc()
                if attempt == _TRIES:
                    raise Unavailable(retry_after=1) from conflict
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("unreachable")

    async def _pool(self, size: int, timeout: timedelta, *, read_only: bool) -> "asyncpg.Pool":
        milliseconds = str(int(timeout / timedelta(milliseconds=1)))
        return await asyncpg.create_pool(
            self.dsn,
            min_size=1,
            max_size=size,
            init=prepare_connection,
            connection_class=Connection,
            statement_cache_size=1024,
            max_cached_statement_lifetime=0,
            max_inactive_connection_lifetime=0,
            server_settings={
                "application_name": "tenfold",
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": "60000",
                "default_transaction_read_only": "on" if read_only else "off",
            },
            **self.options,
        )

    @asynccontextmanager
    async def _borrow(self, name: str, pool: "asyncpg.Pool | None") -> AsyncIterator[asyncpg.Connection]:
        if pool is None:
            raise Unavailable("The database is not open.", retry_after=1)
        started = time.perf_counter()
        with _unavailable_when_away():
            connection = await pool.acquire(timeout=self.sizes.wait.total_seconds())
            self._waits[name].observe(time.perf_counter() - started)
            try:
                yield connection
            finally:
                await pool.release(connection)


class _unavailable_when_away:  # noqa: N801 - reads as a statement
    """Turn "the server is not there" into the refusal that says so."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _AWAY):
            raise Unavailable("The database does not answer.", retry_after=1) from error
