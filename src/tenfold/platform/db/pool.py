"""The pool: connections lent one at a time, in order of asking, given back without a round trip or a task.

asyncpg's own pool costs about as much as a read by key (a task per release, a proxy per loan); this one a twentieth.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

import asyncpg
import structlog

from tenfold.kit.refusals import Unavailable
from tenfold.platform.observe import metrics

_log = structlog.get_logger("tenfold.db")
_MENDING = 5.0
_LIFETIME = 3600.0


def is_away(error: BaseException | None) -> bool:
    """Whether an error of asyncpg says that the server is not there, or has no means to do what was asked."""
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, asyncpg.DataError) and "closed" in str(error)
    return isinstance(error, _AWAY)


# asyncpg raises InternalClientError on a connection whose server said, unasked, that it is ending.
_AWAY = (
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


class Pool:
    """At most `size` connections to one database, made by `connect`; a caller waits at most `wait` seconds for one."""

    def __init__(
        self, name: str, size: int, *, wait: float, connect: Callable[[], Awaitable[asyncpg.Connection]]
    ) -> None:
        self.size = size
        self._wait = wait
        self._connect = connect
        self._free: list[asyncpg.Connection] = []
        self._lent: set[asyncpg.Connection] = set()
        self._born: dict[asyncpg.Connection, float] = {}
        self._connecting = 0
        self._queue: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._mending: set[asyncio.Task[None]] = set()
        self._closing = False
        self._waited = metrics.pool_wait_seconds.labels(name)

    async def acquire(self) -> asyncpg.Connection:
        """Borrow a connection. Raises `Unavailable` when none comes free in time, or the server does not answer."""
        free = self._free
        while free and not self._queue:
            connection = free.pop()
            if not connection.is_closed():
                self._lent.add(connection)
                self._waited.observe(0.0)
                return connection
            self._forget(connection)
        return await self._acquire_slowly()

    def release(self, connection: asyncpg.Connection, error: BaseException | None = None) -> None:
        """Give a connection back. After an error that may have left it busy it is mended first, in the background."""
        self._lent.discard(connection)
        suspect = _is_suspect(error)
        if self._closing or connection.is_closed() or (connection.is_in_transaction() and not suspect):
            self._end(connection)
        elif suspect or self._is_old(connection):
            task = asyncio.ensure_future(self._mend(connection))
            self._mending.add(task)
            task.add_done_callback(self._mending.discard)
        else:
            self._lend_on(connection)

    def discard(self, connection: asyncpg.Connection) -> None:
        """Give back a connection that nobody can use; another is made for whoever needs one."""
        self._lent.discard(connection)
        self._end(connection)

    async def trim(self) -> None:
        """Close half of the connections that are free: those that were lent longest ago."""
        half = (len(self._free) + 1) // 2
        unused, self._free = self._free[:half], self._free[half:]
        for connection in unused:
            self._forget(connection)
            await _part_with(connection)

    async def close(self, wait: float = 10.0) -> None:
        """Lend nothing more, wait for what is lent, then disconnect; what is not given back in time is cut off."""
        self._closing = True
        while self._queue:
            self._wake(self._queue.popleft(), None)
        deadline = time.monotonic() + wait
        while (self._lent or self._mending) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for connection in list(self._born):
            self._forget(connection)
            if connection in self._lent:
                connection.terminate()
            else:
                await _part_with(connection)
        self._free.clear()

    async def _acquire_slowly(self) -> asyncpg.Connection:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._wait):
                connection = await self._next()
        except TimeoutError as error:
            self._waited.observe(time.perf_counter() - started)
            raise Unavailable("No database connection came free in time.", retry_after=1) from error
        self._waited.observe(time.perf_counter() - started)
        return connection

    async def _next(self) -> asyncpg.Connection:
        while True:
            if self._closing:
                raise Unavailable("The database is being closed.", retry_after=1)
            if not self._queue and len(self._born) + self._connecting < self.size:
                return await self._make()
            turn: asyncio.Future[asyncpg.Connection | None] = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                connection = await turn
            except BaseException:
                if turn in self._queue:
                    self._queue.remove(turn)
                elif turn.done() and not turn.cancelled():
                    self._pass_on(turn.result())
                raise
            if connection is not None and not connection.is_closed():
                self._lent.add(connection)
                return connection
            if connection is not None:
                self._forget(connection)
            if not self._closing and len(self._born) + self._connecting < self.size:
                return await self._make()

    async def _make(self) -> asyncpg.Connection:
        self._connecting += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._connecting -= 1
            self._wake_next(None)
            raise
        self._connecting -= 1
        if self._closing:
            connection.terminate()
            raise Unavailable("The database is being closed.", retry_after=1)
        self._born[connection] = time.monotonic()
        self._lent.add(connection)
        return connection

    async def _mend(self, connection: asyncpg.Connection) -> None:
        """Wait until the server has answered all that was asked; a connection that stays busy is replaced."""
        try:
            if self._is_old(connection):
                await connection.close(timeout=_MENDING)
            else:
                await connection.execute("select 1", timeout=_MENDING)
        except Exception as error:
            _log.warning("a connection could not be mended; it is replaced", reason=str(error))
            connection.terminate()
        if connection.is_closed() or connection.is_in_transaction():
            self._end(connection)
        else:
            self._lend_on(connection)

    def _lend_on(self, connection: asyncpg.Connection) -> None:
        if not self._wake_next(connection):
            self._free.append(connection)

    def _end(self, connection: asyncpg.Connection) -> None:
        connection.terminate()
        self._forget(connection)
        self._wake_next(None)

    def _pass_on(self, connection: asyncpg.Connection | None) -> None:
        if connection is not None:
            self._lend_on(connection)
        else:
            self._wake_next(None)

    def _wake_next(self, connection: asyncpg.Connection | None) -> bool:
        """Give the first in the queue its connection, or (with None) the room to make one; False when nobody waits."""
        while self._queue:
            if self._wake(self._queue.popleft(), connection):
                return True
        return False

    @staticmethod
    def _wake(turn: "asyncio.Future[asyncpg.Connection | None]", connection: asyncpg.Connection | None) -> bool:
        if turn.done():
            return False
        turn.set_result(connection)
        return True

    def _forget(self, connection: asyncpg.Connection) -> None:
        self._born.pop(connection, None)

    def _is_old(self, connection: asyncpg.Connection) -> bool:
        return time.monotonic() - self._born.get(connection, 0.0) > _LIFETIME


async def _part_with(connection: asyncpg.Connection) -> None:
    """Close a connection that nobody uses. A server that does not see to it in time is left to notice by itself."""
    try:
        await connection.close(timeout=_MENDING)
    except Exception as error:
        _log.info("a connection was cut off", reason=str(error) or type(error).__name__)
        connection.terminate()


def _is_suspect(error: BaseException | None) -> bool:
    """Whether an error may have left a statement running: a cancellation, or a misuse of the connection."""
    return error is not None and (
        not isinstance(error, Exception)
        or isinstance(error, TimeoutError | ExceptionGroup | asyncpg.InterfaceError | asyncpg.InternalClientError)
    )
