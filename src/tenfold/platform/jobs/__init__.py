"""Jobs: work that follows a transaction or a clock, run at least once by some worker, with its effect applied once.

The promise: a job written by a transaction exists exactly when that transaction commits. A worker runs it in a write
transaction of its own together with the job's key, so that a repeated delivery changes nothing. A job that fails is
retried with backoff and jitter; after its last try it is kept as a dead letter until somebody replays or drops it.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, ParamSpec, TypeVar

import msgspec

from tenfold.platform.events import Fact

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

    The function takes `tx: Write` (its transaction, optional), the payload (a msgspec Struct or a fact, optional) and any parts
    of the platform, by type. A job without `tx` opens its own transactions and must be idempotent by itself.
    """

    function: Callable[..., Awaitable[None]]
    fact: type[Fact] | None = None
    every: timedelta | str | None = None
    priority: Priority = "normal"
    retry: Retry = field(default_factory=Retry)
    timeout: timedelta = timedelta(minutes=1)
    name: str = ""

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[None]:
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
