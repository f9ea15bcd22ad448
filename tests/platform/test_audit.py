"""The audit log: what is appended is sealed once, in order, and cannot be changed unseen."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Conflict
from tenfold.platform import audit
from tenfold.platform.audit import Broken, Head, Line, Verdict
from tenfold.platform.audit.chain import seal_of
from tenfold.platform.audit.manifest import module
from tenfold.platform.db import Database, Write

ANA, BOB = new_id(), new_id()


async def append(tx: Write, number: int, **changed: Any) -> None:
    values = {"actor_id": ANA, "subject_id": BOB, "details": {"n": number}, "address": "192.0.2.1", **changed}
    await audit.append(tx, f"test.deed_{number}", **values)


async def append_and_seal(database: Database, count: int) -> None:
    async with database.write() as tx:
        for number in range(1, count + 1):
            await append(tx, number)
    assert await database.transact(audit.seal) == count


async def verify(database: Database, witness: Head | None = None) -> Verdict:
    async with database.read(snapshot=True) as tx:
        return await audit.verify(tx, witness=witness)


async def lines_of(database: Database, **filters: Any) -> list[Line]:
    async with database.read() as tx:
        return (await audit.list_lines(tx, limit=100, **filters)).items


@asynccontextmanager
async def tampering(database: Database) -> AsyncIterator[Write]:
    """The hand of somebody who owns the tables: no trigger stops it."""
    async with database.write() as tx:
        for table in ("audit_log", "audit_head"):
            await tx.connection.execute(f"alter table {table} disable trigger user")
        yield tx
        for table in ("audit_log", "audit_head"):
            await tx.connection.execute(f"alter table {table} enable trigger user")


async def test_a_line_is_in_the_log_exactly_when_its_deed_commits(database: Database) -> None:
    """A deed that failed was not done, and no line says it was."""
    with contextlib.suppress(Conflict):
        async with database.write() as tx:
            await append(tx, 1)
            raise Conflict
    async with database.write() as tx:
        await append(tx, 2, details={"session_id": ANA, "roles": ["user", "admin"], "tier": 3})

    (line,) = await lines_of(database)

    assert (line.deed, line.actor_id, line.subject_id, line.address) == ("test.deed_2", ANA, BOB, "192.0.2.1")
    assert line.details == {"session_id": str(ANA), "roles": ["user", "admin"], "tier": 3}
    assert (line.number, line.hash) == (None, None)
    assert abs((line.at - datetime.now(UTC)).total_seconds()) < 60


async def test_mail_addresses_stay_out_of_the_log(database: Database) -> None:
    """The log outlives the people in it, so it names them by ids that mean nothing once they are erased."""
    async with database.write() as tx:
        with pytest.raises(ValueError, match="e-mail"):
            await append(tx, 1, details={"changes": [{"from": "ana@example.org"}]})
        await append(tx, 2, details={"reason": "wrote to @bob and to others@example.org about it"})


async def test_sealing_chains_lines_without_gaps(database: Database) -> None:
    """Each line has its number, and a hash over the hash before it."""
    await append_and_seal(database, 3)
    async with database.write() as tx:
        await append(tx, 4)
    assert await database.transact(audit.seal) == 1
    assert await database.transact(audit.seal) == 0

    lines = (await lines_of(database))[::-1]
    verdict = await verify(database)

    assert [line.number for line in lines] == [1, 2, 3, 4]
    previous = bytes(32)
    for number, line in enumerate(lines, 1):
        assert line.hash == seal_of(line, number, previous)
        previous = line.hash
    assert verdict == Verdict(4, 0, Head(4, previous), None)


def test_what_is_hashed_never_changes() -> None:
    """A chain that was sealed by an older version must verify under every later one."""
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    line = Line(UUID(int=1), at, "feed.deed", None, UUID(int=2), "192.0.2.1", {"b": [1, "ü"], "a": None}, 7, b"")
    canonical = (
        '[7,"00000000-0000-0000-0000-000000000001","2026-01-02T03:04:05.678000Z","feed.deed",null,'
        '"00000000-0000-0000-0000-000000000002","192.0.2.1",{"a":null,"b":[1,"ü"]}]'
    )

    assert seal_of(line, 7, b"\x01" * 32) == sha256(b"\x01" * 32 + canonical.encode()).digest()


async def test_an_empty_log_holds(database: Database) -> None:
    """A new installation has nothing to hide."""
    assert await verify(database) == Verdict(0, 0, Head(0, bytes(32)), None)


async def test_a_slow_transaction_gets_its_place_when_it_commits(database: Database) -> None:
    """Lines commit out of order; none is skipped, and no place is given twice."""
    async with database.write() as slow:
        await append(slow, 1)
        async with database.write() as fast:
            await append(fast, 2)
        assert await database.transact(audit.seal) == 1
    assert await database.transact(audit.seal) == 1

    lines = await lines_of(database)

    assert [(line.deed, line.number) for line in lines] == [("test.deed_2", 1), ("test.deed_1", 2)]
    assert (await verify(database)).broken is None


async def test_many_processes_seal_one_chain(database: Database) -> None:
    """Whoever holds the lock seals; the others leave it to him, and nothing is sealed twice or lost."""

    async def write(start: int) -> None:
        for number in range(start, start + 10):
            async with database.write() as tx:
                await append(tx, number)

    async def keep_sealing() -> int:
        return sum([await database.transact(audit.seal) for _ in range(20)])

    *_, one, two, three = await asyncio.gather(
        *[write(start) for start in range(0, 50, 10)], *[keep_sealing() for _ in range(3)]
    )
    rest = await database.transact(audit.seal)

    verdict = await verify(database)
    assert one + two + three + rest == 50
    assert (verdict.lines, verdict.unsealed, verdict.broken) == (50, 0, None)


async def test_more_lines_than_a_batch_are_sealed_and_verified(database: Database) -> None:
    """After an outage of the clock, one sealing catches up."""
    async with database.write() as tx:
        await tx.connection.execute(
            "insert into audit_log (id, at, deed, details)"
            " select gen_random_uuid(), now(), 'test.bulk', '{}' from generate_series(1, 2500)"
        )

    assert await database.transact(audit.seal) == 2500

    verdict = await verify(database)
    assert (verdict.lines, verdict.broken) == (2500, None)


async def test_unsealed_lines_are_counted(database: Database) -> None:
    """A number that keeps growing says that the clock has stopped."""
    async with database.write() as tx:
        await append(tx, 1)

    assert (await verify(database)).unsealed == 1


FORBIDDEN = [
    "update audit_log set deed = 'nothing' where number = 2",
    "update audit_log set details = '{}' where number is null",
    "update audit_log set number = null, hash = null where number = 2",
    "update audit_log set hash = 'x' where number = 2",
    "update audit_log set number = 9, hash = 'x', actor_id = subject_id where number is null",
    "delete from audit_log where number = 2",
    "delete from audit_log where number is null",
    "truncate audit_log",
    "insert into audit_log (id, at, deed, details, number, hash) values (gen_random_uuid(), now(), 'x', '{}', 9, 'x')",
    "update audit_head set hash = 'x'",
    "update audit_head set number = 1",
    "delete from audit_head",
    "truncate audit_head",
    "insert into audit_head values (true, 9, 'x')",
]


async def test_the_database_refuses_every_change(database: Database) -> None:
    """Not even a mistake in our own code can change what was written."""
    await append_and_seal(database, 3)
    async with database.write() as tx:
        await append(tx, 4)

    for statement in FORBIDDEN:
        with pytest.raises(asyncpg.RestrictViolationError):
            async with database.write() as tx:
                await tx.connection.execute(statement)

    verdict = await verify(database)
    assert (verdict.lines, verdict.unsealed, verdict.broken) == (3, 1, None)


TAMPERED = [
    ("update audit_log set deed = 'test.nothing' where number = 2", 2, "changed"),
    ("update audit_log set actor_id = null where number = 1", 1, "changed"),
    ("update audit_log set at = at + interval '1 microsecond' where number = 4", 4, "changed"),
    ("update audit_log set details = '{\"n\": 22}' where number = 2", 2, "changed"),
    ("update audit_log set hash = decode(repeat('ab', 32), 'hex') where number = 3", 3, "changed"),
    ("delete from audit_log where number = 1", 1, "missing"),
    ("delete from audit_log where number in (2, 3)", 2, "missing"),
    ("update audit_log set number = null, hash = null where number = 2", 2, "missing"),
    ("delete from audit_log where number > 2", 3, "cut off"),
    ("delete from audit_log", 1, "cut off"),
    ("update audit_log set number = number + 1 where number = 4", 4, "missing"),
    ("insert into audit_log values (gen_random_uuid(), now(), 'x', null, null, null, '{}', 5, 'x')", 5, "forged"),
    ("insert into audit_log values (gen_random_uuid(), now(), 'x', null, null, null, '{}', 0, 'x')", 0, "forged"),
    ("update audit_head set number = 9", 5, "cut off"),
    ("update audit_head set number = 2", 3, "forged"),
    ("update audit_head set hash = 'x'", 4, "changed"),
]


async def test_tampering_is_found_where_it_begins(database: Database) -> None:
    """Whoever goes around the database's refusals leaves a chain that does not hold from that place on."""
    await append_and_seal(database, 4)

    for statement, number, problem in TAMPERED:
        with contextlib.suppress(Conflict):
            async with tampering(database) as tx:
                await tx.connection.execute(statement)

                broken = (await audit.verify(tx)).broken
                assert broken is not None, statement
                assert (broken.number, broken.problem) == (number, problem), statement
                raise Conflict

    assert (await verify(database)).broken is None


