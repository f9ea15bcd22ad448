"""A workshop: a queue of either engine, its workers, a few declared jobs, and a diary of what took effect."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from tenfold.kit.clock import SetClock
from tenfold.platform.announcer import Announcer
from tenfold.platform.bus.memory import MemoryBus
from tenfold.platform.db import Database, Write
from tenfold.platform.events import Fact
from tenfold.platform.jobs import Job, JobQueue, Retry, after, every, job
from tenfold.platform.jobs.memory import MemoryQueue
from tenfold.platform.jobs.pgqueuer import Queue
from tenfold.platform.jobs.registry import Registry
from tenfold.platform.jobs.worker import Worker
from tenfold.platform.parts import Parts
from tenfold.platform.realtime.hub import Hub
from tenfold.platform.realtime.memory import MemoryBroker, MemoryPresence


class Diary:
    """What took effect, in order; and switches that tests turn."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.calls: list[str] = []
        self.broken: set[str] = set()
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()

    def note(self, tx: Write, line: str) -> None:
        """Take effect when the transaction commits."""
        self.calls.append(line)
        if line in self.broken:
            raise RuntimeError(f"{line} is broken")
        tx.on_commit(lambda: self.lines.append(line))


class PostPublished(Fact, frozen=True, kw_only=True):
    """Somebody published something."""

    version = 3
    tenant = "author"

    author: str
    text: str


class PostRead(Fact, frozen=True, kw_only=True):
    """Nobody follows this one."""

    text: str


class Word(msgspec.Struct, frozen=True):
    text: str


class Number(msgspec.Struct, frozen=True):
    value: int


@after(PostPublished)
async def fan_out(tx: Write, fact: PostPublished, diary: Diary) -> None:
    """Bring the post to the followers."""
    diary.note(tx, f"fan out {fact.text}")


@after(PostPublished, priority="low")
async def index(tx: Write, fact: PostPublished, diary: Diary) -> None:
    """Make the post findable, and say so."""
    diary.note(tx, f"index {fact.text}")
    tx.enqueue(say, Word(f"indexed {fact.text}"))


@job(retry=Retry(tries=3, first=timedelta(seconds=10), longest=timedelta(minutes=1)))
async def say(tx: Write, word: Word, diary: Diary) -> None:
    """Say a word."""
    diary.note(tx, word.text)


@job()
async def wait(tx: Write, word: Word, diary: Diary) -> None:
    """Say a word when the gate opens."""
    diary.entered.set()
    await diary.gate.wait()
    diary.note(tx, word.text)


@job(timeout=timedelta(milliseconds=50), retry=Retry(tries=1))
async def dawdle(tx: Write) -> None:
    """Take too long."""
    await asyncio.sleep(30)


@job()
async def call_out(word: Word, diary: Diary) -> None:
    """Do something that no transaction can take back."""
    diary.calls.append(word.text)
    if word.text in diary.broken:
        raise ConnectionError("nobody answers")
    diary.lines.append(word.text)


@job()
async def count(tx: Write, number: Number, diary: Diary) -> None:
    """Count."""
    diary.note(tx, str(number.value))


@job()
async def number(tx: Write, word: Word, diary: Diary) -> None:
    """Tell a word under a number."""
    tx.tell("words", word.text, offset=1)
    diary.note(tx, word.text)


@every(timedelta(minutes=10))
async def sweep(tx: Write, diary: Diary) -> None:
    """Sweep the floor."""
    diary.note(tx, "sweep")


@every("0 3 * * *")
async def lock_up(tx: Write, diary: Diary) -> None:
    """Lock the door at three."""
    diary.note(tx, "lock up")


JOBS: dict[str, Job] = {
    "fan_out": fan_out,
    "index": index,
    "say": say,
    "wait": wait,
    "dawdle": dawdle,
    "call_out": call_out,
    "count": count,
    "number": number,
    "sweep": sweep,
    "lock_up": lock_up,
}
for name, declared in JOBS.items():
    declared.name = f"shop.{name}"


@dataclass
class Workshop:
    """Everything that a test of jobs needs."""

    db: Database
    queue: JobQueue
    clock: SetClock
    diary: Diary = field(default_factory=Diary)
    parts: Parts = field(default_factory=Parts)

    def __post_init__(self) -> None:
        self.parts.add(Diary, self.diary)
        self.db.outbox = Announcer(self.queue, MemoryBus(), Hub(MemoryBroker(), MemoryPresence()))
        self.worker = self.hire()

    def hire(self, **options: Any) -> Worker:
        """One more worker in this process."""
        return Worker(self.db, self.queue, self.parts, **options)

    async def publish(self, *facts: Fact) -> None:
        """State facts in a transaction."""
        async with self.db.write() as tx:
            for fact in facts:
                tx.publish(fact)

    async def enqueue(self, declared: Job, payload: msgspec.Struct | None = None, **options: Any) -> None:
        """Enqueue one job in a transaction."""
        async with self.db.write() as tx:
            tx.enqueue(declared, payload, **options)

    async def drain(self) -> int:
        """Run what is due."""
        return await self.worker.drain()


def workshop(engine: str, db: Database, *, without: tuple[Job, ...] = ()) -> Workshop:
    """A workshop with an engine; `without` leaves jobs undeclared."""
    clock = SetClock()
    db.clock = clock
    registry = Registry(declared for declared in JOBS.values() if declared not in without)
    queue = Queue(db, registry) if engine == "postgres" else MemoryQueue(registry, clock)
    return Workshop(db, queue, clock)
