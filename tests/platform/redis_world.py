"""Redis clients of either kind for a test, each in a prefix of its own; and a receiver that records."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from msgspec import Raw

from tenfold.platform.realtime.redis import RedisBroker
from tenfold.platform.redis import Address, Redis, RedisCluster
from tests.redis import RedisClusterServers, RedisServer

_numbers = itertools.count(1)


def fresh_prefix() -> str:
    """A prefix that no other test of this process has."""
    return f"test{next(_numbers)}"


def client_of(server: RedisServer | RedisClusterServers, prefix: str, *, patience: float = 2.0) -> Redis:
    """A client of one server, or of a cluster."""
    kind = RedisCluster if isinstance(server, RedisClusterServers) else Redis
    return kind(Address.read(server.url), prefix=prefix, patience=patience)


async def until(done: Callable[[], object], *, seconds: float = 20) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.005)


class Recorder:
    """A process's end of a broker: it wants some channels, and records what comes."""

    def __init__(self) -> None:
        self.wanted: set[str] = set()
        self.got: list[tuple[str, int, str, bytes]] = []
        self.signals: list[bytes] = []
        self.gaps = 0

    def received(self, channel: str, offset: int, epoch: str, data: Raw) -> None:
        self.got.append((channel, offset, epoch, bytes(data)))

    def signalled(self, data: Raw) -> None:
        self.signals.append(bytes(data))

    def gap(self) -> None:
        self.gaps += 1

    def channels(self) -> Iterable[str]:
        return list(self.wanted)

    def listens(self, channel: str) -> bool:
        return channel in self.wanted

    def data(self) -> list[bytes]:
        """What was received, without its numbers."""
        return [data for *_, data in self.got]


class Process:
    """A broker with a recorder: one process of the installation."""

    def __init__(self, redis: Redis, **history: object) -> None:
        self.redis = redis
        self.broker = RedisBroker(redis, **history)  # pyright: ignore[reportArgumentType]
        self.hub = Recorder()
        self.broker.attach(self.hub)

    async def listen(self, *channels: str) -> None:
        """What a hub does for its first listener of a channel."""
        self.hub.wanted.update(channels)
        await self.broker.subscribe(channels)


@asynccontextmanager
async def processes(
    server: RedisServer | RedisClusterServers, count: int = 2, *, patience: float = 2.0, **history: object
) -> AsyncIterator[list[Process]]:
    """Some processes of one installation."""
    prefix = fresh_prefix()
    found = [Process(client_of(server, prefix, patience=patience), **history) for _ in range(count)]
    for process in found:
        await process.broker.open()
    try:
        yield found
    finally:
        for process in found:
            await process.broker.close()
