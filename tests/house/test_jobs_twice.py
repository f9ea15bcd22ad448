"""Every job twice is the job once: whatever follows from a lively life is delivered again, and nothing changes."""

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from tenfold.assembly import MODULES
from tenfold.platform.db.embedded import Address
from tenfold.platform.jobs import Picked
from tenfold.platform.jobs.queries import insert_jobs
from tenfold.platform.jobs.registry import Row
from tenfold.platform.jobs.runner import Runner
from tests.house.lively import SETTINGS, Life
from tests.world import World, worlds

QUEUE_MODULES = ("jobs", "bus")
TABLES = sorted(table for module in MODULES if module.name not in QUEUE_MODULES for table in module.homes)
STATE = " union all ".join(
    f"select '{table}' as name, (select md5(string_agg(row::text, '|' order by row::text)) from {table} row) as hash"
    for table in TABLES
)
AT_ONCE = timedelta(seconds=15)


async def state_of(world: World) -> Mapping[str, str]:
    """A digest of every row of every table, but for the queue's own."""
    async with world.db.read() as tx:
        return dict(await tx.connection.fetch(STATE))


@dataclass
class Doubter:
    """A worker who does everything twice, and looks whether anybody could tell."""

    world: World
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    ran: set[str] = field(default_factory=set)
    seen: dict[tuple[str, bytes | None], Picked] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    mailed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        house = self.world.house
        self.queue = house.queue
        self.runner = Runner(house.db, house.queue, house.parts)
        self.since = self.world.clock.now()

    async def drain(self) -> None:
        """Run all that is due, and what follows from it."""
        await self.queue.tick(self.since)
        while picked := await self.pick():
            for job in picked:
                await self.run(job)
            await self.queue.tick(self.since)

    async def pick(self) -> list[Picked]:
        return await self.queue.pick(self.id, 100, AT_ONCE)

    async def run(self, job: Picked) -> None:
        assert await self.deliver(job) == "done", job
        self.ran.add(job.job)
        known = (job.job, job.payload)
        if known not in self.seen or self.queue.jobs[job.job].every is not None:
            self.seen[known] = job
            await self.repeat(job)

    async def repeat(self, job: Picked) -> None:
        """Deliver it again: without a key, as after a crash; then twice with one key, as by an eager caller."""
        before, mails = await state_of(self.world), len(self.world.mails)
        sent = [mail for mail in self.world.mails[-1:] if job.job.startswith("identity.send")]
        await self.requeue(job, [None])
        assert await self.deliver_own(job) == ["done"]
        self.note(job, before, await state_of(self.world))
        again = self.world.mails[mails:]
        if again and [mail.text for mail in again] != [mail.text for mail in sent]:
            self.mailed.append(f"{job.job}: another mail than before")
        mails = len(self.world.mails)
        await self.requeue(job, ["once", "once"])
        assert sorted(await self.deliver_own(job)) == ["done", "skipped"]
        self.note(job, before, await state_of(self.world))
        if len(self.world.mails) - mails > len(again):
            self.mailed.append(f"{job.job}: two mails for one key")

    def note(self, job: Picked, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        self.changed += [f"{job.job} changes {table}" for table in before if before[table] != after[table]]

    async def requeue(self, job: Picked, keys: list[str | None]) -> None:
        """Put a delivered job back into the queue, ahead of all others."""
        nonce = uuid.uuid4().hex
        now = self.world.clock.now()
        rows = []
        for key in keys:
            headers = {name: value for name, value in (job.headers or {}).items() if name != "key"}
            headers |= {} if key is None else {"key": f"{key} {nonce}"}
            rows.append(Row(2**31 - 1, now, job.job, job.payload, headers or None))
        async with self.world.db.write() as tx:
            await insert_jobs.each(tx, rows)

    async def deliver_own(self, job: Picked) -> list[str]:
        """Deliver what was put back, and nothing else."""
        picked = await self.pick()
        own = [one for one in picked if one.priority == 2**31 - 1]
        await self.queue.put_back(self.id, [one.id for one in picked if one not in own])
        assert {(one.job, one.payload) for one in own} == {(job.job, job.payload)}
        return [await self.deliver(one) for one in own]

    async def deliver(self, job: Picked) -> str:
        outcome = await self.runner.run(self.id, job)
        if outcome.error is not None:
            raise outcome.error
        return outcome.ending


@pytest.fixture
async def doubter(database_address: Address, tmp_path: Path) -> AsyncIterator[Doubter]:
    async with worlds(database_address, tmp_path, settings=SETTINGS) as world:
        yield Doubter(world)


async def test_every_job_twice_is_the_job_once(doubter: Doubter) -> None:
    """A crash may repeat a follow-up; it may never do it again to somebody's posts, counters, mailbox or account."""
    await Life(doubter.world, doubter.drain).live()

    declared = {job.name for module in MODULES for job in module.all_jobs()}
    assert declared - doubter.ran == set()
    assert sorted(set(doubter.changed)) == []
    assert sorted(set(doubter.mailed)) == []


async def test_a_follow_up_that_comes_late_does_no_harm(doubter: Doubter) -> None:
    """One that failed is tried again when the world has moved on: it must go by what is true then."""
    life = Life(doubter.world, doubter.drain)
    for act in (life.write, life.talk, life.quarrel, life.change_accounts, life.leave):
        await act()
    followers = [job for job in doubter.seen.values() if doubter.queue.jobs[job.job].fact is not None]

    doubter.changed.clear()
    for job in reversed(followers):
        before = await state_of(doubter.world)
        await doubter.requeue(job, [None])
        assert await doubter.deliver_own(job) == ["done"]
        doubter.note(job, before, await state_of(doubter.world))

    assert sorted(set(doubter.changed)) == []
