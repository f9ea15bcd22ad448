"""What only the Postgres engine can show: its tables are PgQueuer's, and a killed worker loses and repeats nothing."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest

import tenfold
from tenfold.platform.announcer import Announcer
from tenfold.platform.db import Database, Write
from tenfold.platform.db.announcements import Announcements
from tenfold.platform.db.embedded import Address
from tenfold.platform.jobs import queries
from tenfold.platform.jobs.pgqueuer import Queue
from tenfold.platform.jobs.registry import Registry
from tests.platform import jobs_world as shop
from tests.platform.jobs_victim import FOLLOWERS, Happened
from tests.platform.jobs_world import PostPublished, Word, Workshop, workshop

MIGRATION = Path(tenfold.__file__).parent / "platform/jobs/migrations/0001_pgqueuer.sql"


@pytest.fixture
async def work(shared_database: Database) -> Workshop:
    async with shared_database.write() as tx:
        await tx.connection.execute("truncate pgqueuer, job_effects, job_schedules restart identity")
    return workshop("postgres", shared_database)


def test_the_tables_are_those_that_the_installed_pgqueuer_prints() -> None:
    """An upgrade of the library that changes its tables is found here; only its trigger is left out."""
    printed = [
        subprocess.run(
            [sys.executable, "-m", "pgqueuer", "sql", *words], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        for words in (["install", "--durability", "balanced"], ["autovac"])
    ]
    before, function, rest = printed[0].partition("CREATE FUNCTION fn_pgqueuer_changed()")

    ours = _statements(MIGRATION.read_text())

    assert function
    assert "CREATE TRIGGER" in rest
    assert ours == _statements(before + printed[1])


async def test_pgqueuer_itself_understands_our_queue(work: Workshop) -> None:
    """Its tools can be pointed at the database: what we queue it counts, and what we hold it lists and requeues."""
    from pgqueuer.queries import Queries

    work.diary.broken |= {"oops"}
    async with work.db.write() as tx:
        tx.enqueue(shop.call_out, Word("later"), delay=timedelta(hours=1))
        tx.enqueue(shop.count, Word("not a number"))
    await work.drain()
    connection = await asyncpg.connect(work.db.dsn, **work.db.options)
    try:
        library = Queries.from_asyncpg_connection(connection)

        sizes = {(one.entrypoint, one.status): one.count for one in await library.queue_size()}
        failed = await library.list_failed_jobs()
        await library.requeue_jobs([one.id for one in failed])
        await library.enqueue("shop.say", b'{"text":"from the library"}')
    finally:
        await connection.close()
    await work.drain()

    assert sizes == {("shop.call_out", "queued"): 1, ("shop.count", "failed"): 1}
    assert [one.entrypoint for one in failed] == ["shop.count"]
    assert "from the library" in work.diary.lines


async def test_a_job_in_its_transaction_cannot_be_taken_away(work: Workshop) -> None:
    """Its row is locked while it runs, so a worker that was late with its sign of life keeps what it is doing."""
    await work.enqueue(shop.wait, Word("long"))
    running = asyncio.create_task(work.drain())
    await asyncio.wait_for(work.diary.entered.wait(), 5)

    taken = await work.queue.pick(uuid4(), 10, timedelta(0))
    work.diary.gate.set()
    await running

    assert taken == []
    assert work.diary.lines == ["long"]


async def test_an_unknown_job_waits_an_hour_for_a_worker_that_knows_it(work: Workshop) -> None:
    """During a rolling upgrade the old workers leave the new jobs alone; later they become dead letters."""
    await work.enqueue(shop.say, Word("new"))
    old = Queue(work.db, Registry(declared for declared in shop.JOBS.values() if declared is not shop.say))

    assert await old.pick(uuid4(), 10, timedelta(minutes=1)) == []
    assert await old.bury_unknown() == 0
    work.clock.advance(timedelta(hours=2))
    assert await old.bury_unknown() == 1

    [dead] = (await old.list_dead()).items
    assert (dead.job, dead.type) == ("shop.say", "UnknownJob")
    await work.queue.replay([dead.id])
    await work.drain()
    assert "new" in work.diary.lines


async def test_a_fact_with_two_followers_costs_one_statement(work: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many facts and jobs a transaction announces, they are written together; without any, nothing is."""
    sent: list[str] = []
    fetch = asyncpg.Connection.execute

    async def counted(self: asyncpg.Connection, query: str, *arguments: object, **options: object) -> str:
        sent.append(query)
        return await fetch(self, query, *arguments, **options)

    monkeypatch.setattr(asyncpg.Connection, "execute", counted)
    async with work.db.write() as tx:
        await tx.connection.fetchval("select 1")
    silent = [query for query in sent if "insert" in query]
    async with work.db.write() as tx:
        tx.publish(PostPublished(author="ana", text="one"))
        tx.publish(PostPublished(author="bob", text="two"))
        tx.enqueue(shop.say, Word("three"))

    assert silent == []
    assert len([query for query in sent if "insert" in query]) == 1


