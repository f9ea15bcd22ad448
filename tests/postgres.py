"""A real Postgres for the tests: one cluster per test process, a migrated template, and a copy of it per test."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from tenfold.platform.db import Database, Migrations
from tenfold.platform.db.embedded import Address, EmbeddedPostgres

T = TypeVar("T")
# Nothing here must survive a power cut, so nothing waits for the disk; what a killed process has committed stays.
IN_A_HURRY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "autovacuum": "off",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "checkpoint_timeout": "1h",
    "deadlock_timeout": "50ms",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def binaries() -> Path | None:
    """The server that `TENFOLD_TEST_POSTGRES` names (a major of the distribution, or a folder), or the wheel's."""
    named = os.environ.get("TENFOLD_TEST_POSTGRES", "")
    return Path(f"/usr/lib/postgresql/{named}/bin" if named.isdigit() else named) if named else None


def fast_folder() -> str:
    """A folder in memory when the machine has one with room, which spares each test the disk; else the usual one."""
    memory = Path("/dev/shm")
    if memory.is_dir():
        found = os.statvfs(memory)
        if found.f_bavail * found.f_frsize > 2 * 1024**3 and not found.f_flag & os.ST_NOEXEC:
            return str(memory)
    return tempfile.gettempdir()


class Cluster:
    """The Postgres of one test process: started on first use, stopped at the end, or when this process is killed."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tenfold-tests-", dir=fast_folder()))
        self._folder.chmod(0o755)
        self._server = EmbeddedPostgres(self._folder, binaries=binaries(), settings=IN_A_HURRY)
        self._numbers = itertools.count(1)
        self._template = ""

    def start(self) -> None:
        """Start the server; it is not watched, since it belongs to no event loop."""
        _run(self._server.start())

    def stop(self) -> None:
        """Stop the server and remove its files."""
        _run(self._server.stop())
        shutil.rmtree(self._folder, ignore_errors=True)

    async def empty(self) -> Address:
        """A new database with nothing in it."""
        return await self._create("template0")

    async def copy(self) -> Address:
        """A new database with every migration of the house applied."""
        if not self._template:
            self._template = await self._migrated()
        return await self._create(self._template)

    async def drop(self, address: Address) -> None:
        """Remove a database, whoever is still connected to it."""
        await self._execute(f"drop database if exists {address.options['database']} with (force)")

    async def _migrated(self) -> str:
        from tenfold.assembly import migration_sources

        address = await self.empty()
        db = Database(address.dsn, **address.options)
        await db.open()
        try:
            await Migrations(db, migration_sources()).apply()
        finally:
            await db.close()
        return address.options["database"]

    async def _create(self, template: str) -> Address:
        name = f"test_{next(self._numbers)}"
        # Copying the files takes 20 ms; through the write-ahead log, the default, it would take 160.
        await self._execute(f"create database {name} template {template} owner tenfold strategy file_copy")
        address = self._server.address
        return Address(address.dsn.replace("/tenfold?", f"/{name}?"), {**address.options, "database": name})

    async def _execute(self, sql: str) -> None:
        connection = await asyncpg.connect(**self._server.superuser.options)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


def _run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner() as runner:
        return runner.run(work)
