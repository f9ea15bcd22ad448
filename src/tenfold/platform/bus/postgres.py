"""The Postgres engine of the bus: LISTEN and NOTIFY on one channel, over a connection of its own beside the pools.

A committing NOTIFY takes a lock on the whole database for an instant, so signals are for what is rare (a revocation, a
dropped tag), not for every row: those are found by looking.
"""

import asyncio
import itertools
import random
import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec
import structlog

from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus import queries
from tenfold.platform.bus.listeners import Listening, stop
from tenfold.platform.bus.queries import Parcel
from tenfold.platform.db import Database, Write

CHANNEL = "tenfold"
_LARGEST = 7_900  # bytes; a NOTIFY takes fewer than 8,000
_LONGEST_PAUSE = 5.0
_CHECK_EVERY = 15.0
log = structlog.get_logger("tenfold.bus")


@dataclass(frozen=True, slots=True)
class _Line:
    """A listening connection, with what has arrived on it; None says that it was lost."""

    connection: asyncpg.Connection
    arrived: "asyncio.Queue[str | None]"


class PostgresBus(Listening):
    """Carries signals through the database to every process that listens on it."""

    def __init__(self, db: Database) -> None:
        super().__init__()
        self._db = db
        self._origin = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._task: asyncio.Task[None] | None = None
        self._line: _Line | None = None

    async def send_in(self, tx: Write, signals: list[tuple[str, Any]]) -> None:
        """One NOTIFY per signal, all in one statement; a large one leaves its body in `bus_payloads`."""
        if not signals:
            return
        parcels: list[Parcel] = []
        bodies = [self._body_of(tx, topic, payload, parcels) for topic, payload in signals]
        await queries.insert_parcels.each(tx, parcels)
        await queries.notify(tx, channel=CHANNEL, bodies=bodies)

    async def send(self, topic: str, payload: object) -> None:
        """Send a signal in a transaction of its own."""
        async with self._db.write() as tx:
            await self.send_in(tx, [(topic, payload)])

    async def open(self) -> None:
        """Start to listen; raises `Unavailable` when the database does not answer."""
        self._origin = uuid.uuid4().hex
        self._line = await self._connect()
        self._task = asyncio.create_task(self._listen(self._line), name="bus")

    async def close(self) -> None:
        """Stop to listen, and give up the connection."""
        await stop(self._task)
        self._task = None
        if self._line is not None:
            self._line.connection.terminate()
            self._line = None

    def _body_of(self, tx: Write, topic: str, payload: object, parcels: list[Parcel]) -> str:
        # Postgres folds equal notifications of a transaction into the first; a number keeps them apart, and in order.
        body = msgspec.json.encode([topic, payload, f"{self._origin}:{next(self._numbers)}"])
        if len(body) <= _LARGEST:
            return body.decode()
        parcel = Parcel(new_id(), body.decode(), tx.now)
        parcels.append(parcel)
        return str(parcel.id)

    async def _connect(self) -> _Line:
        arrived: asyncio.Queue[str | None] = asyncio.Queue()
        connection = await self._db.connect()
        try:
            connection.add_termination_listener(lambda _: arrived.put_nowait(None))
            await connection.add_listener(CHANNEL, lambda *heard: arrived.put_nowait(str(heard[3])))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            connection.terminate()
            raise
        return _Line(connection, arrived)

    async def _listen(self, line: _Line) -> None:
        while True:
            await self._hear_all(line)
            line.connection.terminate()
            log.warning("lost the bus, connecting again")
            self._line = line = await self._reconnect()
            await self._tell_of_gap()

    async def _hear_all(self, line: _Line) -> None:
        """Tell the listeners what arrives, until the connection is lost."""
        while True:
            try:
                # Not `wait_for`: before Python 3.12 it loses a cancellation that comes in the same turn as the signal.
                async with asyncio.timeout(_CHECK_EVERY):
                    body = await line.arrived.get()
                if body is None:
                    return
                await self._hear_one(line, body)
            except TimeoutError:
                if not await _is_alive(line.connection):
                    return
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                return

    async def _hear_one(self, line: _Line, body: str) -> None:
        if not body.startswith("["):
            parcel = await queries.find_parcel(line, id=uuid.UUID(body))
            if parcel is None:
                log.warning("a large signal was gone before it was read", id=body)
                return
            body = parcel.body
        topic, payload, _number = msgspec.json.decode(body)
        await self._hear(topic, payload)

    async def _reconnect(self) -> _Line:
        pause = 0.1
        while True:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            try:
                return await self._connect()
            except (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                pause = min(pause * 2, _LONGEST_PAUSE)


async def _is_alive(connection: asyncpg.Connection) -> bool:
    """A half-open connection hears nothing and says nothing: ask."""
    try:
        await connection.execute("select 1", timeout=5)
    except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return False
    return True
