"""The runner: one job, once. It binds the function to its transaction, payload and parts, and says how it ended."""

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog

from tenfold.kit.refusals import Unavailable
from tenfold.platform.db import Database, Write
from tenfold.platform.jobs import Failure, Job, JobQueue, Picked
from tenfold.platform.jobs.backoff import rest_before
from tenfold.platform.observe import logs, metrics, traces
from tenfold.platform.parts import Parts, hints_of

Ending = Literal["done", "skipped", "retried", "dead"]
_LONGEST_TRACE = 8_000
_LOSSES = 3  # how many workers more than its tries a job may cost
log = structlog.get_logger("tenfold.jobs")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, and what it failed with."""

    picked: Picked
    ending: Ending
    error: Exception | None = None


class PayloadError(Exception):
    """The payload is not what the job takes any more."""


class WorkersLostError(Exception):
    """The workers that had this job fell silent, time and again: it may be what kills them."""


class Runner:
    """Runs picked jobs for one worker. It never raises what a job raises: that becomes a retry or a dead letter."""

    def __init__(self, db: Database, queue: JobQueue, parts: Parts) -> None:
        self._db = db
        self._queue = queue
        self._parts = parts
        self._jobs = queue.jobs
        self._plans: dict[str, _Plan] = {}

    async def run(self, worker: UUID, picked: Picked) -> Outcome:
        """Run a job within its timeout, in its own log context."""
        headers = picked.headers or {}
        logs.bind_request(headers.get("request_id") or f"job-{picked.id}")
        logs.bind(job=picked.job, job_id=picked.id)
        started = time.perf_counter()
        with traces.request_span(f"job {picked.job}", headers.get("traceparent"), failures=picked.failures) as span:
            outcome = await self._settle(worker, picked)
            span.set(ending=outcome.ending)
        metrics.jobs_run.labels(picked.job, outcome.ending).inc()
        metrics.job_seconds.labels(picked.job).observe(time.perf_counter() - started)
        return outcome

    async def _settle(self, worker: UUID, picked: Picked) -> Outcome:
        attempt = _Attempt(self._queue, worker, picked)
        try:
            plan = self._plan_of(picked.job)
            if picked.failures >= plan.job.retry.tries + _LOSSES:
                raise WorkersLostError(f"after {picked.failures} tries")
            given = plan.given(picked)
            async with asyncio.timeout(plan.job.timeout.total_seconds()):
                if plan.tx is not None or picked.key is not None:
                    return await self._db.transact(lambda tx: attempt.within(tx, plan, given))
                return await attempt.without(self._db, plan, given)
        except Exception as error:  # a boundary: whatever a job raises is recorded with it
            if isinstance(error, Unavailable) and not attempt.called:
                await self._queue.put_back(worker, [picked.id])
                return Outcome(picked, "skipped")
            return await self._record(worker, picked, attempt.error or error)

    async def _record(self, worker: UUID, picked: Picked, error: Exception) -> Outcome:
        job = self._jobs.get(picked.job)
        rest = None
        if job is not None and not isinstance(error, PayloadError):
            rest = rest_before(job.retry, picked.failures + 1, random.random())  # noqa: S311 - no secret
        failure = Failure(type(error).__qualname__, str(error) or repr(error), _trace_of(error))
        retry_at = None if rest is None else self._db.clock.now() + rest
        await self._queue.fail(worker, picked, failure, retry_at=retry_at)
        if rest is None:
            log.error("job failed for good", failures=picked.failures + 1, exc_info=error)
        else:
            log.warning("job failed", failures=picked.failures + 1, error=failure.type, retry_at=retry_at)
        return Outcome(picked, "dead" if rest is None else "retried", error)

    def _plan_of(self, name: str) -> "_Plan":
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = _Plan(self._jobs[name], self._parts)
        return plan


class _Plan:
    """How a job's function is called: which parameter is the transaction, which the payload; the rest are parts."""

    def __init__(self, job: Job, parts: Parts) -> None:
        self.job = job
        self.tx: str | None = None
        self.call: Callable[..., Awaitable[None]] = parts.bind(job.function)
        self._payload: str | None = None
        self._decoder: msgspec.json.Decoder[Any] | None = None
        for name, kind in hints_of(job.function).items():
            if kind is Write:
                self.tx = name
            elif kind not in parts and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                self._payload, self._decoder = name, msgspec.json.Decoder(kind)

    def given(self, picked: Picked) -> dict[str, object]:
        """The payload, by the name of its parameter. Raises PayloadError."""
        if self._payload is None or self._decoder is None:
            return {}
        try:
            return {self._payload: self._decoder.decode(picked.payload or b"null")}
        except (msgspec.MsgspecError, ValueError) as error:
            raise PayloadError(str(error)) from error


class _Attempt:
    """One try of a job. It keeps what the job raised: the transaction may turn it into another error."""

    def __init__(self, queue: JobQueue, worker: UUID, picked: Picked) -> None:
        self._queue = queue
        self._worker = worker
        self._picked = picked
        self.called = False
        self.error: Exception | None = None

    async def within(self, tx: Write, plan: _Plan, given: dict[str, object]) -> Outcome:
        """The end of the job, in one transaction with its effect; a second delivery of its key waits for that."""
        if not await self._queue.finish(tx, self._worker, self._picked):
            return Outcome(self._picked, "skipped")
        await self._call(plan, given if plan.tx is None else {**given, plan.tx: tx})
        if tx.announcements.has_numbers:
            await self._queue.keep(tx)
        return Outcome(self._picked, "done")

    async def without(self, db: Database, plan: _Plan, given: dict[str, object]) -> Outcome:
        """The job opens its own transactions; a crash before the last line repeats it."""
        await self._call(plan, given)
        async with db.write() as tx:
            finished = await self._queue.finish(tx, self._worker, self._picked)
        return Outcome(self._picked, "done" if finished else "skipped")

    async def _call(self, plan: _Plan, given: dict[str, object]) -> None:
        self.called, self.error = True, None
        try:
            await plan.call(**given)
        except Exception as error:
            self.error = error
            raise


def _trace_of(error: Exception) -> str:
    return "".join(traceback.format_exception(error))[-_LONGEST_TRACE:]
