"""`tenfold sample`: a believable world to look at and to measure with, the same for the same seed."""

from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg

from tenfold.assembly import House
from tenfold.entry.sample.bulk import Bulk
from tenfold.entry.sample.deeds import Deeds
from tenfold.entry.sample.progress import Progress, silent
from tenfold.entry.sample.talks import Talks
from tenfold.entry.sample.world import World
from tenfold.kit.refusals import CannotStart
from tenfold.modules.chat.hints import Hints
from tenfold.modules.chat.shapes import ChatPolicy
from tenfold.modules.chat.ties import Ties
from tenfold.modules.feed.shapes import FeedPolicy
from tenfold.platform.db import Write

PASSWORD = "ten-fold-sample-world"  # noqa: S105 - it is printed
_SMALL_USERS = 2_000
_SMALL_POSTS = 40_000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was built: some handles to look at (their addresses end in `@example.com`), and everybody's password."""

    users: int
    posts: int
    handles: tuple[str, ...]
    password: str = field(default=PASSWORD, repr=False)


async def run(
    house: House,
    *,
    users: int,
    posts: int | None = None,
    seed: int = 7,
    progress: Progress = silent,
    bulk: bool | None = None,
) -> Sampled:
    """Build a world of so many people and posts (by default ten each) in an open house, ending at the present hour.

    Small worlds are built through the modules' deeds, piece by piece, large ones with COPY, all or nothing; `bulk`
    decides otherwise. Raises `CannotStart` when there is a sample already, before anything is written.
    """
    now = house.clock.now()
    until = int((now - timedelta(minutes=1)).timestamp()) // 3600 * 3_600_000
    world = World(users=users, posts=10 * users if posts is None else posts, seed=seed, until=until)
    if bulk is None:
        bulk = users > _SMALL_USERS or world.posts > _SMALL_POSTS
    password_hash = await house.passwords.hash(PASSWORD)
    named = {"password_hash": password_hash, "policy": house.parts.get(FeedPolicy)}
    connection = await house.db.connect()
    try:
        tx = Write(connection, now)
        if not bulk:
            await Deeds(world, **named).write(tx, progress)
        async with connection.transaction():
            await (Bulk(world, **named) if bulk else _talks(house, world)).write(tx, progress)
        for module in house.modules:
            for table in module.homes:
                await connection.execute(f'vacuum (analyze) "{table}"')
    except asyncpg.UniqueViolationError:
        raise CannotStart("There is a sample world here already; use another data folder for another one.") from None
    finally:
        await connection.close()
    famous = sorted(range(users), key=world.rank_of)[:_SHOWN]
    return Sampled(users, world.posts, tuple(world.somebody(index).handle for index in famous))


def _talks(house: House, world: World) -> Talks:
    part = house.parts.get
    return Talks(world, policy=part(ChatPolicy), hints=part(Hints), ties=part(Ties))
