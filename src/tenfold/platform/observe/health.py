"""Health: small questions whose answers say whether this process can take requests. Each is answered, and in time."""

import asyncio
import math
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from tenfold.kit.refusals import CannotStart, Unavailable
from tenfold.platform.db import Database, Migrations, one

LEAST_ROOM = 256 * 1024**2
LEAST_ROOM_TO_WRITE = 64 * 1024**2
_ASKED_EVERY = 1.0

ping = one(int, "select 1")


class Check(msgspec.Struct, frozen=True):
    """The answer to one question: its name, whether all is well, and a few words where it is not."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask, and what it is called in the answer."""

    name: str
    ask: Callable[[], Awaitable[Check]]


async def readiness(db: Database, migrations: Migrations, folder: Path) -> list[Check]:
    """Whether a process can take requests: the database answers, its schema is this code's, the disk has room."""
    return await ask([database_answers(db), migrations_are_current(migrations), disk_has_room(folder)])


async def ask(questions: Iterable[Question], *, timeout: timedelta = timedelta(seconds=3)) -> list[Check]:
    """Every answer, in the order of the questions. One that fails or takes longer than `timeout` is not passed."""
    return list(await asyncio.gather(*(_answer(question, timeout.total_seconds()) for question in questions)))


async def _answer(question: Question, seconds: float) -> Check:
    try:
        async with asyncio.timeout(seconds):
            return await question.ask()
    except TimeoutError:
        return Check(question.name, False, f"no answer within {seconds:g} s")
    except Exception as error:  # whatever is wrong, the answer is no; the type is all that a stranger may learn
        return Check(question.name, False, type(error).__name__)


def database_answers(db: Database) -> Question:
    """Whether a statement comes back from the database."""

    async def database() -> Check:
        try:
            async with db.read() as tx:
                await ping(tx)
        except Unavailable as error:
            return Check("database", False, error.title())
        return Check("database", True)

    return Question("database", database)


def migrations_are_current(migrations: Migrations) -> Question:
    """Whether no migration of this code is left to apply, and none that it does not know was applied."""

    async def schema() -> Check:
        try:
            left = len(await migrations.pending())
        except CannotStart as error:
            return Check("migrations", False, str(error))
        return Check("migrations", True) if not left else Check("migrations", False, f"{left} left: `tenfold migrate`")

    return Question("migrations", schema)


def disk_has_room(folder: Path, *, at_least: int = LEAST_ROOM) -> Question:
    """Whether the disk of the data folder has that many bytes left."""

    async def disk() -> Check:
        free = await asyncio.to_thread(_free_bytes, folder)
        if free < at_least:
            return Check("disk", False, f"{free // 1024**2} MiB left, {at_least // 1024**2} needed")
        return Check("disk", True)

    return Question("disk", disk)


class RoomToWrite:
    """Refuses writes before the disk of a folder is full, while a server on it can still go on and be read.

    Postgres that finds no room for its log ends, and cannot recover before there is some: then nothing can be read.
    """

    def __init__(self, folder: Path, *, at_least: int = LEAST_ROOM_TO_WRITE) -> None:
        self._folder = folder
        self._at_least = at_least
        self._asked_at = -math.inf
        self._is_there = True

    def __call__(self) -> None:
        """Raise `Unavailable` while less room is left. The disk is asked once a second."""
        now = time.monotonic()
        if now - self._asked_at >= _ASKED_EVERY:
            self._asked_at = now
            self._is_there = _free_bytes(self._folder) >= self._at_least
        if not self._is_there:
            raise Unavailable("The disk is full: nothing can be written until there is room.", retry_after=10)


def _free_bytes(folder: Path) -> int:
    """The room on the disk of a folder, or of where it will be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
