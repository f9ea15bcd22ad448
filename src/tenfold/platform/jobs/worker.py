"""The worker: takes due jobs from the queue and runs a bounded number of them at once, until it is told to stop.

It is woken at once by transactions of its own process, by a signal of others, and looks by itself every quarter second.
A worker that dies leaves its jobs behind: they are picked up by another when it has been silent for `silence`.
"""

import asyncio
import contextlib
import functools
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog

from tenfold.kit.refusals import Unavailable
from tenfold.platform.bus import Bus
from tenfold.platform.db import Database
from tenfold.platform.jobs import JobQueue, Picked
from tenfold.platform.jobs.gauges import Gauges
from tenfold.platform.jobs.runner import Outcome, Runner
from tenfold.platform.parts import Parts

WAKE = "jobs"
_LONGEST_PAUSE = 5.0
log = structlog.get_logger("tenfold.jobs")


class Worker:
    """Runs jobs in this process. `parts` may be filled until the first job runs."""

    def __init__(
        self,
        db: Database,
        queue: JobQueue,
        parts: Parts,
        *,
        bus: Bus | None = None,
        concurrency: int = 8,
        poll: timedelta = timedelta(milliseconds=250),
        silence: timedelta = timedelta(seconds=15),
    ) -> None:
        """`concurrency` jobs run at once, each with a connection of the write pool; keep it below that pool's size."""
        self.id = uuid.uuid4()
        self._queue = queue
        self._since = db.clock.now()
        self._runner = Runner(db, queue, parts)
        self._gauges = Gauges(queue, db.clock)
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._poll = poll.total_seconds()
        self._silence = silence
        self._running: dict[int, asyncio.Task[Outcome]] = {}
        self._begun: set[int] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()
        self._closed = asyncio.Event()
        self._sees_more = False
        queue.on_wake(self._woken.set)
        if bus is not None:
            bus.listen(WAKE, lambda _: self._woken.set())

    async def start(self) -> None:
        """Start to work in the background."""
        self._closing.clear()
        self._closed.clear()
        beat = self._repeat(self._beat, self._silence.total_seconds() / 3, self._closed)
        tick = self._repeat(self.tick, 1.0, self._closing)
        gauges = self._repeat(self._gauges.refresh, 5.0, self._closing)
        self._loops = [asyncio.create_task(loop) for loop in (self._pump(), tick, gauges, beat)]

    async def stop(self, grace: timedelta = timedelta(seconds=10)) -> None:
        """Pick nothing more, let running jobs finish within the grace, and give back what has not run."""
        self._closing.set()
        self._woken.set()
        mine = list(self._running)
        for number in mine:
            if number not in self._begun:
                self._running[number].cancel()
        await _end(list(self._running.values()), grace)
        self._closed.set()
        await _end(self._loops, grace)
        self._loops = []
        self._closing.clear()
        with contextlib.suppress(Unavailable):  # without a database, our silence gives them back
            await self._queue.put_back(self.id, mine)

    async def drain(self, *, strict: bool = False) -> int:
        """Run everything that is due now, and what follows from it, until nothing is due. Returns the number of jobs.

        With `strict`, raise the failures of jobs as an ExceptionGroup in the end.
        """
        outcomes: list[Outcome] = []
        while True:
            await self.tick()
            await self._fill()
            if not self._running:
                break
            done, _ = await asyncio.wait(list(self._running.values()))
            outcomes += [task.result() for task in done if not task.cancelled()]
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        if strict and errors:
            raise ExceptionGroup("jobs failed", errors)
        return len(outcomes)

    async def tick(self) -> None:
        """Enqueue what the clock says is due."""
        if await self._queue.tick(self._since):
            self._woken.set()

    async def _pump(self) -> None:
        pause = self._poll
        while not self._closing.is_set():
            self._woken.clear()
            try:
                await self._fill()
                pause = self._poll
            except Unavailable:
                pause = min(pause * 2, _LONGEST_PAUSE)
            except Exception as error:  # a boundary: the loop outlives whatever one look at the queue raised
                log.exception("cannot look for jobs", exc_info=error)
                pause = min(pause * 2, _LONGEST_PAUSE)
            await _wait(self._woken, pause * random.uniform(0.8, 1.0))  # noqa: S311 - no secret

    async def _fill(self) -> None:
        """Take as many jobs as keep the slots busy for a short while: few, so that their order stays fair."""
        room = 4 * self._concurrency - len(self._running)
        if room <= 0:
            return
        picked = await self._queue.pick(self.id, room, self._silence)
        if self._closing.is_set():
            await self._queue.put_back(self.id, [job.id for job in picked])
            return
        self._sees_more = len(picked) == room
        for job in picked:
            if job.id not in self._running:
                self._running[job.id] = task = asyncio.create_task(self._run(job))
                task.add_done_callback(functools.partial(self._forget, job.id))

    async def _run(self, picked: Picked) -> Outcome:
        try:
            async with self._slots:
                self._begun.add(picked.id)
                return await self._runner.run(self.id, picked)
        except Exception as error:  # the database went away: the job's row says that it is ours until we fall silent
            log.exception("cannot settle a job", job=picked.job, exc_info=error)
            return Outcome(picked, "retried", error)

    def _forget(self, number: int, _: asyncio.Task[Outcome]) -> None:
        self._begun.discard(number)
        del self._running[number]
        if self._sees_more and len(self._running) <= self._concurrency:
            self._woken.set()

    async def _beat(self) -> None:
        await self._queue.beat(self.id, list(self._running))

    async def _repeat(self, deed: Callable[[], Awaitable[None]], pause: float, end: asyncio.Event) -> None:
        while not end.is_set():
            try:
                await deed()
            except Unavailable:
                pass
            except Exception as error:  # a boundary: the next round may go well
                log.exception("cannot keep the queue", exc_info=error)
            await _wait(end, pause)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not longer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _end(tasks: Sequence[asyncio.Task[Any]], grace: timedelta) -> None:
    """Let tasks end by themselves within the grace, then cancel them, and wait for that."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=grace.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
