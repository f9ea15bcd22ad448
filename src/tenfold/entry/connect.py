"""Where the database of an installation is: an own Postgres, or the embedded one, started while it is needed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tenfold.assembly import House
from tenfold.platform.db.embedded import Address, EmbeddedPostgres
from tenfold.settings import Settings


@asynccontextmanager
async def database_of(settings: Settings, *, join: bool = False) -> AsyncIterator[Address]:
    """The address of the database. With `join`, an embedded server that another process runs is used beside it.

    Raises `CannotStart` when there is no database to be had.
    """
    if settings.database.url is not None:
        yield Address(settings.database.url.get_secret_value(), {})
        return
    server = EmbeddedPostgres(settings.data)
    address = await server.start(join=join)
    try:
        yield address
    finally:
        await server.stop()


async def running_database(settings: Settings) -> Address:
    """The address of a database that somebody else runs: an own Postgres, or the embedded one of `tenfold serve`.

    Raises `CannotStart` when there is none.
    """
    if settings.database.url is not None:
        return Address(settings.database.url.get_secret_value(), {})
    return await EmbeddedPostgres(settings.data).find()


@asynccontextmanager
async def house_of(settings: Settings, *, migrate: bool = False, **options: Any) -> AsyncIterator[House]:
    """A house that is open, beside whatever else runs on the same database: for the command line and for single roles.

    Raises `CannotStart` when the schema is not this version's, unless `migrate` brings it there first.
    """
    async with database_of(settings, join=True) as address:
        house = House(settings, address.dsn, address.options, **options)
        try:
            await house.open(migrate=migrate)
            yield house
        finally:
            await house.close()