async def test_a_rewritten_chain_is_found_by_a_witness(database: Database) -> None:
    """Somebody who seals everything anew has a chain that holds; a head from last week's logs is not in it."""
    await append_and_seal(database, 3)
    witness = (await verify(database)).head
    async with tampering(database) as tx:
        await tx.connection.execute("update audit_head set number = 0, hash = decode(repeat('00', 32), 'hex')")
        await tx.connection.execute("update audit_log set number = null, hash = null, actor_id = null")
    await database.transact(audit.seal)
    async with database.write() as tx:
        await append(tx, 4)
    await database.transact(audit.seal)

    assert (await verify(database)).broken is None
    broken = (await verify(database, witness)).broken
    assert broken is not None
    assert (broken.number, broken.problem) == (3, "not the witness")


async def test_a_chain_cut_behind_its_witness_is_found(database: Database) -> None:
    """Cutting the end off together with the head shows against a head that was noted before."""
    await append_and_seal(database, 3)
    witness = (await verify(database)).head
    second = next(line for line in await lines_of(database) if line.number == 2)
    async with tampering(database) as tx:
        await tx.connection.execute("delete from audit_log where number = 3")
        await tx.connection.execute("update audit_head set number = 2, hash = $1", second.hash)

    assert (await verify(database)).broken is None
    assert (await verify(database, witness)).broken == Broken(3, "cut off")


