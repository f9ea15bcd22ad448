"""The server: uvicorn on a socket that was bound before, so that a taken port is a sentence and not a traceback."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from tenfold.kit.refusals import CannotStart
from tenfold.platform.http.connection import Connection
from tenfold.platform.http.socket import Socket

_KEPT_ALIVE = 75  # seconds; proxies close an idle connection after 60, and they should, not we
_BACKLOG = 4096
_LARGEST_MESSAGE = 256 * 1024


def bind(host: str, port: int) -> socket.socket:
    """Take an address (port 0: any free one). Raises `CannotStart` with what to do when it cannot be had.

    It listens already: on Linux two sockets may share an address until one of them does, so that of two programs that
    start at once the later would otherwise learn it when everything else is running. Who comes early waits.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (TypeError, UnicodeError):  # what Python says of a name that no resolver could be asked for
        listener.close()
        raise CannotStart(f"Cannot listen on {host}: that is not the name of an address.") from None
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} on {host} is taken by another program; choose another with --port."
            ) from None
        raise CannotStart(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from None
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it, and drains sockets before it closes connections."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Any] | None) -> None:
        super().__init__(config)
        self._drain = drain

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        if self._drain is not None:
            await self._drain()
        await super().shutdown(sockets)


@asynccontextmanager
async def serving(
    application: Any,
    listener: socket.socket,
    *,
    grace: float = 10.0,
    drain: Callable[[], Any] | None = None,
    largest_message: int = _LARGEST_MESSAGE,
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve while the block runs; then take no new request, finish those in flight (at most `grace` seconds), close.

    `drain` is awaited first, for connections that would never end by themselves. WebSocket messages of more bytes than
    `largest_message` are not read. The task ends early only when serving failed.
    """
    config = uvicorn.Config(
        application,
        loop="none",
        http=Connection,
        ws=Socket,
        lifespan="off",
        log_config=None,
        proxy_headers=False,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(grace),
        timeout_keep_alive=_KEPT_ALIVE,
        backlog=_BACKLOG,
        ws_per_message_deflate=False,
        ws_max_size=largest_message,
        ws_ping_interval=None,
    )
    server = _Server(config, drain)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.002)
        yield task
    finally:
        server.should_exit = True
        await task
