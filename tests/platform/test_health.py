"""Health: each question is answered in time, whatever is wrong."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from tenfold.assembly import migration_sources
from tenfold.platform.db import Database, Migrations
from tenfold.platform.db.embedded import Address
from tenfold.platform.observe.health import Check, Question, ask, database_answers, disk_has_room, readiness


def verdicts(checks: Sequence[Check]) -> list[tuple[str, bool]]:
    return [(check.name, check.passed) for check in checks]


async def test_a_migrated_database_with_room_is_ready(database: Database, tmp_path: Path) -> None:
    """The three answers that a load balancer waits for, also before the data folder exists."""
    migrations = Migrations(database, migration_sources())

    checks = await readiness(database, migrations, tmp_path / "not" / "yet")

    assert verdicts(checks) == [("database", True), ("migrations", True), ("disk", True)]


async def test_an_empty_database_is_not_ready(empty_address: Address, tmp_path: Path) -> None:
    """Code that is newer than the schema must not take requests; the detail says what to do."""
    database = Database(empty_address.dsn, **empty_address.options)
    await database.open()

    _, migrations, _ = await readiness(database, Migrations(database, migration_sources()), tmp_path)
    await database.close()

    assert not migrations.passed
    assert "tenfold migrate" in migrations.detail


async def test_a_database_that_is_away_is_an_answer_too(database_address: Address) -> None:
    """The check says no; it does not fail."""
    database = Database(database_address.dsn, **database_address.options)
    await database.open()
    await database.close()

    (check,) = await ask([database_answers(database)])

    assert (check.name, check.passed) == ("database", False)


async def test_a_full_disk_is_not_ready(tmp_path: Path) -> None:
    """What is left and what is needed are named."""
    (check,) = await ask([disk_has_room(tmp_path, at_least=2**80)])

    assert not check.passed
    assert "MiB left" in check.detail


async def test_a_question_that_hangs_or_fails_is_answered_no() -> None:
    """A probe must never hang with what it probes, nor tell strangers what an exception said."""

    async def hang() -> Check:
        await asyncio.sleep(60)
        raise AssertionError

    async def fail() -> Check:
        raise LookupError("secret")

    slow, broken = await ask([Question("slow", hang), Question("broken", fail)], timeout=timedelta(seconds=0.05))

    assert slow == Check("slow", False, "no answer within 0.05 s")
    assert broken == Check("broken", False, "LookupError")
