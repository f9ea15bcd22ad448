"""Migrations on a real database: order, refusals, indexes outside transactions, and backfills that survive a kill."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tenfold.platform.db import (
    ChangedMigration,
    Database,
    MalformedMigration,
    MigrationFailed,
    Migrations,
    MissingMigration,
    NewerDatabase,
    Source,
    UnfinishedBackfill,
    backfills,
)
from tenfold.platform.db.embedded import Address

TABLE = "-- tenfold: expand\ncreate table notes (id integer primary key, body text not null, size integer);\n"
ROWS = "-- tenfold: expand\ninsert into notes select n, repeat('x', n) from generate_series(1, 25) n;\n"
INDEX = "-- tenfold: expand concurrently\ncreate unique index concurrently notes_body on notes (body);\n"
SIZES = """-- tenfold: backfill
with batch as (select id from notes where id > coalesce(:after::int, 0) order by id limit :batch),
     done as (update notes set size = length(body) from batch where notes.id = batch.id)
select max(id) from batch;
"""
TIGHTEN = "-- tenfold: contract\nalter table notes alter column size set not null;\n"

Write = Callable[..., Migrations]


@pytest.fixture
async def db(empty_address: Address) -> AsyncIterator[Database]:
    db = Database(empty_address.dsn, **empty_address.options)
    await db.open()
    yield db
    await db.close()


@pytest.fixture
def files(db: Database, tmp_path: Path) -> Write:
    """Write the files of one source, numbered in order, and answer with its migrations."""

    def write(*texts: str, names: tuple[str, ...] = ()) -> Migrations:
        for old in tmp_path.glob("*"):
            old.unlink()
        for number, text in enumerate(texts, start=1):
            name = names[number - 1] if names else f"{number:04}_step.sql"
            (tmp_path / name).write_text(text)
        return Migrations(db, [Source("notes", tmp_path)], lock_timeout=0.05)

    return write


async def value(db: Database, sql: str) -> object:
    async with db.read() as tx:
        return await tx.connection.fetchval(sql)


async def test_migrations_are_applied_once_and_in_order(files: Write, db: Database) -> None:
    """The ledger says what was done, so the second run does nothing."""
    migrations = files(TABLE, ROWS)

    first = await migrations.apply()
    second = await migrations.apply()

    assert [migration.label for migration in first] == ["notes/0001_step", "notes/0002_step"]
    assert (second, await migrations.pending()) == ([], [])
    assert [standing.state for standing in await migrations.status()] == ["applied", "applied"]
    assert await value(db, "select count(*) from notes") == 25


async def test_a_database_without_a_ledger_has_everything_pending(files: Write) -> None:
    """Asking changes nothing, not even by making the ledger."""
    migrations = files(TABLE)

    assert [standing.state for standing in await migrations.status()] == ["pending"]


async def test_a_failing_migration_leaves_nothing(files: Write, db: Database) -> None:
    """The earlier files stay applied; of the failing one no statement took effect, and the message names it."""
    broken = files(TABLE, "-- tenfold: expand\ncreate table extra ();\nselect 1 / 0;\n")

    with pytest.raises(MigrationFailed, match="notes/0002_step failed: division by zero"):
        await broken.apply()

    assert await value(db, "select to_regclass('extra')") is None
    assert [migration.number for migration in await broken.pending()] == [2]


async def test_two_runners_apply_each_migration_once(files: Write, db: Database) -> None:
    """Processes that start together wait for each other, also while one builds an index concurrently."""
    texts = (TABLE, ROWS, INDEX)
    one, two = files(*texts), files(*texts)

    applied = await asyncio.gather(one.apply(), two.apply())

    assert sorted(len(each) for each in applied) == [0, 3]


async def test_a_changed_file_is_refused(files: Write) -> None:
    """A file that was applied is history; changing it would make databases that differ."""
    await files(TABLE).apply()

    with pytest.raises(ChangedMigration, match="notes/0001_step"):
        await files(TABLE + "-- more\n").apply()


async def test_line_ends_are_no_change(files: Write) -> None:
    """A checkout on another system must not look like a changed history."""
    await files(TABLE).apply()

    assert await files(TABLE.replace("\n", "\r\n")).apply() == []


async def test_a_newer_database_is_refused(files: Write) -> None:
    """Old code on a newer schema would write what the new code no longer understands."""
    await files(TABLE, ROWS).apply()

    with pytest.raises(NewerDatabase, match="notes/0002_step"):
        await files(TABLE).status()


async def test_a_hole_in_the_ledger_is_refused(files: Write, db: Database) -> None:
    """A database that skipped a migration is not one that any version of the files made."""
    migrations = files(TABLE, ROWS)
    await migrations.apply()
    async with db.write() as tx:
        await tx.connection.execute("delete from schema_migrations where number = 1")

    with pytest.raises(MissingMigration, match="has had notes/0002 but not notes/0001"):
        await migrations.apply()


@pytest.mark.parametrize(
    ("texts", "names", "refusal"),
    [
        ((TABLE, ROWS), ("0001_a.sql", "0003_b.sql"), MissingMigration),
        ((TABLE, ROWS), ("0001_a.sql", "0001_b.sql"), MissingMigration),
        ((TABLE,), ("1_a.sql",), MalformedMigration),
        (("create table notes ();\n",), (), MalformedMigration),
        (("-- tenfold: expand concurrently\ncreate table notes ();\n",), (), MalformedMigration),
        (("-- tenfold: backfill\nupdate notes set size = 1;\n",), (), MalformedMigration),
    ],
    ids=["gap", "twice", "name", "tag", "not-repeatable", "backfill-without-cursor"],
)
async def test_disorderly_files_are_refused(
    files: Write, texts: tuple[str, ...], names: tuple[str, ...], refusal: type[Exception]
) -> None:
    """What the runner could not do safely it refuses before it touches the database."""
    migrations = files(*texts, names=names)

    with pytest.raises(refusal):
        await migrations.apply()


async def test_a_migration_waits_for_its_locks_without_blocking_readers(files: Write, db: Database) -> None:
    """A long transaction delays the migration; the readers that come meanwhile are not queued behind it for long."""
    await files(TABLE).apply()
    migrations = files(TABLE, "-- tenfold: expand\nalter table notes add column extra text;\n")
    async with db.write() as tx:
        await tx.connection.execute("insert into notes values (1, 'a', 1)")
        running = asyncio.create_task(migrations.apply())
        for _ in range(10):
            await asyncio.sleep(0.02)
            assert await value(db, "select count(*) from notes") == 0
        assert not running.done()

    applied = await running

    assert len(applied) == 1


async def test_an_index_is_built_outside_a_transaction(files: Write, db: Database) -> None:
    """`create index concurrently` refuses to run inside one."""
    await files(TABLE, ROWS, INDEX).apply()

    assert await value(db, "select indisvalid from pg_index where indexrelid = 'notes_body'::regclass") is True


async def test_an_index_that_a_failed_build_left_is_replaced(files: Write, db: Database) -> None:
    """A build that failed leaves an invalid index under the name; the next run drops it and builds again."""
    migrations = files(TABLE, "-- tenfold: expand\ninsert into notes values (1, 'a'), (2, 'a');\n", INDEX)
    with pytest.raises(MigrationFailed, match="notes/0003_step"):
        await migrations.apply()
    assert await value(db, "select indisvalid from pg_index where indexrelid = 'notes_body'::regclass") is False
    async with db.write() as tx:
        await tx.connection.execute("delete from notes where id = 2")

    await migrations.apply()

    assert await value(db, "select indisvalid from pg_index where indexrelid = 'notes_body'::regclass") is True


async def test_an_index_that_is_there_already_is_passed_by(files: Write, db: Database) -> None:
    """A kill between the build and its entry in the ledger must not make the next run fail."""
    await files(TABLE).apply()
    connection = await db.connect()
    await connection.execute("create unique index concurrently notes_body on notes (body)")
    await connection.close()

    assert len(await files(TABLE, ROWS, INDEX).apply()) == 2


async def test_a_new_database_is_complete_at_once(files: Write, db: Database) -> None:
    """There are no old rows to rewrite, so nothing has to wait for a worker."""
    migrations = files(TABLE, ROWS, SIZES, TIGHTEN)

    await migrations.apply()

    assert [standing.state for standing in await migrations.status()] == ["applied"] * 4
    assert await value(db, "select count(*) from notes where size = length(body)") == 25


async def test_a_contract_waits_for_its_backfill(files: Write, db: Database) -> None:
    """It is held back while old rows are being rewritten, and applied by the next run after the last batch."""
    await files(TABLE, ROWS).apply()
    migrations = files(TABLE, ROWS, SIZES, TIGHTEN)
    await migrations.apply()
    held = [standing.state for standing in await migrations.status()]
    with pytest.raises(UnfinishedBackfill, match="notes/0004_step"):
        await migrations.apply(strict=True)

    finished = await migrations.run_backfills()
    applied = await migrations.apply()

    assert held == ["applied", "applied", "running", "waiting"]
    assert finished is True
    assert [migration.number for migration in applied] == [4]


async def test_a_backfill_goes_on_where_it_was_killed(
    files: Write, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch and its position are one transaction: after a kill no row is skipped, and none is done twice."""
    monkeypatch.setattr(backfills, "BATCH", 10)
    await files(TABLE, ROWS).apply()
    counting = SIZES.replace("length(body)", "coalesce(size, 0) + 1")
    migrations = files(TABLE, ROWS, counting)
    await migrations.apply()
    [backfill] = [standing.migration for standing in await migrations.status() if standing.state == "running"]
    await db.transact(lambda tx: backfills._run_batch(tx, backfill))
    connection = await db.connect()
    killed = connection.transaction()
    await killed.start()
    await connection.execute("select 1 from schema_backfills for update")
    await connection.execute("update notes set size = 99")
    meanwhile = await migrations.run_backfills()
    connection.terminate()

    while not await migrations.run_backfills():
        await asyncio.sleep(0.01)

    assert meanwhile is False
    assert await value(db, "select count(*) from notes where size = 1") == 25
    assert await value(db, "select batches from schema_backfills") == 3


async def test_a_backfill_stops_when_its_time_is_up(files: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job that runs it comes back on its next turn, so a worker can stop in between."""
    monkeypatch.setattr(backfills, "BATCH", 1)
    await files(TABLE, ROWS).apply()
    migrations = files(TABLE, ROWS, SIZES)
    await migrations.apply()

    assert await migrations.run_backfills(seconds=0.01) is False
    assert await migrations.run_backfills() is True


async def test_the_houses_own_migrations_need_nothing_more(database: Database) -> None:
    """The template that every test copies is what the files say."""
    from tenfold.assembly import migration_sources

    assert await Migrations(database, migration_sources()).pending() == []


async def test_a_lost_connection_is_a_clear_failure(files: Write, db: Database) -> None:
    """The runner says which migration was cut off; nothing of it was kept."""
    migrations = files("-- tenfold: expand\nselect pg_terminate_backend(pg_backend_pid());\n")

    with pytest.raises(MigrationFailed, match="lost during the migration notes/0001_step"):
        await migrations.apply()
