"""The Postgres engine: PgQueuer's tables, written and picked by our own statements (docs/decisions/0003 says why)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from tenfold.kit.pages import Page, cut, from_cursor
from tenfold.platform.db import Database, Write
from tenfold.platform.events import Fact
from tenfold.platform.jobs import DeadJob, Depth, Enqueued, Failure, JobQueue, Picked, queries
from tenfold.platform.jobs.queries import Schedule
from tenfold.platform.jobs.registry import UNKNOWN, UNKNOWN_FOR, Registry
from tenfold.platform.jobs.rhythm import name_of, next_after

_LARGEST_ID = 2**63 - 1


class Queue(JobQueue):
    """The queue of an installation, in its database."""

    def __init__(self, db: Database, registry: Registry) -> None:
        super().__init__(registry.by_name)
        self.registry = registry
        self._db = db
        self._rhythms = {job.name: job.every for job in registry.on_clock() if job.every is not None}
        self._next_tick: datetime | None = None

    async def write(self, tx: Write, jobs: Sequence[Enqueued], facts: Sequence[Fact]) -> int:
        """One statement, whatever the number of jobs; none when nobody follows."""
        return await queries.insert_jobs.each(tx, self.registry.rows(tx.now, jobs, facts))

    async def pick(self, worker: UUID, room: int, silence: timedelta) -> list[Picked]:
        """In a transaction of its own; jobs whose row somebody has locked are passed over."""
        async with self._db.write() as tx:
            await queries.forbid_sorting(tx)
            picked = await queries.pick_jobs(
                tx, worker=worker, room=room, silence=silence, known=self.registry.names, now=tx.now
            )
        return sorted(picked, key=lambda job: (-job.priority, job.id))

    async def finish(self, tx: Write, worker: UUID, picked: Picked) -> bool:
        """Delete the job's row: it stays locked until the transaction ends, so nobody can pick it meanwhile."""
        if not await queries.delete_picked(tx, id=picked.id, worker=worker):
            return False
        if picked.key is None:
            return True
        return bool(await queries.insert_effect(tx, job=picked.job, key=picked.key, now=tx.now))

    async def keep(self, tx: Write) -> None:
        """Wait for the disk after all."""
        await queries.wait_for_disk(tx)

    async def fail(self, worker: UUID, picked: Picked, failure: Failure, *, retry_at: datetime | None) -> None:
        """Keep the last failure in the row itself, so that a dead letter tells its own story."""
        error = {"error": msgspec.to_builtins(failure)}
        async with self._db.write() as tx:
            if retry_at is not None:
                await queries.retry_job(tx, id=picked.id, worker=worker, error=error, retry_at=retry_at, now=tx.now)
                return
            await queries.hold_job(tx, id=picked.id, worker=worker, error=error, now=tx.now)
            if picked.job in self._rhythms:
                await queries.drop_dead_before(tx, job=picked.job, id=picked.id)

    async def put_back(self, worker: UUID, ids: Sequence[int]) -> None:
        """Make these jobs, if they are still this worker's, due again."""
        if ids:
            async with self._db.write() as tx:
                await queries.put_back(tx, worker=worker, ids=list(ids))

    async def beat(self, worker: UUID, ids: Sequence[int]) -> None:
        """Renew the sign of life of these rows, except those that are locked by their own transactions."""
        if ids:
            async with self._db.write() as tx:
                await queries.beat(tx, worker=worker, ids=list(ids))

    async def tick(self, since: datetime) -> int:
        """There is no leader to lose: whoever locks a due schedule moves it and writes its job, in one transaction."""
        if not self._rhythms or (self._next_tick is not None and self._db.clock.now() < self._next_tick):
            return 0
        async with self._db.write() as tx:
            if self._next_tick is None:
                await self._plant(tx, since)
            due = await queries.claim_due(tx, now=tx.now, known=list(self._rhythms))
            await queries.move_schedules.each(tx, [self._schedule(one.job, one.next_at, tx.now) for one in due])
            jobs = [Enqueued(job=self.registry.by_name[one.job]) for one in due if not one.is_busy]
            await self.write(tx, jobs, ())
            coming = await queries.list_schedules(tx, known=list(self._rhythms))
        self._next_tick = min(schedule.next_at for schedule in coming)
        return len(jobs)

    async def list_dead(self, limit: int = 20, cursor: str | None = None) -> Page[DeadJob]:
        """A page of dead letters by falling id, through an index that holds nothing else."""
        before = from_cursor(cursor, int)
        async with self._db.read() as tx:
            rows = await queries.list_dead(tx, before=_LARGEST_ID if before is None else before, room=limit + 1)
        return cut(rows, limit, lambda dead: dead.id)

    async def replay(self, ids: Sequence[int] = (), *, job: str | None = None) -> int:
        """Queue dead letters again, and rouse the workers."""
        async with self._db.write() as tx:
            count = await queries.replay_ids(tx, ids=list(ids), now=tx.now) if ids else 0
            if job is not None:
                count += await queries.replay_all_of(tx, job=job, now=tx.now)
        self.wake()
        return count

    async def drop(self, ids: Sequence[int]) -> int:
        """Delete dead letters."""
        async with self._db.write() as tx:
            return await queries.drop_dead(tx, ids=list(ids))

    async def depths(self) -> list[Depth]:
        """One scan over what is due and what is dead."""
        async with self._db.read() as tx:
            return await queries.list_depths(tx, now=tx.now)

    async def bury_unknown(self) -> int:
        """Make jobs that nobody has declared for an hour dead letters."""
        error = {"error": msgspec.to_builtins(UNKNOWN)}
        async with self._db.write() as tx:
            return await queries.bury_unknown(
                tx, known=self.registry.names, before=tx.now - UNKNOWN_FOR, now=tx.now, error=error
            )

    async def _plant(self, tx: Write, since: datetime) -> None:
        await queries.plant_schedules.each(tx, [self._schedule(name, since, since) for name in self._rhythms])

    def _schedule(self, name: str, last: datetime, now: datetime) -> Schedule:
        rhythm = self._rhythms[name]
        return Schedule(name, name_of(rhythm), next_after(rhythm, last, now))
