"""A worker in a process of its own, for a test that kills it: `python -m tests.platform.jobs_victim [dsn, options]`."""

import asyncio
import sys
from datetime import timedelta

import msgspec

from tenfold.platform.announcer import Announcer
from tenfold.platform.bus.memory import MemoryBus
from tenfold.platform.db import Database, Write
from tenfold.platform.events import Fact
from tenfold.platform.jobs import Job, after
from tenfold.platform.jobs.pgqueuer import Queue
from tenfold.platform.jobs.registry import Registry
from tenfold.platform.jobs.worker import Worker
from tenfold.platform.parts import Parts
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence


class Happened(Fact, frozen=True, kw_only=True):
    """Something happened."""

    number: int


@after(Happened)
async def first(tx: Write, fact: Happened) -> None:
    """Leave a line."""
    await tx.connection.execute("insert into effects values ('first', $1)", fact.number)


@after(Happened)
async def second(tx: Write, fact: Happened) -> None:
    """Leave a line, after a moment in which one may be killed."""
    await tx.connection.execute("insert into effects values ('second', $1)", fact.number)
    await asyncio.sleep(0.002)


FOLLOWERS: list[Job] = [first, second]
first.name, second.name = "victim.first", "victim.second"


async def main() -> None:
    """Work until killed."""
    dsn, options = msgspec.json.decode(sys.argv[1])
    db = Database(dsn, **options)
    await db.open()
    queue = Queue(db, Registry(FOLLOWERS))
    db.outbox = Announcer(queue, MemoryBus(), Hub(MemoryBroker(), MemoryPresence()))
    await Worker(db, queue, Parts(), silence=timedelta(seconds=1), concurrency=4).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
