"""The engines of realtime, for suites that run over all of them: an installation of several processes.

An engine is a context manager that gives an `Installation`; add one to `ENGINES` and every promise is asked of it.
"""

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tenfold.platform.bus.memory import MemoryBus
from tenfold.platform.realtime.broker import Broker
from tenfold.platform.realtime.memory import MemoryBroker
from tenfold.platform.realtime.redis import RedisBroker
from tenfold.platform.realtime.relay import RelayedBroker
from tests.platform.redis_world import client_of, fresh_prefix

SIZE = 5


@dataclass
class Recorder:
    """A process's end of a broker that writes everything down."""

    wanted: set[str] = field(default_factory=set)
    publications: list[tuple[str, int, str, Any]] = field(default_factory=list)
    signals: list[Any] = field(default_factory=list)
    gaps: int = 0

    def received(self, channel: str, offset: int, epoch: str, data: Raw) -> None:
        if channel in self.wanted:
            self.publications.append((channel, offset, epoch, msgspec.json.decode(data)))

    def signalled(self, data: Raw) -> None:
        self.signals.append(msgspec.json.decode(data))

    def gap(self) -> None:
        self.gaps += 1

    def channels(self) -> list[str]:
        return list(self.wanted)

    def listens(self, channel: str) -> bool:
        return channel in self.wanted

    @property
    def heard(self) -> list[Any]:
        return [data for _, _, _, data in self.publications]


@dataclass
class Process:
    """One process: its broker, not opened yet when a hub is to be attached to it, and what it received."""

    broker: Broker
    ear: Recorder

    async def listen(self, *channels: str) -> None:
        self.ear.wanted.update(channels)
        await self.broker.subscribe(channels)

    def ignore(self, *channels: str) -> None:
        self.ear.wanted.difference_update(channels)
        self.broker.unsubscribe(channels)


@dataclass
class Installation:
    """Several processes over one engine: `broker` makes one more process's, which keeps `SIZE` publications.

    `counts_together`: whether a publication has one number in all processes.
    """

    broker: Callable[[], Broker]
    counts_together: bool = True
    opened: list[Broker] = field(default_factory=list)

    async def process(self) -> Process:
        """One more process that listens with a recorder."""
        broker, ear = self.broker(), Recorder()
        broker.attach(ear)
        await broker.open()
        self.opened.append(broker)
        return Process(broker, ear)

    async def close(self) -> None:
        for broker in self.opened:
            await broker.close()


@asynccontextmanager
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Installation]:
    """Several hubs in one process over one broker."""
    broker = MemoryBroker(history_size=SIZE)
    yield Installation(lambda: broker)


@asynccontextmanager
async def relayed(request: pytest.FixtureRequest) -> AsyncIterator[Installation]:
    """A broker per process, over a bus."""
    bus = MemoryBus()
    installation = Installation(lambda: RelayedBroker(bus, history_size=SIZE), counts_together=False)
    await bus.open()
    yield installation
    await installation.close()
    await bus.close()


@asynccontextmanager
async def redis(request: pytest.FixtureRequest, fixture: str = "redis_server") -> AsyncIterator[Installation]:
    """A real server, or a cluster."""
    server, prefix = request.getfixturevalue(fixture), fresh_prefix()
    installation = Installation(lambda: RedisBroker(client_of(server, prefix), history_size=SIZE))
    yield installation
    await installation.close()


ENGINES: dict[str, Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Installation]]] = {
    "memory": memory,
    "relayed": relayed,
    "redis": redis,
    "redis cluster": functools.partial(redis, fixture="redis_cluster"),
}
