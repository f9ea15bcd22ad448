"""The memory twin of the queue: the same promise in one process, forgotten when it ends. For tests, and to try out."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from tenfold.kit.clock import Clock
from tenfold.kit.pages import Page, cut, from_cursor
from tenfold.platform.db import Write
from tenfold.platform.events import Fact
from tenfold.platform.jobs import DeadJob, Depth, Enqueued, Failure, JobQueue, Picked
from tenfold.platform.jobs.registry import UNKNOWN, UNKNOWN_FOR, Registry, Row
from tenfold.platform.jobs.rhythm import next_after


@dataclass(slots=True)
class _Kept:
    """A job, and where it stands."""

    id: int
    row: Row
    due: datetime
    status: Literal["queued", "picked", "dead"] = "queued"
    failures: int = 0
    worker: UUID | None = None
    beat_at: float = 0.0
    failure: Failure | None = None
    died_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str] | None:
        key = (self.row.headers or {}).get("key")
        return None if key is None else (self.row.entrypoint, key)


class MemoryQueue(JobQueue):
    """The queue of one process."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        super().__init__(registry.by_name)
        self.registry = registry
        self._clock = clock
        self._ids = itertools.count(1)
        self._kept: dict[int, _Kept] = {}
        self._effects: set[tuple[str, str]] = set()
        self._next_at: dict[str, datetime] = {}

    async def write(self, tx: Write, jobs: Sequence[Enqueued], facts: Sequence[Fact]) -> int:
        """Have the transaction's commit queue them."""
        rows = self.registry.rows(tx.now, jobs, facts)
        tx.on_commit(lambda: self._add(rows))
        return len(rows)

    async def pick(self, worker: UUID, room: int, silence: timedelta) -> list[Picked]:
        """Of two jobs with one key, the second is not picked while the first runs."""
        self._orphan(silence)
        held = {kept.key for kept in self._kept.values() if kept.status == "picked"}
        picked: list[_Kept] = []
        for kept in sorted(self._due(), key=lambda kept: (-kept.row.priority, kept.id)):
            if len(picked) == room:
                break
            if kept.row.entrypoint in self.jobs and (kept.key is None or kept.key not in held):
                kept.status, kept.worker, kept.beat_at = "picked", worker, time.monotonic()
                held.add(kept.key)
                picked.append(kept)
        return [_picked(kept) for kept in picked]

    async def finish(self, tx: Write, worker: UUID, picked: Picked) -> bool:
        """Have the transaction's commit remove the job."""
        kept = self._mine(worker, picked.id)
        if kept is None:
            return False
        key = kept.key
        tx.on_commit(lambda: self._remove(kept))
        return key is None or key not in self._effects

    async def keep(self, tx: Write) -> None:
        """Its transactions never promise less."""

    async def fail(self, worker: UUID, picked: Picked, failure: Failure, *, retry_at: datetime | None) -> None:
        """Keep the failure beside the job."""
        kept = self._mine(worker, picked.id)
        if kept is None:
            return
        kept.worker, kept.failure, kept.failures = None, failure, kept.failures + 1
        if retry_at is not None:
            kept.status, kept.due = "queued", retry_at
            return
        kept.status, kept.died_at = "dead", self._clock.now()
        if self.jobs[picked.job].every is not None:
            earlier = [dead.id for dead in self._dead() if dead.row.entrypoint == picked.job and dead.id < kept.id]
            await self.drop(earlier)

    async def put_back(self, worker: UUID, ids: Sequence[int]) -> None:
        """Make them due again."""
        for kept in filter(None, (self._mine(worker, number) for number in ids)):
            kept.status, kept.worker = "queued", None

    async def beat(self, worker: UUID, ids: Sequence[int]) -> None:
        """Note the instant."""
        for kept in filter(None, (self._mine(worker, number) for number in ids)):
            kept.beat_at = time.monotonic()

    async def tick(self, since: datetime) -> int:
        """There is one process, and so one clock."""
        now, due = self._clock.now(), []
        for job in self.registry.on_clock():
            rhythm = job.every or ""
            at = self._next_at.setdefault(job.name, next_after(rhythm, since, since))
            if at <= now:
                self._next_at[job.name] = next_after(rhythm, at, now)
                if not any(kept.row.entrypoint == job.name and kept.status != "dead" for kept in self._kept.values()):
                    due.append(Enqueued(job=job))
        self._add(self.registry.rows(now, due, ()))
        return len(due)

    async def list_dead(self, limit: int = 20, cursor: str | None = None) -> Page[DeadJob]:
        """By falling id."""
        before = from_cursor(cursor, int)
        dead = sorted(self._dead(), key=lambda kept: -kept.id)
        rows = [_dead_job(kept) for kept in dead if before is None or kept.id < before]
        return cut(rows[: limit + 1], limit, lambda job: job.id)

    async def replay(self, ids: Sequence[int] = (), *, job: str | None = None) -> int:
        """Queue them again, and rouse the workers."""
        chosen = [kept for kept in self._dead() if kept.id in ids or kept.row.entrypoint == job]
        for kept in chosen:
            kept.status, kept.due, kept.failures, kept.failure = "queued", self._clock.now(), 0, None
        self.wake()
        return len(chosen)

    async def drop(self, ids: Sequence[int]) -> int:
        """Forget them."""
        chosen = [kept.id for kept in self._dead() if kept.id in ids]
        for number in chosen:
            del self._kept[number]
        return len(chosen)

    async def depths(self) -> list[Depth]:
        """Counted one by one."""
        due = list(self._due())
        answer: list[Depth] = []
        for job in {kept.row.entrypoint for kept in (*due, *self._dead())}:
            waiting = [kept.due for kept in due if kept.row.entrypoint == job]
            dead = sum(kept.row.entrypoint == job for kept in self._dead())
            answer.append(Depth(job, len(waiting), min(waiting, default=None), dead))
        return answer

    async def bury_unknown(self) -> int:
        """Those that the registry does not know."""
        late = self._clock.now() - UNKNOWN_FOR
        chosen = [kept for kept in self._due() if kept.row.entrypoint not in self.jobs and kept.due < late]
        for kept in chosen:
            kept.status, kept.failure, kept.died_at = "dead", UNKNOWN, self._clock.now()
        return len(chosen)

    def _add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            number = next(self._ids)
            self._kept[number] = _Kept(number, row, row.execute_after)

    def _remove(self, kept: _Kept) -> None:
        self._kept.pop(kept.id, None)
        if kept.key is not None:
            self._effects.add(kept.key)

    def _orphan(self, silence: timedelta) -> None:
        heard_before = time.monotonic() - silence.total_seconds()
        for kept in self._kept.values():
            if kept.status == "picked" and kept.beat_at < heard_before:
                kept.status, kept.worker, kept.failures = "queued", None, kept.failures + 1

    def _mine(self, worker: UUID, number: int) -> _Kept | None:
        kept = self._kept.get(number)
        return kept if kept is not None and kept.status == "picked" and kept.worker == worker else None

    def _due(self) -> Iterator[_Kept]:
        now = self._clock.now()
        return (kept for kept in self._kept.values() if kept.status == "queued" and kept.due <= now)

    def _dead(self) -> list[_Kept]:
        return [kept for kept in self._kept.values() if kept.status == "dead"]


def _picked(kept: _Kept) -> Picked:
    row = kept.row
    return Picked(kept.id, row.priority, row.entrypoint, row.payload, row.headers, kept.failures)


def _dead_job(kept: _Kept) -> DeadJob:
    payload = None if kept.row.payload is None else kept.row.payload.decode()
    failure = kept.failure or Failure("", "", "")
    return DeadJob(
        kept.id,
        kept.row.entrypoint,
        payload,
        kept.failures,
        kept.died_at or kept.due,
        failure.type,
        failure.message,
        failure.traceback,
    )
