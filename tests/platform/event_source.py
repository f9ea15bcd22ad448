"""A reader of server-sent events, as browsers have it (HTML, section 9.2), and a server that sends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tenfold.platform.http.server import bind, serving
from tenfold.platform.realtime.admission import Admission
from tenfold.platform.realtime.sse import PATH, EventStreams
from tenfold.platform.realtime.websocket import RealtimeEndpoint
from tests.platform.realtime_world import RealtimeWorld, everybody


@dataclass
class EventSource:
    """One stream: its head, its events, and the time that it was last told to wait before it comes back."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    retry: int | None = None
    _rest: bytes = b""

    async def read_head(self) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}

    async def next(self) -> Any:
        """The data of the next event, read as JSON; None when the stream has ended."""
        async with asyncio.timeout(10):
            while True:
                block, end, rest = self._rest.partition(b"\n\n")
                if not end:
                    chunk = await self._chunk()
                    if not chunk:
                        return None
                    self._rest += chunk
                    continue
                self._rest = rest
                fields = [line.partition(b": ") for line in block.split(b"\n")]
                self.retry = next((int(value) for name, _, value in fields if name == b"retry"), self.retry)
                data = [value for name, _, value in fields if name == b"data"]
                if data:
                    return json.loads(b"\n".join(data))

    async def body(self) -> bytes:
        """What is left, of an answer that is no stream."""
        return await self.reader.readexactly(int(self.headers.get("content-length", "0")))

    async def _chunk(self) -> bytes:
        size = int(await self.reader.readline() or b"0", 16)
        return (await self.reader.readexactly(size + 2))[:-2] if size else b""


@dataclass
class Stand:
    """A server of event streams."""

    world: RealtimeWorld
    endpoint: RealtimeEndpoint
    port: int

    @asynccontextmanager
    async def open(
        self, request: Any = None, *, method: str = "GET", head: str = "", limit: int = 1 << 16
    ) -> AsyncIterator[EventSource]:
        """Ask for a stream: the connect request in the query, or as a body."""
        text = request if isinstance(request, str) else json.dumps(request)
        query = f"?cf_connect={quote(text)}" if method == "GET" and request is not None else ""
        body = text.encode() if method == "POST" else b""
        lines = [f"{method} {PATH}{query} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", head]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        try:
            writer.write("\r\n".join(line for line in lines if line).encode() + b"\r\n\r\n" + body)
            source = EventSource(reader, writer)
            await source.read_head()
            yield source
        finally:
            writer.transport.abort()


@asynccontextmanager
async def stand(
    world: RealtimeWorld | None = None,
    admission: Admission | None = None,
    *,
    cors_origins: tuple[str, ...] = (),
    **options: Any,
) -> AsyncIterator[Stand]:
    world = world or RealtimeWorld(may_listen=everybody)
    endpoint = RealtimeEndpoint(world.lobby, admission, **options)
    streams = EventStreams(endpoint, cors_origins=cors_origins)
    with bind("127.0.0.1", 0) as listener:
        async with serving(streams, listener, grace=2, drain=endpoint.drain):
            yield Stand(world, endpoint, listener.getsockname()[1])
