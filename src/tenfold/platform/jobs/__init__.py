"""Jobs: work that follows a transaction or a clock, run at least once by some worker, with its effect applied once.

The promise: a job written by a transaction exists exactly when that transaction commits. A worker runs it in a write
transaction of its own together with the job's key, so that a repeated delivery changes nothing. A job that fails is
retried with backoff and jitter; after its last try it is kept as a dead letter until somebody replays or drops it.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar
from uuid import UUID

import msgspec

from tenfold.kit.pages import Page
from tenfold.platform.events import Fact

if TYPE_CHECKING:
    from tenfold.platform.db import Write

P = ParamSpec("P")
R = TypeVar("R")
Priority = Literal["high", "normal", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How a failing job is tried again: `first * 2**n`, with jitter, never above `longest`, at most `tries` times."""

    tries: int = 8
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=10)


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """A declared job: the function, what starts it, and how it is run.

    The function takes `tx: Write` (its transaction, optional), the payload (a msgspec Struct or a fact, optional) and
    any parts of the platform, by type. A job without `tx` opens its own transactions and must be idempotent by itself;
    when it is enqueued with a key, a transaction is held open beside it, and it must be done within a minute.
    """

    function: Callable[..., Awaitable[None]]
    fact: type[Fact] | None = None
    every: timedelta | str | None = None
    priority: Priority = "normal"
    retry: Retry = field(default_factory=Retry)
    timeout: timedelta = timedelta(minutes=1)
    name: str = ""

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[None]:
        """Call the function itself, here and now."""
        return self.function(*args, **kwargs)

    @property
    def description(self) -> str:
        """The first line of the function's docstring."""
        return inspect.cleandoc(self.function.__doc__ or "").split("\n", 1)[0]


def job(
    *, priority: Priority = "normal", retry: Retry = Retry(), timeout: timedelta = timedelta(minutes=1)
) -> Callable[[Callable[..., Awaitable[None]]], Job]:
    """Declare a job that deeds enqueue by hand: `tx.enqueue(jobs.send_report, Report(...))`."""
    return lambda function: Job(function=function, priority=priority, retry=retry, timeout=timeout)


def after(
    fact: type[Fact],
    *,
    priority: Priority = "normal",
    retry: Retry = Retry(),
    timeout: timedelta = timedelta(minutes=1),
) -> Callable[[Callable[..., Awaitable[None]]], Job]:
    """Declare a job that follows every fact of a type."""
    return lambda function: Job(function=function, fact=fact, priority=priority, retry=retry, timeout=timeout)


def every(
    when: timedelta | str,
    *,
    priority: Priority = "normal",
    retry: Retry = Retry(tries=1),
    timeout: timedelta = timedelta(minutes=5),
) -> Callable[[Callable[..., Awaitable[None]]], Job]:
    """Declare a job that one worker of the installation runs on a clock: a span, or a cron expression in UTC."""
    return lambda function: Job(function=function, every=when, priority=priority, retry=retry, timeout=timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """A job as a transaction hands it over, before it is written."""

    job: Job
    payload: msgspec.Struct | None = None
    key: str | None = None
    tenant: str | None = None
    priority: Priority | None = None
    delay: timedelta = timedelta()


class Picked(msgspec.Struct, frozen=True):
    """A job in the hands of a worker. `failures` counts the tries that failed, and the workers that fell silent."""

    id: int
    priority: int
    job: str
    payload: bytes | None
    headers: dict[str, Any] | None
    failures: int

    @property
    def key(self) -> str | None:
        """The idempotency key it was enqueued with."""
        return self.headers.get("key") if self.headers else None


class Failure(msgspec.Struct, frozen=True):
    """What went wrong with a job."""

    type: str
    message: str
    traceback: str


class DeadJob(msgspec.Struct, frozen=True):
    """A dead letter: a job that failed for good, with what it was given (JSON) and its last failure."""

    id: int
    job: str
    payload: str | None
    failures: int
    died_at: datetime
    type: str | None
    message: str | None
    traceback: str | None


class Depth(msgspec.Struct, frozen=True):
    """How much of one job waits: due and not begun, since when the oldest is due, and its dead letters."""

    job: str
    waiting: int
    oldest_at: datetime | None
    dead: int


class JobQueue(ABC):
    """Where jobs wait: written inside transactions, picked by workers, kept as dead letters when they fail for good."""

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        """`jobs` are those that this installation declares, by name; no other job is picked."""
        self.jobs = jobs
        self._sleepers: list[Callable[[], None]] = []

    def on_wake(self, callback: Callable[[], None]) -> None:
        """Call this whenever there may be new jobs."""
        self._sleepers.append(callback)

    def wake(self) -> bool:
        """Rouse the workers of this process at once; False when it has none."""
        for callback in self._sleepers:
            callback()
        return bool(self._sleepers)

    @abstractmethod
    async def write(self, tx: "Write", jobs: Sequence[Enqueued], facts: Sequence[Fact]) -> int:
        """Write the jobs, and one per follower of each fact, into the transaction. Returns their number."""

    @abstractmethod
    async def pick(self, worker: UUID, room: int, silence: timedelta) -> list[Picked]:
        """Take at most `room` due jobs by virtual start time; those of workers silent for so long come first.

        A silent worker counts as a failed try.
        """

    @abstractmethod
    async def finish(self, tx: "Write", worker: UUID, picked: Picked) -> bool:
        """Make this the transaction of the job's effect; False when it was applied, or is another worker's now.

        Its commit may be forgotten by a crash of the server, together with the job's end, unless `keep` is called.
        """

    @abstractmethod
    async def keep(self, tx: "Write") -> None:
        """Have the commit of a job's effect wait until no crash can forget it."""

    @abstractmethod
    async def fail(self, worker: UUID, picked: Picked, failure: Failure, *, retry_at: datetime | None) -> None:
        """Let a job run again at an instant, or make it a dead letter; a clock's job keeps only its last."""

    @abstractmethod
    async def put_back(self, worker: UUID, ids: Sequence[int]) -> None:
        """Give picked jobs back as if they had not been picked."""

    @abstractmethod
    async def beat(self, worker: UUID, ids: Sequence[int]) -> None:
        """Say that the worker is alive and still has these jobs."""

    @abstractmethod
    async def tick(self, since: datetime) -> int:
        """Enqueue each job of the clock that is due, once for all workers, however many ticks were missed.

        A job that the clock never saw counts from `since`. One that still waits or runs is not enqueued again.
        """

    @abstractmethod
    async def list_dead(self, limit: int = 20, cursor: str | None = None) -> Page[DeadJob]:
        """The dead letters, newest job first."""

    @abstractmethod
    async def replay(self, ids: Sequence[int] = (), *, job: str | None = None) -> int:
        """Run dead letters again, these or all of a job, with their tries counted anew. Returns their number."""

    @abstractmethod
    async def drop(self, ids: Sequence[int]) -> int:
        """Forget dead letters for good. Returns their number."""

    @abstractmethod
    async def depths(self) -> list[Depth]:
        """What waits, by job."""

    @abstractmethod
    async def bury_unknown(self) -> int:
        """Make jobs that have been due for an hour, and that this installation does not know, dead letters.

        Not at once: during a rolling upgrade the old workers meet jobs of the new ones.
        """