async def test_only_what_is_told_with_a_number_waits_for_the_disk(
    work: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash that forgets a job repeats it; a number that listeners have must not be given to something else then."""
    waits: dict[bool, str] = {}
    written = Announcer.write

    async def look(self: Announcer, tx: Write, announcements: Announcements) -> None:
        if announcements.callbacks:  # that a job writes into the diary
            waits[announcements.has_numbers] = await tx.connection.fetchval("show synchronous_commit")
        await written(self, tx, announcements)

    await work.enqueue(shop.say, Word("plain"))
    await work.enqueue(shop.number, Word("numbered"))
    monkeypatch.setattr(Announcer, "write", look)
    await work.drain()

    assert waits == {False: "off", True: "on"}


async def test_picking_reads_a_few_rows_however_many_wait(work: Workshop) -> None:
    """The planner knows nothing of a table that was empty a second ago; it must not sort all that waits."""
    async with work.db.write() as tx:
        for number in range(2_000):
            tx.enqueue(shop.count, shop.Number(number))
    given = {
        "worker": uuid4(),
        "room": 10,
        "silence": timedelta(minutes=1),
        "now": work.clock.now(),
        "known": list(work.queue.jobs),
    }

    async with work.db.write() as tx:
        await queries.forbid_sorting(tx)
        sql, names = queries.pick_jobs.sql, queries.pick_jobs.parameters
        plan = await tx.connection.fetch(f"explain {sql}", *[given[name] for name in names])

    text = "\n".join(row[0] for row in plan)
    assert "Backward using pgqueuer_priority_id_id1_idx" in text
    assert "Sort" not in text


async def test_a_schedule_follows_its_declaration(work: Workshop) -> None:
    """A rhythm that was changed in the code starts anew; one that was not keeps its phase."""
    await work.drain()
    async with work.db.write() as tx:
        await tx.connection.execute("update job_schedules set rhythm = 'every 1 s', next_at = '2100-01-01'")

    again = workshop("postgres", work.db)
    again.clock.advance(timedelta(minutes=11))
    await again.worker.drain()

    assert again.diary.lines == ["sweep"]


@pytest.fixture
async def effects(database: Database) -> None:
    """A table in which a job leaves a line for each time it takes effect."""
    async with database.write() as tx:
        await tx.connection.execute("create table effects (follower text not null, number int not null)")


async def test_a_worker_that_is_killed_at_any_point_loses_and_repeats_nothing(
    database: Database, database_address: Address, effects: None
) -> None:
    """Kill -9, again and again, while facts are stated: in the end each follower has followed each fact once."""
    queue = Queue(database, Registry(FOLLOWERS))
    chance = random.Random(7)
    stated = 0
    for _ in range(4):
        victim = _start_victim(database_address)
        try:
            for _ in range(4):
                async with database.write() as tx:
                    facts = [Happened(number=stated + n) for n in range(25)]
                    await queue.write(tx, [], facts)
                stated += 25
                await asyncio.sleep(chance.uniform(0.0, 0.15))
            await _until_it_works(database, victim)
            await asyncio.sleep(chance.uniform(0.0, 0.1))
        finally:
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
    last = _start_victim(database_address)
    try:
        await _until_empty(database)
    finally:
        last.kill()
        last.wait()

    async with database.read() as tx:
        rows = await tx.connection.fetch("select follower, number, count(*) as times from effects group by 1, 2")
    assert len(rows) == stated * len(FOLLOWERS)
    assert {row["times"] for row in rows} == {1}


def _start_victim(address: Address) -> subprocess.Popen[bytes]:
    where = msgspec.json.encode([address.dsn, dict(address.options)]).decode()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.platform.jobs_victim", where],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
    )


async def _until_it_works(database: Database, victim: subprocess.Popen[bytes]) -> None:
    """Wait until the victim has done something, so that it is killed in the midst of its work."""
    async with asyncio.timeout(30):
        before = await _count(database, "effects")
        while await _count(database, "effects") == before and await _count(database, "pgqueuer"):
            assert victim.poll() is None
            await asyncio.sleep(0.01)


async def _until_empty(database: Database) -> None:
    async with asyncio.timeout(60):
        while await _count(database, "pgqueuer"):
            await asyncio.sleep(0.05)


async def _count(database: Database, table: str) -> int:
    async with database.read() as tx:
        return await tx.connection.fetchval(f"select count(*) from {table}")


def _statements(sql: str) -> list[str]:
    lines = [line for line in sql.splitlines() if not line.startswith("--")]
    return [" ".join(statement.split()) for statement in "\n".join(lines).split(";") if statement.strip()]
