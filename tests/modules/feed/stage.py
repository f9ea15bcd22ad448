"""A stage for the feed without HTTP: people who act directly, and a backlog of jobs that a test runs in any order."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from tenfold.kit.actors import Actor
from tenfold.kit.clock import SetClock
from tenfold.kit.ids import new_id
from tenfold.modules.feed.actions.homes import read_home
from tenfold.modules.feed.manifest import module
from tenfold.modules.feed.shapes import FeedPolicy
from tenfold.platform.cache import Cache
from tenfold.platform.cache.memory import MemoryCache
from tenfold.platform.db import Database, Write
from tenfold.platform.db.announcements import Announcements, News
from tenfold.platform.jobs import Job
from tenfold.platform.parts import Parts
from tenfold.platform.realtime import Realtime
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence

T = TypeVar("T")
TINY = FeedPolicy(home_cap=4, home_depth=3, pull_threshold=3, fan_out_batch=2, following_cap=50)


@dataclass(frozen=True)
class Due:
    """A job that waits, and what it is about."""

    job: Job
    payload: msgspec.Struct


class Backlog:
    """An outbox that keeps jobs in memory instead of a queue."""

    def __init__(self) -> None:
        self.due: list[Due] = []

    async def write(self, tx: Write, announcements: Announcements) -> None:
        """Nothing is written: this process is all there is."""

    async def deliver(self, news: News) -> None:
        """Keep what a transaction wanted done."""
        for fact in news.facts:
            self.due += [Due(job, fact) for job in module.all_jobs() if job.fact is type(fact)]
        self.due += [Due(wish.job, wish.payload) for wish in news.jobs if wish.payload is not None]


class Stage:
    """Everything that the feed's deeds and jobs need, on one database."""

    def __init__(self, db: Database, policy: FeedPolicy = TINY) -> None:
        self.db = db
        self.policy = policy
        self.backlog = Backlog()
        self.clock = SetClock()
        db.clock = self.clock
        db.outbox = self.backlog
        self.parts = Parts()
        self.parts.add(Database, db)
        self.parts.add(Cache, MemoryCache(1 << 20, clock=self.clock))
        self.parts.add(Realtime, Hub(MemoryBroker(), MemoryPresence()))
        self.parts.add(FeedPolicy, policy)

    @staticmethod
    def person() -> Actor:
        """Somebody new."""
        return Actor(id=new_id(), session_id=new_id())

    async def do(self, deed: Callable[..., Awaitable[T]], *args: Any, **named: Any) -> T:
        """Run a deed in a transaction of its own."""
        return await self.db.transact(lambda tx: deed(tx, *args, **named))

    async def work(self, index: int = 0) -> None:
        """Run one of the jobs that wait."""
        due = self.backlog.due.pop(index)
        await self.call(due.job, due.payload)

    async def call(self, job: Job, payload: msgspec.Struct) -> None:
        """Run a job that was not asked for."""
        call = self.parts.bind(job.function)
        await self.db.transact(lambda tx: call(tx, payload))

    async def drain(self) -> None:
        """Run every job that waits, and those that follow."""
        while self.backlog.due:
            await self.work()

    async def tick(self, job: Job) -> None:
        """Run a job of the clock."""
        call = self.parts.bind(job.function)
        if "tx" in job.function.__annotations__:
            await self.db.transact(lambda tx: call(tx))
        else:
            await call()

    async def home(self, reader: Actor, page: int = 3) -> list[UUID]:
        """A home over all its pages."""
        found: list[UUID] = []
        before: UUID | None = None
        while True:
            rows = await read_home(self.db, reader, before=before, limit=page, policy=self.policy)
            ids = [row.post_id for row in rows if not row.embedded]
            found += ids
            if len(ids) < page:
                return found
            before = ids[-1]

    async def rest(self, span: timedelta) -> None:
        """Let time pass."""
        self.clock.advance(span)
