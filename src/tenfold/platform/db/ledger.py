"""The ledger of the schema: which migrations this database has had, and how far its backfills are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from tenfold.kit.refusals import CannotStart
from tenfold.platform.db.migration_files import Migration, MissingMigration

_TABLES = """
create table if not exists schema_migrations (
    source text not null,
    number integer not null,
    name text not null,
    checksum text not null,
    kind text not null,
    applied_at timestamptz not null,
    duration double precision not null,
    primary key (source, number)
);
create table if not exists schema_backfills (
    source text not null,
    number integer not null,
    position text,
    batches bigint not null default 0,
    finished_at timestamptz,
    primary key (source, number)
);
"""
_ROWS = """
select m.source, m.number, m.name, m.checksum, m.applied_at, b.number is not null, b.batches, b.finished_at
  from schema_migrations m
  left join schema_backfills b using (source, number)
 order by m.source, m.number
"""


class ChangedMigration(CannotStart):
    """A migration's file is not what it was when it was applied."""


class NewerDatabase(CannotStart):
    """The database has had migrations that this version of Tenfold does not know."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One applied migration. A backfill has one from when it is put up; `finished_at` says when it was done."""

    source: str
    number: int
    name: str
    checksum: str
    applied_at: datetime
    is_backfill: bool
    batches: int | None
    finished_at: datetime | None

    @property
    def is_done(self) -> bool:
        """Whether what comes after it may count on it."""
        return not self.is_backfill or self.finished_at is not None


Ledger = Mapping[tuple[str, int], Entry]


async def make_tables(connection: asyncpg.Connection) -> None:
    """Create the ledger's tables when they are not there."""
    await connection.execute("set client_min_messages = warning")
    await connection.execute(_TABLES)


async def read_ledger(connection: asyncpg.Connection) -> Ledger:
    """Every entry; a database without a ledger has none."""
    if await connection.fetchval("select to_regclass('schema_backfills')") is None:
        return {}
    return {(row[0], row[1]): Entry(*row) for row in await connection.fetch(_ROWS)}


async def write_entry(
    connection: asyncpg.Connection, migration: Migration, *, applied_at: datetime, duration: float
) -> None:
    """Note that a migration was applied; a backfill is also put up for running."""
    await connection.execute(
        "insert into schema_migrations values ($1, $2, $3, $4, $5, $6, $7)",
        *(migration.source, migration.number, migration.name, migration.checksum, migration.kind),
        *(applied_at, duration),
    )
    if migration.kind == "backfill":
        await connection.execute(
            "insert into schema_backfills (source, number) values ($1, $2)", migration.source, migration.number
        )


def must_agree(ledger: Ledger, migrations: Sequence[Migration]) -> None:
    """Raise when the database's history is not a beginning of the files' history."""
    known = {(migration.source, migration.number): migration for migration in migrations}
    for key, entry in ledger.items():
        migration = known.get(key)
        label = f"{entry.source}/{entry.number:04}_{entry.name}"
        if migration is None:
            raise NewerDatabase(
                f"The database has had the migration {label}, which this version of Tenfold does not know; "
                "start the newer version, or restore a backup from before it."
            )
        if migration.checksum != entry.checksum:
            raise ChangedMigration(
                f"The migration {migration.label} was changed after it was applied at "
                f"{entry.applied_at:%Y-%m-%d %H:%M} UTC; put the file back as it was, "
                "and write the change as a new migration."
            )
    for source in {source for source, _ in ledger}:
        numbers = sorted(number for of, number in ledger if of == source)
        if numbers[-1] != len(numbers):
            lost = next(expected for expected, number in enumerate(numbers, start=1) if number != expected)
            raise MissingMigration(
                f"The database has had {source}/{numbers[-1]:04} but not {source}/{lost:04}; "
                "restore a backup from before that happened."
            )