async def test_the_log_is_paged_newest_first(database: Database) -> None:
    """Lines that come while one pages do not shift the pages."""
    await append_and_seal(database, 5)

    async with database.read() as tx:
        first = await audit.list_lines(tx, limit=2)
        async with database.write() as late:
            await append(late, 6)
        second = await audit.list_lines(tx, limit=2, cursor=first.next)
        third = await audit.list_lines(tx, limit=2, cursor=second.next)

    deeds = [[line.deed[-1] for line in page.items] for page in (first, second, third)]
    assert deeds == [["5", "4"], ["3", "2"], ["1"]]
    assert third.next is None


async def test_lines_are_found_by_who_did_it_and_to_whom(database: Database) -> None:
    """Support asks what happened to an account, an auditor what an admin did."""
    async with database.write() as tx:
        await append(tx, 1, actor_id=ANA, subject_id=BOB)
        await append(tx, 2, actor_id=BOB, subject_id=BOB)
        await append(tx, 3, actor_id=None, subject_id=ANA)

    assert [line.deed[-1] for line in await lines_of(database, about=BOB)] == ["2", "1"]
    assert [line.deed[-1] for line in await lines_of(database, by=ANA)] == ["1"]


def test_the_clock_seals_every_second() -> None:
    """A line is part of the chain a second or so after its deed."""
    (job,) = module.all_jobs()

    assert (job.name, str(job.every)) == ("audit.seal_lines", "0:00:01")


async def test_the_job_seals(database: Database) -> None:
    """What the clock runs is the sealing."""
    async with database.write() as tx:
        await append(tx, 1)

    async with database.write() as tx:
        await module.all_jobs()[0](tx)

    assert (await verify(database)).lines == 1
