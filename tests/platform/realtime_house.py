"""A real server with the realtime endpoint, and its two kinds of clients: the official Python SDK, and bare frames."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
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

from tenfold.platform.realtime.websocket import RealtimeEndpoint
from tests.platform.realtime_world import RealtimeWorld, everybody


@dataclass
class House:
    """A server with a realtime endpoint, and who may come."""

    world: RealtimeWorld
    endpoint: RealtimeEndpoint
    server: uvicorn.Server
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    def cut(self) -> None:
        """Break every connection, without a word to either side."""
        for connection in list(self.server.server_state.connections):
            transport = getattr(connection, "transport")  # noqa: B009
            transport.abort()


@asynccontextmanager
async def house(world: RealtimeWorld | None = None, **options: Any) -> AsyncIterator[House]:
    world = world or RealtimeWorld(may_listen=everybody)
    endpoint = RealtimeEndpoint(world.lobby, **options)
    config = uvicorn.Config(
        endpoint,
        ws="websockets-sansio",
        ws_max_size=256 * 1024,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        yield House(world, endpoint, server, listener.getsockname()[1])
        server.should_exit = True
        await serving


async def until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait for something to come true."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.005)


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
