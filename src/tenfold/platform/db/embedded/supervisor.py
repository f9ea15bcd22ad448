"""The supervisor: one process in charge of one embedded server, which it starts, watches, starts again and stops."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import asyncpg
import structlog

from tenfold.kit.refusals import CannotStart
from tenfold.platform.db.embedded.place import Place, find_binaries, why
from tenfold.platform.db.embedded.server import Server

_log = structlog.get_logger("tenfold.db.embedded")
_NAME = "tenfold"
_SOCKET_LINE = 4


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach a database: `Database(address.dsn, **address.options)`. The password is in the options alone."""

    dsn: str
    options: Mapping[str, Any]


class EmbeddedPostgres:
    """A Postgres server in `<data>/postgres`, with a database and a role named `tenfold`. One process is in charge.

    `binaries` names another Postgres's `bin` folder than the wheel's; `settings` are added to the server's own.
    """

    def __init__(self, data: Path, *, binaries: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.place = Place(Path(os.path.abspath(data)) / "postgres")  # noqa: PTH100 - keeps symbolic links as they are named
        self._binaries = binaries
        self._settings = settings or {}
        self._server: Server | None = None
        self._socket_folder = self.place.folder
        self._password = ""
        self._lock: int | None = None
        self._watched: int | None = None
        self._revival: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def address(self) -> Address:
        """Where the `tenfold` database is, for its owner."""
        return self._address(_NAME, _NAME)

    @property
    def superuser(self) -> Address:
        """Where the maintenance database is, for the superuser: to create and copy databases."""
        return self._address("postgres", "postgres")

    @property
    def pid(self) -> int | None:
        """The process id of the server."""
        return self._server.pid() if self._server else None

    async def start(self, *, join: bool = False) -> Address:
        """Start the server, after making the cluster when there is none. Raises `CannotStart`.

        With `join`, use the server of the process that is in charge, if there is one, and leave it running at `stop`.
        """
        self._stopping = False
        try:
            await asyncio.to_thread(self._prepare)
            if not (self._lock_it() or (join and await self._join())):
                raise CannotStart(
                    f"Another Tenfold (process {self._owner()}) is using the data folder {self.place.folder.parent}; "
                    "stop it first, or choose another data folder."
                )
            if self._lock is not None:
                await asyncio.to_thread(self._launch)
                self._watch()
            await self._must_have_database()
        except OSError as error:
            await self.stop()
            raise why(error, self.place.folder.parent) from error
        except BaseException:
            await self.stop()
            raise
        return self.address

    async def find(self) -> Address:
        """Where the server is that another process runs; it is left to that process. Raises `CannotStart`."""
        try:
            await asyncio.to_thread(self._prepare)
            if self._lock_it() or not await self._join():
                raise CannotStart(
                    f"No Tenfold runs on the data folder {self.place.folder.parent}; "
                    "start `tenfold serve` there first, or name a Postgres with database.url."
                )
        except OSError as error:
            raise why(error, self.place.folder.parent) from error
        finally:
            await self.stop()
        return self.address

    async def stop(self) -> None:
        """Stop the server and let go of the folder. Running statements are rolled back, what was committed is kept."""
        self._stopping = True
        if self._revival is not None:
            self._revival.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._revival
            self._revival = None
        self._unwatch()
        if self._server is not None:
            await asyncio.to_thread(self._server.halt)
            if self._socket_folder.parent != self.place.folder:
                with contextlib.suppress(OSError):
                    self._socket_folder.rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _prepare(self) -> None:
        self.place.prepare()
        self._password = self.place.password()

    def _lock_it(self) -> bool:
        descriptor = os.open(self.place.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._lock = descriptor
        return True

    def _owner(self) -> str:
        return self.place.lock.read_text() or "unknown"

    async def _join(self) -> bool:
        """Find the running server's socket; wait a little for one that is being started."""
        for _ in range(200):
            lines = await asyncio.to_thread(self._pid_lines)
            if len(lines) > 7 and lines[7].strip() == "ready":
                self._socket_folder = Path(lines[_SOCKET_LINE])
                return True
            await asyncio.sleep(0.05)
        return False

    def _pid_lines(self) -> list[str]:
        path = self.place.cluster / "postmaster.pid"
        return path.read_text().splitlines() if path.exists() else []

    def _launch(self) -> None:
        account = self.place.account()
        binaries = find_binaries(self._binaries, self.place, account)
        self._server = Server(self.place, account, binaries, self._settings)
        if not self.place.cluster.exists():
            self._server.create(self._password)
        self._socket_folder = self.place.socket_folder(account)
        self._server.launch(self._socket_folder)

    def _address(self, user: str, database: str) -> Address:
        folder = str(self._socket_folder)
        return Address(
            f"postgresql://{user}@/{database}?host={folder}&port=5432",
            {
                "host": folder,
                "port": 5432,
                "user": user,
                "database": database,
                "password": self._password,
                "ssl": False,
            },
        )

    async def _must_have_database(self) -> None:
        try:
            connection = await asyncpg.connect(**self.address.options)
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidCatalogNameError):
            await self._make_database()
        else:
            await connection.close()

    async def _make_database(self) -> None:
        try:
            connection = await asyncpg.connect(**self.superuser.options)
        except asyncpg.InvalidPasswordError as error:
            raise CannotStart(
                f"The password in {self.place.folder / 'password'} is not that of the database beside it; "
                "put the two back from one and the same backup."
            ) from error
        try:
            if connection.get_server_version().major >= 16:
                # The password is 256 random bits, so stretching it would only make each connection slower.
                await connection.execute("set scram_iterations = 1")
            if not await connection.fetchval("select 1 from pg_roles where rolname = $1", _NAME):
                await connection.execute(f"create role {_NAME} login")
            await connection.execute(f"alter role {_NAME} password '{self._password}'")
            if not await connection.fetchval("select 1 from pg_database where datname = $1", _NAME):
                await connection.execute(f"create database {_NAME} owner {_NAME}")
        finally:
            await connection.close()

    def _watch(self) -> None:
        """Have the loop tell us when the keeper's output ends: that is when the server is gone."""
        keeper = self._server.keeper if self._server else None
        assert keeper is not None
        assert keeper.stdout is not None
        self._watched = keeper.stdout.fileno()
        asyncio.get_running_loop().add_reader(self._watched, self._gone)

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None

    def _gone(self) -> None:
        self._unwatch()
        if not self._stopping:
            self._revival = asyncio.create_task(self._revive())

    async def _revive(self) -> None:
        assert self._server is not None
        pause = 0.1
        while True:
            _log.warning("the embedded Postgres ended unexpectedly; starting it again", log=str(self.place.log))
            try:
                await asyncio.to_thread(self._server.halt)
                await asyncio.to_thread(self._server.launch, self._socket_folder)
            except (CannotStart, OSError) as error:
                _log.error("the embedded Postgres does not start", reason=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, 10.0)
            else:
                self._watch()
                return
