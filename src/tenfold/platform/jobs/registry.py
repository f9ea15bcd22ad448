"""The registry: every declared job by name, who follows which fact, and what a transaction's wishes become as rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tenfold.platform.events import Fact
from tenfold.platform.jobs import Enqueued, Failure, Job
from tenfold.platform.jobs.fairness import FairShares, to_rank
from tenfold.platform.observe import logs, traces

UNKNOWN = Failure("UnknownJob", "No such job is declared here.", "")
UNKNOWN_FOR = timedelta(hours=1)


class Row(msgspec.Struct, frozen=True):
    """A job as it is written."""

    priority: int
    execute_after: datetime
    entrypoint: str
    payload: bytes | None
    headers: dict[str, Any] | None


class Registry:
    """The jobs of an installation. Two of one name are a mistake and raise ValueError."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.by_name: dict[str, Job] = {}
        self._followers: dict[type[Fact], list[Job]] = {}
        for job in jobs:
            if not job.name:
                raise ValueError(f"the job {job.function.__qualname__} has no name: it is in no module's `jobs`")
            if self.by_name.setdefault(job.name, job) is not job:
                raise ValueError(f"two jobs are named {job.name}")
            if job.fact is not None:
                self._followers.setdefault(job.fact, []).append(job)
        self.names = list(self.by_name)
        self._shares = FairShares()

    def followers(self, fact: type[Fact]) -> Sequence[Job]:
        """The jobs that follow facts of exactly this type."""
        return self._followers.get(fact, ())

    def on_clock(self) -> list[Job]:
        """The jobs that run on a clock."""
        return [job for job in self.by_name.values() if job.every is not None]

    def rows(self, now: datetime, jobs: Sequence[Enqueued], facts: Sequence[Fact]) -> list[Row]:
        """The rows of these jobs, and one for each follower of these facts. An undeclared job raises LookupError."""
        origin = _origin() if jobs or facts else {}
        rows = [self._row_of(now, wish, origin) for wish in jobs]
        for fact in facts:
            followers = self.followers(type(fact))
            if followers:
                rows += self._rows_of(now, fact, followers, origin)
        return rows

    def _row_of(self, now: datetime, wish: Enqueued, origin: dict[str, Any]) -> Row:
        if self.by_name.get(wish.job.name) is not wish.job:
            raise LookupError(f"the job {wish.job.name or wish.job.function.__qualname__} is not in this registry")
        due = now + wish.delay
        headers = origin if wish.key is None else {**origin, "key": wish.key}
        return Row(
            priority=to_rank(self._shares.start_of(wish.tenant, due), wish.priority or wish.job.priority),
            execute_after=due,
            entrypoint=wish.job.name,
            payload=None if wish.payload is None else msgspec.json.encode(wish.payload),
            headers=headers or None,
        )

    def _rows_of(self, now: datetime, fact: Fact, followers: Sequence[Job], origin: dict[str, Any]) -> Iterable[Row]:
        tenant = None if fact.tenant is None else str(getattr(fact, fact.tenant))
        start = self._shares.start_of(tenant, now)
        payload = msgspec.json.encode(fact)
        headers = {**origin, "version": fact.version}
        for job in followers:
            yield Row(to_rank(start, job.priority), now, job.name, payload, headers)


def _origin() -> dict[str, Any]:
    """The request and the trace that this comes from, for the lines and spans of whatever follows."""
    known = {"request_id": logs.request_id(), "traceparent": traces.traceparent()}
    return {name: value for name, value in known.items() if value is not None}
