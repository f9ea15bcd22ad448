"""A house as it is served, with rooms in it, a wire that can be cut, and the official SDKs."""

import asyncio
import fcntl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tenfold.platform.db.embedded import Address
from tenfold.platform.http.server import bind
from tests.house.test_live import Wire
from tests.sdk import rooms
from tests.sdk.clients import Give, Puppet, PythonClient, SdkClient
from tests.world import Person, World, worlds

ROOT = Path(__file__).parents[2]


@dataclass
class Scene:
    """A world, the way to it, and whoever comes with an SDK."""

    world: World
    wire: Wire
    url: str
    make: Callable[..., Awaitable[SdkClient]]
    drain: Callable[[timedelta], Awaitable[None]]

    async def come(
        self, person: Person, give: Give | None = None, *, token: str | None = None, patience: float = 10
    ) -> SdkClient:
        """Connect somebody, and wait until they are. They wait so long for a ping that is late, in seconds."""
        client = await self.start(person, give, token=token, patience=patience)
        await client.heard("connected")
        return client

    async def start(
        self, person: Person, give: Give | None = None, *, token: str | None = None, patience: float = 10
    ) -> SdkClient:
        """Begin to connect somebody."""
        client = await self.make(self.url, give, token=token or person.token or "", patience=patience)
        await client.connect()
        return client

    async def renewed(self, person: Person) -> str:
        """A new access token for somebody, as an application gets one."""
        answer = await self.world.visitor.post("/v1/sessions/refresh", {"refresh_token": person.refresh_token})
        assert answer.status == 200, answer
        person.token, person.refresh_token = answer.body["access_token"], answer.body["refresh_token"]
        return answer.body["access_token"]

    @property
    def realtime(self) -> Any:
        """What publishes."""
        return self.world.house.realtime


@pytest.fixture(scope="session")
def packages() -> None:
    """The npm packages are there; they are installed once, whoever comes first."""
    with (ROOT / "tests/sdk/package.json").open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        subprocess.run(["/bin/sh", "scripts/npm.sh", "tests/sdk"], cwd=ROOT, check=True, timeout=100)


@asynccontextmanager
async def scenes(
    address: Address, folder: Path, sdk: str, *, settings: Mapping[str, object] | None = None
) -> AsyncIterator[Scene]:
    """A house served on a port of its own, and an SDK to come with."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(worlds(address, folder, extra=[rooms.module], settings=settings))
        port, drain = urlsplit(world.url).port or 0, world.socket.drain
        if sdk.endswith("gateway"):
            gateway = world.house.gateway(1000, lambda: b"")
            listener = stack.enter_context(bind("127.0.0.1", 0))
            await gateway.open(listener)
            port, drain = listener.getsockname()[1], gateway.drain
            stack.push_async_callback(gateway.drain, timedelta())
        wire = Wire(port)
        server = await asyncio.start_server(wire.connect, "127.0.0.1", 0)
        stack.callback(server.close)
        stack.callback(wire.cut)
        puppet = await Puppet.start() if sdk.startswith("javascript") else None
        if puppet is not None:
            stack.push_async_callback(puppet.stop)

        async def make(url: str, give: Give | None, **options: Any) -> SdkClient:
            client = await puppet.client(url, give, **options) if puppet else PythonClient(url, give, **options)
            stack.push_async_callback(client.disconnect)
            return client

        port = server.sockets[0].getsockname()[1]
        yield Scene(world, wire, f"ws://127.0.0.1:{port}/connection/websocket", make, drain)


@pytest.fixture(params=["javascript", "python", "javascript on the gateway", "python on the gateway"])
def sdk(request: pytest.FixtureRequest, packages: None) -> str:
    """The test runs once with each SDK on each transport."""
    return str(request.param)


@pytest.fixture
async def scene(database_address: Address, tmp_path: Path, sdk: str) -> AsyncIterator[Scene]:
    async with scenes(database_address, tmp_path, sdk) as scene:
        yield scene
