"""Gauges: what waits in the queue and how old it is, for whoever watches; it also buries what nobody knows."""

from datetime import timedelta

from tenfold.kit.clock import Clock
from tenfold.platform.jobs import JobQueue
from tenfold.platform.observe import metrics


class Gauges:
    """Keeps the queue's metrics of this process fresh."""

    def __init__(self, queue: JobQueue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self._seen: set[str] = set()

    async def refresh(self) -> None:
        """Read the depths once and set the gauges; a job that no longer waits shows zero."""
        depths = await self._queue.depths()
        if any(depth.job not in self._queue.jobs and depth.waiting for depth in depths):
            await self._queue.bury_unknown()
        for job in self._seen - {depth.job for depth in depths}:
            metrics.queue_depth.labels(job).set(0)
            metrics.queue_dead.labels(job).set(0)
        for depth in depths:
            self._seen.add(depth.job)
            metrics.queue_depth.labels(depth.job).set(depth.waiting)
            metrics.queue_dead.labels(depth.job).set(depth.dead)
        oldest = min((depth.oldest_at for depth in depths if depth.oldest_at is not None), default=None)
        age = timedelta(0) if oldest is None else self._clock.now() - oldest
        metrics.queue_age_seconds.set(age.total_seconds())
