"""A real server with realtime sessions, on one of two transports, and two kinds of clients: the Python SDK, frames."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import uvicorn
from centrifuge import (
    Client,
    ClientEventHandler,
    ConnectedContext,
    ConnectingContext,
    DisconnectedContext,
    ErrorContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tenfold.platform.http.socket import Socket
from tenfold.platform.realtime import EVERYONE
from tenfold.platform.realtime.admission import Admission, AdmissionRules
from tenfold.platform.realtime.gateway import Gateway, GatewayRules
from tenfold.platform.realtime.websocket import RealtimeEndpoint
from tests.platform.realtime_world import RealtimeWorld, everybody
from tests.waiting import until


@dataclass
class House:
    """A server with realtime sessions, and who may come."""

    world: RealtimeWorld
    endpoint: RealtimeEndpoint | Gateway
    port: int
    cut: Callable[[], None]
    """Break every connection, without a word to either side."""
    unsent: Callable[[], int]
    """How many bytes wait in this process for clients to read what was sent before."""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"


@asynccontextmanager
async def on_uvicorn(world: RealtimeWorld, admission: Admission, **options: Any) -> AsyncIterator[House]:
    """The WebSocket of the web process."""
    endpoint = RealtimeEndpoint(world.lobby, admission, **options)
    config = uvicorn.Config(
        endpoint,
        ws=Socket,
        ws_max_size=256 * 1024,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)

    def cut() -> None:
        for connection in list(server.server_state.connections):
            getattr(connection, "transport").abort()  # noqa: B009

    def unsent() -> int:
        transports = [getattr(connection, "transport") for connection in server.server_state.connections]  # noqa: B009
        return sum(transport.get_write_buffer_size() for transport in transports)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        yield House(world, endpoint, listener.getsockname()[1], cut, unsent)
        server.should_exit = True
        await serving


@asynccontextmanager
async def on_picows(world: RealtimeWorld, admission: Admission, **options: Any) -> AsyncIterator[House]:
    """The gateway."""
    if "close_timeout" in options:
        options["close_timeout"] = options["close_timeout"].total_seconds()
    gateway = Gateway(world.lobby, admission, GatewayRules(**options))

    def cut() -> None:
        for connection in list(gateway._open):
            connection.cut()

    def unsent() -> int:
        return sum(connection.backlog for connection in gateway._open)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        await gateway.open(listener)
        try:
            yield House(world, gateway, listener.getsockname()[1], cut, unsent)
        finally:
            await gateway.drain(timedelta())


TRANSPORTS: dict[str, Callable[..., AbstractAsyncContextManager[House]]] = {
    "uvicorn": on_uvicorn,
    "picows": on_picows,
}
transport = "uvicorn"
"""The one that `house` uses; the fixture of the same name sets it."""


@asynccontextmanager
async def house(
    world: RealtimeWorld | None = None, *, admission: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[House]:
    """`admission` are its rules, `options` the transport's."""
    world = world or RealtimeWorld(may_listen=everybody)
    async with TRANSPORTS[transport](world, Admission(AdmissionRules(**(admission or {}))), **options) as at:
        yield at


class Notes:
    """What an SDK was told of a channel."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.recoveries: list[tuple[bool, bool]] = []
        self.ended: list[tuple[int, str]] = []

    async def on_subscribed(self, ctx: Any) -> None:
        self.recoveries.append((ctx.was_recovering, ctx.recovered))

    async def on_publication(self, ctx: Any) -> None:
        self.heard.append(ctx.pub.data)


class RoomNotes(Notes, SubscriptionEventHandler):
    """What an SDK was told of a channel that it asked for."""

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        self.ended.append((ctx.code, ctx.reason))


class Diary(Notes, ClientEventHandler):
    """What an SDK was told of its connection, and of the channel that the server gave it."""

    def __init__(self) -> None:
        super().__init__()
        self.connects = 0
        self.reconnects: list[int] = []
        self.errors: list[int] = []

    async def on_subscribed(self, ctx: Any) -> None:
        if ctx.channel != EVERYONE:
            await super().on_subscribed(ctx)

    async def on_connected(self, ctx: ConnectedContext) -> None:
        self.connects += 1

    async def on_connecting(self, ctx: ConnectingContext) -> None:
        self.reconnects.append(ctx.code)

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        self.ended.append((ctx.code, ctx.reason))

    async def on_error(self, ctx: ErrorContext) -> None:
        self.errors.append(getattr(ctx.error, "code", ctx.code))


@asynccontextmanager
async def sdk(at: House, token: str = "", **options: Any) -> AsyncIterator[tuple[Client, Diary]]:
    diary = Diary()
    options = {"min_reconnect_delay": 0.1, "max_reconnect_delay": 0.2, "proxy": None, **options}
    client = Client(at.url, events=diary, token=token, **options)
    await client.connect()
    try:
        yield client, diary
    finally:
        await client.disconnect()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def bare(at: House, **options: Any) -> AsyncIterator[ClientConnection]:
    async with connect(at.url, proxy=None, max_size=None, **options) as connection:
        yield connection


async def closing_code(connection: ClientConnection) -> int | None:
    """Read on until the server closes, and say how it did."""
    with suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(connection.recv(), 10)
    return connection.close_code
