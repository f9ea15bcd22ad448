"""The application: the router leads a request to its door; around it, what every answer has, whoever gives it."""

import os
import re
import time
from contextlib import suppress
from typing import Any

import structlog
from litestar.exceptions import HTTPException

from tenfold.platform.http.endpoint import Endpoint
from tenfold.platform.http.gate import HttpPolicy
from tenfold.platform.http.observer import Observer
from tenfold.platform.http.router import Router, answered
from tenfold.platform.observe import logs, traces
from tenfold.platform.realtime import sse

log = structlog.get_logger("tenfold.http")
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._~+/=-]{8,128}$")
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class Application:
    """The ASGI application of a process: HTTP through the router, sockets to the realtime endpoint."""

    def __init__(self, router: Router, policy: HttpPolicy, socket: Any = None) -> None:
        """`socket` is the ASGI application that takes WebSocket connections; event streams are made of it too."""
        self._router = router
        self._policy = policy
        self._socket = socket
        self._streams = sse.EventStreams(socket, cors_origins=policy.cors_origins) if socket is not None else None
        self._observe = Observer(log_requests=policy.log_requests)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request or carry one connection."""
        kind = scope["type"]
        if kind == "http" and scope["path"] == sse.PATH and self._streams is not None:
            await self._stream(scope, receive, send)
        elif kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._router(scope, receive, send)

    async def _at_the_door(self, scope: Any, receive: Any, send: Any) -> None:
        """Find the door and answer there: Litestar's frame around a handler would cost 50 µs more.

        What is not a door, and what a browser of another origin sends (that may need CORS), goes the whole way.
        """
        endpoint: Endpoint | None = None
        parameters: dict[str, Any] = {}
        if not (self._policy.cors_origins and any(name == b"origin" for name, _ in scope["headers"])):
            with suppress(HTTPException):
                endpoint, parameters = self._router.find(scope["method"], scope["path"])
        if endpoint is None:
            await self._router(scope, receive, send)
            return
        scope["path_params"] = parameters
        answer = await answered(endpoint, scope, receive)
        await answer(scope, receive, send)

    async def _websocket(self, scope: Any, receive: Any, send: Any) -> None:
        if self._socket is not None and scope["path"] == "/connection/websocket":
            await self._socket(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 4404, "reason": "nothing here"})

    async def _stream(self, scope: Any, receive: Any, send: Any) -> None:
        """Carry an event stream. It is no request to count or to time: it lasts."""
        assert self._streams is not None
        scope["request_id"] = request_id = _request_id(scope["headers"])
        logs.bind_request(request_id)
        await self._streams(scope, receive, _dressed(send, request_id))

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        started = time.perf_counter()
        request_id = _request_id(scope["headers"])
        scope["request_id"] = request_id
        logs.bind_request(request_id)
        status = 500

        async def send_with_headers(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_SECURITY, (b"x-request-id", request_id.encode())]
            await send(message)

        with traces.http_span(scope["method"], scope["headers"]) as span:
            try:
                await self._at_the_door(scope, receive, send_with_headers)
            finally:
                span.rename(scope.get("door", "other"))
                span.set(status=status, request_id=request_id)
                self._observe(scope.get("door", "other"), status, time.perf_counter() - started)


def _dressed(send: Any, request_id: str) -> Any:
    """`send`, with what every answer has."""

    async def send_with_headers(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_SECURITY, (b"x-request-id", request_id.encode())]}
        await send(message)

    return send_with_headers


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.match(value):
            return value.decode("ascii")
    return os.urandom(12).hex()
