"""The announcer: what a transaction wants known. Facts, jobs and signals leave with its commit, live messages after."""

import asyncio
import time

import structlog

from tenfold.platform.bus import Bus
from tenfold.platform.db.announcements import Announcements, News, Tell
from tenfold.platform.db.postgres import Write
from tenfold.platform.jobs import JobQueue
from tenfold.platform.jobs.worker import WAKE
from tenfold.platform.realtime import Realtime

_NUDGE_EVERY = 0.1
log = structlog.get_logger("tenfold.announcer")


class Announcer:
    """The outbox of a database: nothing to announce costs no round trip, any number of facts and jobs cost one."""

    def __init__(self, queue: JobQueue, bus: Bus, realtime: Realtime) -> None:
        self._queue = queue
        self._bus = bus
        self._realtime = realtime
        self._nudge: asyncio.Task[None] | None = None
        self._nudged_at = 0.0

    async def write(self, tx: Write, announcements: Announcements) -> None:
        """Write facts and jobs in the transaction, and hand it the signals."""
        if announcements.facts or announcements.jobs:
            written = await self._queue.write(tx, announcements.jobs, announcements.facts)
            if written:
                tx.on_commit(self._wake)
        if announcements.signals:
            await self._bus.send_in(tx, announcements.signals)

    async def deliver(self, news: News) -> None:
        """Publish the live messages. The deed is done by now: what goes wrong here is logged, and clients recover."""
        for first, channels in _by_message(news.tells):
            try:
                if first.ephemeral:
                    await self._realtime.publish_ephemeral(channels, first.data)
                elif first.offset is not None:
                    await self._realtime.publish_durable(first.channel, first.data, offset=first.offset)
                else:
                    await self._realtime.publish(channels, first.data)
            except Exception as error:  # a boundary: the deed is done, and its answer must say so
                log.exception("cannot publish live", channels=channels, exc_info=error)

    def _wake(self) -> None:
        """Rouse this process's workers, or those of others: by one signal each tenth of a second at most."""
        if self._queue.wake():
            return
        now = time.monotonic()
        if now - self._nudged_at >= _NUDGE_EVERY and (self._nudge is None or self._nudge.done()):
            self._nudged_at = now
            self._nudge = asyncio.create_task(self._send_nudge())

    async def _send_nudge(self) -> None:
        try:
            await self._bus.send(WAKE, None)
        except Exception as error:  # a boundary: workers also look by themselves
            log.debug("cannot wake the workers", exc_info=error)


def _by_message(tells: list[Tell]) -> list[tuple[Tell, list[str]]]:
    """Neighbours that carry the very same message go out together, so that it is encoded once; durable ones alone."""
    groups: list[tuple[Tell, list[str]]] = []
    for tell in tells:
        first = groups[-1][0] if groups else None
        if first is not None and first.data is tell.data and first[2:] == tell[2:] == (None, tell.ephemeral):
            groups[-1][1].append(tell.channel)
        else:
            groups.append((tell, [tell.channel]))
    return groups
