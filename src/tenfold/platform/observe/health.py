"""Health: small questions whose answers say whether this process can take requests. Each is answered, and in time."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec

from tenfold.kit.refusals import Unavailable
from tenfold.platform.db import Database, one

LEAST_ROOM = 256 * 1024**2

ping = one(int, "select 1")


class Check(msgspec.Struct, frozen=True):
    """The answer to one question: its name, whether all is well, and a few words where it is not."""

    name: str
    passed: bool
    detail: str = ""


Question = Callable[[], Awaitable[Check]]


async def ask(questions: Iterable[Question], *, timeout: timedelta = timedelta(seconds=3)) -> list[Check]:
    """Every answer, in the order of the questions. One that fails or takes longer than `timeout` is not passed."""
    return list(await asyncio.gather(*(_answer(question, timeout.total_seconds()) for question in questions)))


async def _answer(question: Question, seconds: float) -> Check:
    name = getattr(question, "name", "") or getattr(question, "__name__", "check")
    try:
        async with asyncio.timeout(seconds):
            return await question()
    except TimeoutError:
        return Check(name, False, f"no answer within {seconds:g} s")
    except Exception as error:  # whatever is wrong, the answer is no; the type is all that a stranger may learn
        return Check(name, False, type(error).__name__)


def database_answers(db: Database) -> Question:
    """Whether a statement comes back from the database."""

    async def database() -> Check:
        try:
            async with db.read() as tx:
                await ping(tx)
        except Unavailable as error:
            return Check("database", False, error.title())
        return Check("database", True)

    return database


def migrations_are_current(pending: Callable[[], Awaitable[Sequence[object]]]) -> Question:
    """Whether no migration of this code is left to apply. Once so, it stays so and is not asked again."""
    current = False

    async def migrations() -> Check:
        nonlocal current
        if not current:
            left = len(await pending())
            if left:
                return Check("migrations", False, f"{left} to apply: run `tenfold migrate`")
            current = True
        return Check("migrations", True)

    return migrations


def disk_has_room(folder: Path, *, at_least: int = LEAST_ROOM) -> Question:
    """Whether the disk of the data folder has that many bytes left."""

    async def disk() -> Check:
        free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
        if free < at_least:
            return Check("disk", False, f"{free // 1024**2} MiB left, {at_least // 1024**2} needed")
        return Check("disk", True)

    return disk
